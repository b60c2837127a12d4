"""What the verbs about mailboxes work on: the open ledger, the clock it lives by, the providers and the network."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

from warmup.cli.assembly import clock_of, network_of
from warmup.cli.invocation import Invocation
from warmup.cli.opening import ledger_of
from warmup.clock import WallClock
from warmup.config import Settings, providers_of
from warmup.ledger import Ledger
from warmup.policy.mailbox import Mailbox
from warmup.policy.provider import CUSTOM, Provider, Providers
from warmup.vault import Vault
from warmup.wire.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One verb's tools."""

    invocation: Invocation
    settings: Settings
    ledger: Ledger
    clock: WallClock
    providers: Providers
    held: ExitStack = field(repr=False)

    @property
    def network(self) -> Network:
        """How servers are reached."""
        return network_of(self.settings)

    def vault(self) -> Vault:
        """The open vault, held until the verb ends: what it seals is kept by then. Raises VaultError."""
        vault = Vault.open(self.settings.vault.key_file, self.invocation.environ)
        self.held.enter_context(vault.held())
        return vault

    def provider_of(self, mailbox: Mailbox) -> Provider:
        """The preset a mailbox was enrolled with; `custom` where the configuration no longer has it."""
        return self.providers.by_name.get(mailbox.provider) or self.providers.named(CUSTOM)


@asynccontextmanager
async def parts_of(here: Invocation) -> AsyncIterator[Parts]:
    """The tools, closed at the end. Raises ConfigError, LedgerError."""
    settings = here.load().settings
    ledger = ledger_of(settings)
    try:
        anchor = (await ledger.installation.get()).anchor
        with ExitStack() as held:
            yield Parts(
                invocation=here,
                settings=settings,
                ledger=ledger,
                clock=clock_of(settings, anchor),
                providers=providers_of(settings),
                held=held,
            )
    finally:
        await ledger.close()
