"""From settings to a running circle: the one place where the parts are put together.

Every verb that needs the ledger's parts asks here, so that daemon, demo and enrolment use the same doors, the same
vault and the same clock. Nothing is sent or decided here.
"""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from warmup.cli.granted import access_tokens
from warmup.cli.opening import ledger_of
from warmup.clock import Clock, HoldingClock, WallClock
from warmup.config import ConfigError, Settings, providers_of
from warmup.config.kinds import nameserver
from warmup.content import load as load_grammars
from warmup.ledger.installation import Anchor, Installation
from warmup.ledger.ledger import Ledger
from warmup.ledger.store import Guard
from warmup.policy.login import is_spent
from warmup.policy.mailbox import Mailbox, MailboxId, Protocol
from warmup.steps.circle import Circle
from warmup.vault import Vault
from warmup.wire.doors import Doors, Outlived
from warmup.wire.errors import LoginHeld, Untrusted
from warmup.wire.login import Login, SignIn
from warmup.wire.network import Network
from warmup.wire.resolver import Resolver
from warmup.wire.tokens import AccessTokens

IDENTITY = "identity key"
_KEY_BYTES = 32
_TOKEN_BYTES = 16
_LIFE_BYTES = 4

AnyClock = WallClock | HoldingClock


def resolver_of(settings: Settings) -> Resolver:
    """Whom DNS is asked of under these settings."""
    return Resolver(nameserver=nameserver(settings.network.resolver))


def network_of(settings: Settings) -> Network:
    """How servers are reached under these settings; ConfigError where the CA file cannot be used."""
    network = Network(
        resolve=resolver_of(settings).addresses,
        ca_file=settings.network.ca_file,
        allow_private_hosts=settings.network.allow_private_hosts,
        smtp_timeout=settings.network.smtp_timeout_seconds,
        imap_timeout=settings.network.imap_timeout_seconds,
        rehearsal=settings.is_rehearsal,
    )
    try:
        network.tls()
    except Untrusted as mistake:
        raise ConfigError((str(mistake),)) from mistake
    return network


async def establish(ledger: Ledger, vault: Vault, clock: Clock) -> Installation:
    """The ledger's installation, with an identity key of its own; made where the ledger is new."""
    installation = await ledger.installation.establish(now=clock.now(), token=clock.token(_TOKEN_BYTES).hex())
    if installation.identity_key_sealed is None:
        with vault.held():
            sealed = vault.seal_blob(clock.token(_KEY_BYTES), purpose=IDENTITY)
            await ledger.installation.set_identity_key(sealed)
        installation = await ledger.installation.get()
    return installation


def clock_of(settings: Settings, anchor: Anchor | None) -> WallClock:
    """The clock the ledger lives by: the wall's, or a rehearsal's where one was begun (its anchor is in the ledger)."""
    if not settings.is_rehearsal or anchor is None:
        return WallClock()
    return WallClock(speed=anchor.speed, anchor=(anchor.wall, anchor.ledger))


async def rehearsed(settings: Settings, ledger: Ledger, installation: Installation) -> Anchor | None:
    """The anchor in force. Another speed than the ledger's moves it: the rehearsal goes on from where it is."""
    known, wall = installation.anchor, WallClock().wall()
    if not settings.is_rehearsal:
        return None
    if known is not None and known.speed == settings.rehearsal.speed:
        return known
    reached = wall if known is None else known.ledger + (wall - known.wall) * known.speed
    anchor = Anchor(wall=wall, ledger=reached, speed=settings.rehearsal.speed)
    await ledger.installation.set_anchor(anchor)
    return anchor


class Logins:
    """What the doors ask for a login, and tell of one: kept in the ledger, so that a restart knows it.

    A password is opened for one use, a token is one that lasts.
    """

    def __init__(self, ledger: Ledger, vault: Vault, tokens: AccessTokens, clock: Clock) -> None:
        self._ledger = ledger
        self._vault = vault
        self._tokens = tokens
        self._clock = clock
        # The doors whose refusals are to be forgotten once a login is taken: as seen when it was asked for.
        self._refused: set[tuple[MailboxId, Protocol]] = set()

    async def unseal(self, mailbox: Mailbox, protocol: Protocol) -> Login:
        """The login for a door. LoginHeld where it was refused too often."""
        endpoint = mailbox.smtp if protocol is Protocol.SMTP else mailbox.imap
        kept = await self._ledger.mailboxes.login(mailbox.id)
        if protocol in kept.refusals:
            self._refused.add((mailbox.id, protocol))
        if is_spent(kept.refusals, protocol):
            raise LoginHeld(
                "the login was refused and is not tried again, or the account might be locked",
                hint=f"warmup mailbox check {mailbox.address}",
            )
        credential = kept.credentials.get(protocol)
        if credential is None:
            token = await self._tokens.token(mailbox)
            return Login(username=mailbox.username, secret=token, sign_in=SignIn.XOAUTH2)
        secret = self._vault.unseal(
            credential.sealed, mailbox=mailbox.address, protocol=protocol.value, host=endpoint.host
        )
        return Login(username=mailbox.username, secret=secret)

    async def taken(self, mailbox: Mailbox, protocol: Protocol) -> None:
        """A server took it."""
        if (mailbox.id, protocol) in self._refused:
            await self._ledger.logins.forget(mailbox.id, protocol)
            self._refused.discard((mailbox.id, protocol))

    async def refused(self, mailbox: Mailbox, protocol: Protocol) -> None:
        """A server refused it."""
        self._refused.add((mailbox.id, protocol))
        await self._ledger.logins.refused(mailbox.id, protocol, now=self._clock.now())


def outlived_by(tokens: AccessTokens) -> Outlived:
    """What the doors ask about a refused login: only a token grows old."""

    def outlived(mailbox: Mailbox, login: Login) -> bool:
        return login.sign_in is SignIn.XOAUTH2 and tokens.refused(mailbox, login.secret)

    return outlived


def doors_of(
    settings: Settings, ledger: Ledger, vault: Vault, tokens: AccessTokens, *, network: Network, clock: Clock
) -> Doors:
    """The doors to every mailbox of the ledger; what becomes of a login is kept there."""
    logins = Logins(ledger, vault, tokens, clock)
    return Doors(
        network=network,
        unseal=logins.unseal,
        outlived=outlived_by(tokens),
        taken=logins.taken,
        refused=logins.refused,
        session_seconds=settings.send.session_seconds,
    )


@asynccontextmanager
async def assembled(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    clock: AnyClock | None = None,
    dry_run: bool = False,
    guard: Guard | None = None,
) -> AsyncIterator[Circle]:
    """A circle over the ledger that is there, closed at the end. `guard` is asked inside every write.

    Raises LedgerError, VaultError, ContentError; nothing is left open then.
    """
    vault = Vault.open(settings.vault.key_file, environ)
    grammars = load_grammars(settings.content.folder)
    ledger = ledger_of(settings, guard=guard)
    try:
        installation = await establish(ledger, vault, clock or WallClock())
        assert installation.identity_key_sealed is not None
        key = vault.unseal_blob(installation.identity_key_sealed, purpose=IDENTITY)
        if clock is None:
            clock = clock_of(settings, await rehearsed(settings, ledger, installation))
            clock.raise_to(await _latest(ledger, clock))
        clock.reseed(installation.seed)
        network = network_of(settings)
        tokens = access_tokens(ledger, vault, settings, network=network, clock=clock)
        doors = doors_of(settings, ledger, vault, tokens, network=network, clock=clock)
        try:
            yield Circle(
                ledger=ledger,
                clock=clock,
                doors=doors,
                settings=settings,
                providers=providers_of(settings),
                grammars=grammars,
                key=key,
                node=_node(settings, clock),
                dry_run=dry_run,
            )
        finally:
            await doors.close()
            await tokens.close()
    finally:
        await ledger.close()


def _node(settings: Settings, clock: Clock) -> str:
    """Host and process; in a cluster also which life of it, since containers come back under the same name and pid."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    return f"{name}:{clock.token(_LIFE_BYTES).hex()}" if settings.engine.kind == "cluster" else name


async def _latest(ledger: Ledger, clock: Clock) -> datetime:
    return await ledger.installation.latest() or clock.now()
