"""The open ledger: one writer per table, values in and out; readers where many tables are read together.

`Ledger.open` checks the revision and nothing else; the daemon's lock, the upgrade and the look for a restore are the
caller's, in that order (lock, schema, `installation.check_restore`, `attempts.recover`).
"""

from pathlib import Path
from typing import Self

from warmup.ledger import schema
from warmup.ledger.attempts import AttemptWriter
from warmup.ledger.database import Database
from warmup.ledger.engagements import EngagementWriter
from warmup.ledger.errands import ErrandWriter
from warmup.ledger.evidence import EvidenceReader
from warmup.ledger.export import ExportReader
from warmup.ledger.highwater import HighWater
from warmup.ledger.history import HistoryReader
from warmup.ledger.holds import HoldWriter
from warmup.ledger.installation import InstallationWriter
from warmup.ledger.lock import holder
from warmup.ledger.logins import LoginWriter
from warmup.ledger.mailboxes import MailboxWriter
from warmup.ledger.own import OwnWriter
from warmup.ledger.reports import ReportWriter
from warmup.ledger.retention import RetentionWriter
from warmup.ledger.retirements import RetirementWriter
from warmup.ledger.sightings import SightingWriter
from warmup.ledger.slots import SlotWriter
from warmup.ledger.standings import StandingWriter
from warmup.ledger.status import StatusReader
from warmup.ledger.store import Guard, Store
from warmup.ledger.timekeeping import Timekeeping
from warmup.ledger.trials import TrialReader
from warmup.ledger.turn import Turns


class Ledger:
    """The writers and readers of one open ledger."""

    def __init__(self, database: Database, *, durable: bool = True, guard: Guard | None = None) -> None:
        self.database = database
        self.store = Store(database, durable=durable, guard=guard)
        self._high_water = HighWater(database.mark, durable=durable)
        self.installation = InstallationWriter(self.store, self._high_water)
        self.timekeeping = Timekeeping(self.store)
        self.mailboxes = MailboxWriter(self.store)
        self.slots = SlotWriter(self.store)
        self.turns = Turns(self.store)
        self.attempts = AttemptWriter(self.store, self._high_water)
        self.holds = HoldWriter(self.store)
        self.errands = ErrandWriter(self.store, self._high_water)
        self.sightings = SightingWriter(self.store)
        self.reports = ReportWriter(self.store)
        self.logins = LoginWriter(self.store)
        self.engagements = EngagementWriter(self.store)
        self.history = HistoryReader(self.store)
        self.evidence = EvidenceReader(self.store)
        self.standings = StandingWriter(self.store)
        self.own = OwnWriter(self.store)
        self.trials = TrialReader(self.store)
        self.retirements = RetirementWriter(self.store)
        self.retention = RetentionWriter(self.store)
        self.status = StatusReader(self.store)
        self.export = ExportReader(self.store)

    @property
    def was_lost(self) -> bool:
        """True, once, after the daemon's lock was lost and taken again."""
        return self.store.was_lost

    @property
    def path(self) -> Path:
        """What the ledger's file, or the files beside a server's ledger, are named."""
        return self.database.beside

    @classmethod
    def open(
        cls,
        url: str,
        *,
        beside: Path | None = None,
        create: bool = False,
        durable: bool = True,
        guard: Guard | None = None,
    ) -> Self:
        """The ledger at `url`; `create` makes it first, or brings an older one up to date.

        The high-water mark lies `beside` a server's ledger: on this machine, under that name. `guard` is asked inside
        every write before anything else; what it raises, the write raises.

        One that is thrown away need not be `durable`: it outlives a killed process, but not a power cut.

        Raises LedgerMissing, LedgerOlder, LedgerNewer, LedgerDamaged, or LedgerError for a URL that is none and for a
        server that is away.
        """
        if create:
            schema.upgrade(url)
        database = Database.of(url, beside=beside)
        if database.file is not None and holder(database.file) is None:
            # A daemon has looked when it began.
            schema.refuse_a_mixture(database.file)
        schema.check(url)
        return cls(database, durable=durable, guard=guard)

    async def close(self) -> None:
        """Let the database go, once what is under way has ended."""
        await self.store.close()
        self._high_water.close()
