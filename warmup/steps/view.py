"""What a day's allowance is decided from, gathered: ramp, history, standings, own traffic, seeds.

Gathered for many mailboxes at once, whole domains of them, since the mailboxes of a domain share its day. Only what was
known before the date is looked at, so that the order in which mailboxes are planned changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

from warmup.ledger.history import Day
from warmup.ledger.standings import AllJudged
from warmup.policy.allowance import DomainView, LaneView, MailboxView
from warmup.policy.level import DayRecord, LaneDay
from warmup.policy.mailbox import Mailbox, MailboxId, State
from warmup.policy.mix import weights
from warmup.policy.pairing import SEED_DAILY
from warmup.policy.ramp import ramp_named
from warmup.steps.circle import Circle
from warmup.steps.judge import verdict_of
from warmup.steps.roster import Resting, Roster

MEMORY = timedelta(days=60)
"""How far back levels are folded from (policy/level: a gap of more than 30 days starts again)."""

OWN_MEMORY = timedelta(days=9)
"""How far back own traffic is read by date: a day more than `allowance` remembers, and one for the zone."""

Volumes = Mapping[str, Mapping[date, int]]


@dataclass(frozen=True)
class Before:
    """What was known before the date `on`: histories, standings and own traffic, of whole domains."""

    on: date
    circle: Circle
    roster: Roster
    domains: frozenset[str]
    histories: Mapping[MailboxId, tuple[Day, ...]]
    judged: AllJudged
    own: Mapping[MailboxId, int]
    own_lately: Mapping[MailboxId, tuple[datetime, ...]]
    resting: Mapping[datetime, Resting]

    @classmethod
    async def gathered(cls, mailboxes: Collection[Mailbox], on: date, circle: Circle, roster: Roster) -> "Before":
        """Of the mailboxes' domains."""
        domains = {mailbox.domain for mailbox in mailboxes}
        kin = [other.id for domain in domains for other in roster.kin.get(domain, ())]
        ids = {*kin, *(mailbox.id for mailbox in mailboxes)}
        midnights, now = {midnight_of(on, mailbox) for mailbox in mailboxes}, circle.clock.now()
        return cls(
            on=on,
            circle=circle,
            roster=roster,
            domains=frozenset(domains),
            histories=await circle.ledger.history.of_many(ids, since=on - MEMORY, until=on),
            judged=await circle.ledger.standings.of_many(ids, domains),
            own=await circle.ledger.own.counts(ids, since=now - timedelta(hours=24)),
            own_lately=await circle.ledger.own.instants(ids, since=now - OWN_MEMORY, until=now + timedelta(days=1)),
            resting={midnight: await roster.resting_before(midnight, circle) for midnight in midnights},
        )

    def view(self, mailbox: Mailbox) -> MailboxView:
        """Everything `allowance` asks about one of the mailboxes."""
        history = self.histories.get(mailbox.id, ())
        judged = self.judged.of(mailbox.id, mailbox.domain)
        return MailboxView(
            mailbox_id=mailbox.id,
            date=self.on,
            ramp=ramp_named(mailbox.ramp),
            target=mailbox.target,
            limit=mailbox.daily_limit,
            # What cannot be read is not nothing; without a Sent folder there is nothing to read.
            own=self.own.get(mailbox.id) if mailbox.sent_folder is not None else 0,
            reserve_ratio=self.circle.settings.limits.own_reserve_ratio,
            verified=mailbox.state is not State.UNVERIFIED,
            paused=mailbox.state is State.PAUSED,
            history=day_records(history, self._own_by_date(mailbox)),
            first_level=mailbox.first_level,
            lanes=self._lanes(mailbox, lane_histories(history)),
            mailbox=verdict_of(judged.mailbox),
            domain=verdict_of(judged.domain),
        )

    def resting_for(self, mailbox: Mailbox) -> Resting:
        """What rests on the mailbox's date."""
        return self.resting[midnight_of(self.on, mailbox)]

    def _lanes(self, mailbox: Mailbox, histories: Mapping[str, tuple[LaneDay, ...]]) -> tuple[LaneView, ...]:
        judged = self.judged.of(mailbox.id, mailbox.domain)
        open_to = self.roster.open_for(mailbox, self.roster.seeds(self.resting_for(mailbox)))
        kin, volumes = self.roster.kin[mailbox.domain], self.volumes.get(mailbox.domain, {})
        mix = self.circle.settings.pairing.mix
        return tuple(
            LaneView(
                provider=provider,
                weight=weight,
                verdict=verdict_of(judged.lanes.get(provider)),
                history=histories.get(provider, ()),
                seeds=open_to.get(provider, 0) * SEED_DAILY,
                domain=DomainView(
                    volumes=tuple(sorted(volumes.get(provider, {}).items())),
                    mailboxes=len(kin),
                    rank=self.roster.ranks[mailbox.id],
                ),
                pace=self._pace(provider),
            )
            for provider, weight in weights(self.roster.seeds_for(mailbox), mix).items()
        )

    def _own_by_date(self, mailbox: Mailbox) -> Mapping[date, int]:
        """The operator's own messages of the last days, by the mailbox's dates; as far as they could be read."""
        return Counter(at.astimezone(mailbox.zone).date() for at in self.own_lately.get(mailbox.id, ()))

    def _pace(self, receiver: str) -> tuple[float, ...]:
        known = self.circle.providers.by_name.get(receiver)
        return known.pace if known is not None else ()

    @cached_property
    def volumes(self) -> Mapping[str, Volumes]:
        """What each domain's mailboxes together had accepted, by domain, receiving provider and date."""
        found: dict[str, defaultdict[str, Counter[date]]] = {}
        for domain in self.domains:
            volumes = found[domain] = defaultdict(Counter)
            for other in self.roster.kin.get(domain, ()):
                for day in self.histories.get(other.id, ()):
                    for lane in day.lanes:
                        if lane.accepted:
                            volumes[lane.provider][day.date] += lane.accepted
        return found


async def view_of(mailbox: Mailbox, on: date, circle: Circle) -> MailboxView:
    """Everything `allowance` asks about `mailbox` on the date `on`."""
    roster = await Roster.read(circle)
    return (await Before.gathered([mailbox], on, circle, roster)).view(mailbox)


def midnight_of(on: date, mailbox: Mailbox) -> datetime:
    """When the mailbox's date begins."""
    return datetime.combine(on, time(), tzinfo=mailbox.zone).astimezone(UTC)


def seeds_of(mailbox: Mailbox, fleet: Sequence[Mailbox]) -> tuple[Mailbox, ...]:
    """Whom it may write to: others' accounts, and none of its own domain as long as there are any others."""
    others = [other for other in fleet if other.role.receives and other.account_id != mailbox.account_id]
    strangers = tuple(other for other in others if other.domain != mailbox.domain)
    return strangers or tuple(others)


def day_records(history: Sequence[Day], own: Mapping[date, int]) -> tuple[DayRecord, ...]:
    """The planned days as levels are folded from them, oldest first, with the `own` traffic of their dates."""
    return tuple(
        DayRecord(
            date=day.date,
            ceiling=day.ceiling,
            target=day.target,
            accepted=day.accepted,
            own=own.get(day.date, 0),
            level=day.level,
        )
        for day in history
    )


def lane_histories(history: Sequence[Day]) -> dict[str, tuple[LaneDay, ...]]:
    """Each lane's planned days, oldest first."""
    found: dict[str, list[LaneDay]] = {}
    for day in history:
        for lane in day.lanes:
            found.setdefault(lane.provider, []).append(
                LaneDay(
                    date=day.date,
                    ceiling=lane.ceiling,
                    factor=lane.factor,
                    target=lane.target,
                    accepted=lane.accepted,
                    standing=lane.standing,
                    level=lane.level,
                )
            )
    return {provider: tuple(days) for provider, days in found.items()}
