"""What a day's allowance is decided from, gathered: ramp, history, standings, own traffic, seeds.

Only what was known before the date is looked at, so that the order in which mailboxes are planned changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from warmup.ledger.history import Day
from warmup.policy.allowance import DomainView, LaneView, MailboxView
from warmup.policy.attribution import Suspect
from warmup.policy.level import DayRecord, LaneDay
from warmup.policy.mailbox import Mailbox, State
from warmup.policy.pairing import SEED_DAILY
from warmup.policy.ramp import ramp_named
from warmup.steps.circle import Circle
from warmup.steps.judge import verdict_of

MEMORY = timedelta(days=60)
"""How far back levels are folded from (policy/level: a gap of more than 30 days starts again)."""


OWN_MEMORY = timedelta(days=9)
"""How far back own traffic is read by date: a day more than `allowance` remembers, and one for the zone."""


async def view_of(mailbox: Mailbox, on: date, circle: Circle) -> MailboxView:
    """Everything `allowance` asks about `mailbox` on the date `on`."""
    fleet = await circle.ledger.mailboxes.list()
    history = await circle.ledger.history.of(mailbox.id, since=on - MEMORY, until=on)
    judged = await circle.ledger.standings.of(mailbox.id)
    kin = [other for other in fleet if other.domain == mailbox.domain and other.role.sends]
    volumes = await domain_volumes(kin, on, circle)
    seeds = seeds_of(mailbox, fleet)
    suppressed = await circle.ledger.standings.suppressed()
    resting = await resting_on(mailbox, on, circle)
    open_to = Counter(
        seed.receiver
        for seed in seeds
        if seed.may_receive and seed.address.lower() not in suppressed and seed.address not in resting.seeds
    )
    weights = Counter(seed.receiver for seed in seeds)
    rank = [other.id for other in sorted(kin, key=lambda other: (other.enrolled_at, other.id))].index(mailbox.id)
    lanes = tuple(
        LaneView(
            provider=provider,
            weight=float(weight),
            verdict=verdict_of(judged.lanes.get(provider)),
            history=lane_history(history, provider),
            seeds=open_to[provider] * SEED_DAILY,
            domain=DomainView(volumes=tuple(sorted(volumes[provider].items())), mailboxes=len(kin), rank=rank),
        )
        for provider, weight in sorted(weights.items())
    )
    return MailboxView(
        mailbox_id=mailbox.id,
        date=on,
        ramp=ramp_named(mailbox.ramp),
        target=mailbox.target,
        limit=mailbox.daily_limit,
        own=await own_traffic(mailbox, circle),
        reserve_ratio=circle.settings.limits.own_reserve_ratio,
        verified=mailbox.state is not State.UNVERIFIED,
        paused=mailbox.state is State.PAUSED,
        history=mailbox_history(history, await own_by_date(mailbox, circle)),
        lanes=lanes,
        mailbox=verdict_of(judged.mailbox),
        domain=verdict_of(judged.domain),
    )


@dataclass(frozen=True, slots=True)
class Resting:
    """What is left out of a date's plan (policy/retirement): seeds by address, grammars by name."""

    seeds: frozenset[str]
    grammars: frozenset[str]


async def resting_on(mailbox: Mailbox, on: date, circle: Circle) -> Resting:
    """The seeds and grammars that were retired before the mailbox's date `on` began."""
    midnight = datetime.combine(on, time(), tzinfo=mailbox.zone).astimezone(UTC)
    retired = await circle.ledger.retirements.in_force(before=midnight)
    names = [(one.candidate.suspect, one.candidate.name) for one in retired]
    return Resting(
        seeds=frozenset(name for kind, name in names if kind is Suspect.SEED),
        grammars=frozenset(name for kind, name in names if kind is Suspect.GRAMMAR),
    )


def seeds_of(mailbox: Mailbox, fleet: Sequence[Mailbox]) -> tuple[Mailbox, ...]:
    """Whom it may write to: others' accounts, and none of its own domain as long as there are any others."""
    others = [other for other in fleet if other.role.receives and other.account_id != mailbox.account_id]
    strangers = tuple(other for other in others if other.domain != mailbox.domain)
    return strangers or tuple(others)


def mailbox_history(history: Sequence[Day], own: Mapping[date, int]) -> tuple[DayRecord, ...]:
    """A mailbox's planned days, oldest first, with the `own` traffic of their dates."""
    return tuple(
        DayRecord(
            date=day.date, ceiling=day.ceiling, target=day.target, accepted=day.accepted, own=own.get(day.date, 0)
        )
        for day in history
    )


def lane_history(history: Sequence[Day], provider: str) -> tuple[LaneDay, ...]:
    """One lane's planned days, oldest first."""
    return tuple(
        LaneDay(
            date=day.date,
            ceiling=lane.ceiling,
            factor=lane.factor,
            target=lane.target,
            accepted=lane.accepted,
            standing=lane.standing,
            level=lane.level,
        )
        for day in history
        for lane in day.lanes
        if lane.provider == provider
    )


async def domain_volumes(kin: Sequence[Mailbox], on: date, circle: Circle) -> defaultdict[str, Counter[date]]:
    """What the domain's mailboxes together had accepted, by receiving provider and date, before `on`."""
    volumes: defaultdict[str, Counter[date]] = defaultdict(Counter)
    for other in kin:
        for day in await circle.ledger.history.of(other.id, since=on - MEMORY, until=on):
            for lane in day.lanes:
                volumes[lane.provider][day.date] += lane.accepted
    return volumes


async def own_by_date(mailbox: Mailbox, circle: Circle) -> Mapping[date, int]:
    """The operator's own messages of the last days, by the mailbox's dates; as far as they could be read."""
    return await circle.ledger.own.by_date(mailbox.id, zone=mailbox.zone, since=circle.clock.now() - OWN_MEMORY)


async def own_traffic(mailbox: Mailbox, circle: Circle) -> int | None:
    """The operator's own messages of the last 24 hours; None where no reading of them ever went well."""
    now = circle.clock.now()
    if mailbox.sent_folder is None:
        return 0
    if await circle.ledger.own.last_good(mailbox.id) is None:
        return None
    return await circle.ledger.own.count(mailbox.id, since=now - timedelta(hours=24))
