"""The fleet as planning sees it: who may be written to, how many seeds each lane has, who is whose elder.

Read once for a pass and asked for every mailbox, so that a pass over ten times the mailboxes costs ten times as much.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from warmup.policy.attribution import Suspect
from warmup.policy.mailbox import Mailbox, MailboxId, State
from warmup.policy.pairing import Correspondent, Pool, pool
from warmup.policy.window import date_of

if TYPE_CHECKING:
    from warmup.steps.circle import Circle


@dataclass(frozen=True, slots=True)
class Resting:
    """What is left out of a date's plan (policy/retirement): seeds by address, grammars by name."""

    seeds: frozenset[str]
    grammars: frozenset[str]


@dataclass(frozen=True)
class Seeds:
    """The seeds that are not resting: `pool` of those that may be written to, and how many there are of all kinds."""

    pool: Pool
    open: Counter[str]
    open_of_domain: Counter[tuple[str, str]]


@dataclass(frozen=True)
class Roster:
    """Every enrolled mailbox, and the addresses that are suppressed."""

    fleet: Sequence[Mailbox]
    suppressed: frozenset[str]
    _seeds: dict[frozenset[str], Seeds] = field(default_factory=dict)
    _resting: dict[datetime, Resting] = field(default_factory=dict)

    @classmethod
    async def read(cls, circle: "Circle") -> "Roster":
        """As it stands now."""
        return cls(await circle.ledger.mailboxes.list(), await circle.ledger.standings.suppressed())

    async def resting_before(self, midnight: datetime, circle: "Circle") -> Resting:
        """The seeds and grammars that were retired before that instant."""
        if midnight not in self._resting:
            retired = await circle.ledger.retirements.in_force(before=midnight)
            names = [(one.candidate.suspect, one.candidate.name) for one in retired]
            self._resting[midnight] = Resting(
                seeds=frozenset(name for kind, name in names if kind is Suspect.SEED),
                grammars=frozenset(name for kind, name in names if kind is Suspect.GRAMMAR),
            )
        return self._resting[midnight]

    def seeds(self, resting: Resting) -> Seeds:
        """The seeds without those that rest."""
        if resting.seeds not in self._seeds:
            open_ = [seed for seed in self.active.values() if seed.may_receive and seed.address not in resting.seeds]
            self._seeds[resting.seeds] = Seeds(
                pool=pool(self.correspondents[seed.id] for seed in open_),
                open=Counter(seed.receiver for seed in open_),
                open_of_domain=Counter((seed.domain, seed.receiver) for seed in open_),
            )
        return self._seeds[resting.seeds]

    @cached_property
    def active(self) -> Mapping[MailboxId, Mailbox]:
        """Those that take part and are not suppressed, by id."""
        return {
            mailbox.id: mailbox
            for mailbox in self.fleet
            if mailbox.state is State.ACTIVE and mailbox.address.lower() not in self.suppressed
        }

    @cached_property
    def correspondents(self) -> Mapping[MailboxId, Correspondent]:
        """The active ones as pairing knows them."""
        return {mailbox_id: Correspondent.of(mailbox) for mailbox_id, mailbox in self.active.items()}

    @cached_property
    def kin(self) -> Mapping[str, tuple[Mailbox, ...]]:
        """The senders of every domain, the oldest first."""
        found: dict[str, list[Mailbox]] = {}
        for mailbox in sorted(self.fleet, key=lambda one: (one.enrolled_at, one.id)):
            if mailbox.role.sends:
                found.setdefault(mailbox.domain, []).append(mailbox)
        return {domain: tuple(mailboxes) for domain, mailboxes in found.items()}

    @cached_property
    def ranks(self) -> Mapping[MailboxId, int]:
        """How many senders of its domain are older, for every sender."""
        return {mailbox.id: rank for kin in self.kin.values() for rank, mailbox in enumerate(kin)}

    @cached_property
    def senders(self) -> tuple[Mailbox, ...]:
        """Those that may send, the earliest enrolled first."""
        return tuple(sorted((one for one in self.fleet if one.may_send), key=lambda one: (one.enrolled_at, one.id)))

    def elder_dates(self, mailbox: Mailbox) -> tuple[date, ...]:
        """When the earliest other sender was enrolled; the others are younger."""
        elder = next((other for other in self.senders if other.id != mailbox.id), None)
        return () if elder is None else (date_of(elder.enrolled_at, elder.zone),)

    def writes_to_kin(self, mailbox: Mailbox) -> bool:
        """True where nobody of another domain is enrolled to be written to."""
        return self._receivers.total() == self._of_domains[mailbox.domain]

    def seeds_for(self, mailbox: Mailbox) -> dict[str, int]:
        """How many seeds there are for the mailbox at each receiver, whatever their state."""
        return self._less_own(mailbox, self._receivers, self._receivers_of_domain)

    def open_for(self, mailbox: Mailbox, seeds: Seeds) -> dict[str, int]:
        """How many of them may be written to."""
        return self._less_own(mailbox, seeds.open, seeds.open_of_domain)

    def _less_own(self, mailbox: Mailbox, every: Counter[str], of_domain: Counter[tuple[str, str]]) -> dict[str, int]:
        if self.writes_to_kin(mailbox):
            # Nobody writes to itself.
            own = {mailbox.receiver: int(of_domain[mailbox.domain, mailbox.receiver] > 0 and mailbox.role.receives)}
        else:
            own = {receiver: of_domain[mailbox.domain, receiver] for receiver in every}
        less = {receiver: n - own.get(receiver, 0) for receiver, n in every.items()}
        return {receiver: n for receiver, n in less.items() if n > 0}

    @cached_property
    def _receivers(self) -> Counter[str]:
        return Counter(seed.receiver for seed in self.fleet if seed.role.receives)

    @cached_property
    def _receivers_of_domain(self) -> Counter[tuple[str, str]]:
        return Counter((seed.domain, seed.receiver) for seed in self.fleet if seed.role.receives)

    @cached_property
    def _of_domains(self) -> Counter[str]:
        return Counter(seed.domain for seed in self.fleet if seed.role.receives)
