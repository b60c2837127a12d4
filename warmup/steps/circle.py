"""What every step is given: the ledger, the clock, the doors, and the settings in force.

`Circle` is a plain record. It decides nothing; it saves each step a dozen arguments.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from warmup.clock import Clock
from warmup.config import Settings
from warmup.content import Grammars
from warmup.ledger.ledger import Ledger
from warmup.metrics import Process
from warmup.policy.mailbox import Mailbox, MailboxId
from warmup.policy.provider import Providers
from warmup.steps.backoff import Backoff
from warmup.steps.narrow import Narrow
from warmup.wire.doors import Doors


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """One running program's parts. `key` signs message ids; `node` names this process in the attempts it claims."""

    ledger: Ledger
    clock: Clock
    doors: Doors
    settings: Settings
    providers: Providers
    grammars: Grammars
    key: bytes
    node: str
    process: Process = field(default_factory=Process)
    backoff: Backoff = field(default_factory=Backoff)
    narrow: Narrow = field(default_factory=Narrow)
    swept: dict[MailboxId, datetime] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def is_shared(self) -> bool:
        """True for one of many nodes on one ledger."""
        return self.settings.engine.kind == "cluster"

    @property
    def grace(self) -> timedelta:
        """How long after its due instant a slot may still go, in ledger time."""
        return timedelta(seconds=self.settings.send.grace_seconds)

    @property
    def margin(self) -> timedelta:
        """What is added to the 24 hours of the rolling window."""
        return timedelta(seconds=self.settings.limits.margin_seconds)

    async def mailbox(self, mailbox_id: MailboxId) -> Mailbox:
        """The mailbox of an id, removed ones too; LookupError where there never was one, which no row allows."""
        found = await self.ledger.mailboxes.by_id(mailbox_id)
        if found is None:
            raise LookupError(f"no mailbox {mailbox_id}")
        return found

    def per_minute(self, mailbox: Mailbox) -> int | None:
        """Messages a minute that the mailbox's own provider takes, None: nobody says."""
        known = self.providers.by_name.get(mailbox.provider)
        return known.per_minute if known is not None else None
