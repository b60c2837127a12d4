"""How a ramp is judged: MODEL.md's measures, from the tallies of every lane's days.

`spam_share` and `worst_day_spam_share` (the fleet's worst day, of days with at least one message a mailbox) are of
strangers alone. `value` is inbox − 5 · (spam + complaints) over *all* messages, so that it follows from the other
figures. `days_to_target` is the first day on which the mean of a mailbox's inbox placements over five days reaches
0.8 · target; where fewer than half arrive the median is None, where fewer than nine in ten do, so is p90.

Turns: the lanes that an event of the world hits while they carry at least four messages a day. Where there are turns to
at most 30 % inbox on their first day, those; else all. `braked_within_days` counts the lane's sending days from the
event's first (1) to the first on which it was slowed or halted at any time; a lane that is never braked is never in
time, so a percentile that falls among those is None. `recovered_share`: of the lanes hit, those that afterwards were
sound again and carried 0.8 of what they had carried before.

A false brake is a brake that began on a day all of which the true spam probability was below 5 %. A receiver of another
make (`outside`) tells no truth: then there are none to count, and every message counts as a stranger's.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.tally import Course, Tally
from warmup.policy.standing import Standing

DEAR: Final = 5
NEAR: Final = 0.8
OVER_DAYS: Final = 5
BUSY: Final = 4.0
TURNED: Final = 0.7
HARMLESS: Final = 0.05

_COUNTS: Final = ("sent", "inbox", "spam", "missing", "deferred", "refused", "complaints")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One lane that an event hit. `spam` is the greatest true spam probability of the first day."""

    spam: float
    braked_within: int | None
    recovered: bool


@dataclass(slots=True, kw_only=True)
class Account:
    """What one or more domains add up to; small enough to be sent from process to process, and added up."""

    mailboxes: int = 0
    lane_days: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))
    strangers: list[int] = field(default_factory=list)
    stranger_spam: list[int] = field(default_factory=list)
    daily_sent: list[int] = field(default_factory=list)
    daily_inbox: list[int] = field(default_factory=list)
    daily_spam: list[int] = field(default_factory=list)
    arrivals: list[int | None] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    false_brakes: int | None = 0

    def add(self, other: "Account") -> None:
        """Take the other's figures in."""
        self.mailboxes += other.mailboxes
        self.lane_days += other.lane_days
        self.counts = {name: count + other.counts[name] for name, count in self.counts.items()}
        for mine, theirs in (
            (self.strangers, other.strangers),
            (self.stranger_spam, other.stranger_spam),
            (self.daily_sent, other.daily_sent),
            (self.daily_inbox, other.daily_inbox),
            (self.daily_spam, other.daily_spam),
        ):
            mine.extend([0] * (len(theirs) - len(mine)))
            mine[:] = [one + another for one, another in zip(mine, theirs, strict=True)]
        self.arrivals += other.arrivals
        self.turns += other.turns
        if self.false_brakes is not None and other.false_brakes is not None:
            self.false_brakes += other.false_brakes
        else:
            self.false_brakes = None

    @property
    def value(self) -> float:
        """Per mailbox."""
        return (self.counts["inbox"] - DEAR * (self.counts["spam"] + self.counts["complaints"])) / self.mailboxes


def account_of(setting: Setting, course: Course, *, target: int) -> Account:
    """One domain's course in figures."""
    width = len(setting.receivers)
    account = Account(mailboxes=len(course.boxes), lane_days=len(course.days) * width * len(course.boxes))
    for day in course.days:
        for name in _COUNTS:
            account.counts[name] += sum(getattr(tally, name) for tally in day)
        account.strangers.append(sum(tally.strangers for tally in day))
        account.stranger_spam.append(sum(tally.stranger_spam for tally in day))
        account.daily_sent.append(sum(tally.sent for tally in day))
        account.daily_inbox.append(sum(tally.inbox for tally in day))
        account.daily_spam.append(sum(tally.spam for tally in day))
    for number, box in enumerate(course.boxes):
        lanes = [[day[number * width + at] for day in course.days] for at in range(width)]
        account.arrivals.append(_arrival([sum(day) for day in zip(*_inboxes(lanes), strict=True)], target))
        for at, lane in enumerate(lanes):
            account.turns += _turns(setting, lane, box, setting.receivers[at])
            false = _false_brakes(lane)
            account.false_brakes = None if false is None else (account.false_brakes or 0) + false
    return account


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysToTarget:
    """Over the mailboxes of a run."""

    median: float | None
    p90: float | None
    reached_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakedWithin:
    """Over the lanes that turned."""

    median: float | None
    p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """A ramp under one controller, judged. Counts are means per mailbox."""

    ramp: str
    controller: str
    target: int
    mailboxes: int
    sent: float
    inbox: float
    spam: float
    missing: float
    deferred: float
    refused: float
    complaints: float
    spam_share: float
    value: float
    worst_day_spam_share: float
    days_to_target: DaysToTarget
    braked_within_days: BrakedWithin | None
    recovered_share: float | None
    false_brakes_per_lane_week: float | None

    def document(self) -> dict[str, object]:
        """As `simulate --json` prints it."""
        return asdict(self)


def measures_of(account: Account, *, ramp: str, controller: str, target: int, has_events: bool) -> Measures:
    """The figures of `account` under their names."""
    boxes, is_ours = account.mailboxes, controller == "adaptive"
    turned = [turn for turn in account.turns if turn.spam >= TURNED] or account.turns
    weeks = account.lane_days / 7
    return Measures(
        ramp=ramp,
        controller=controller,
        target=target,
        mailboxes=boxes,
        **{name: round(count / boxes, 4) for name, count in account.counts.items()},
        spam_share=_share(sum(account.stranger_spam), sum(account.strangers)),
        value=round(account.value, 3),
        worst_day_spam_share=_worst(account),
        days_to_target=_days_to_target(account.arrivals),
        braked_within_days=_braked(turned) if has_events and is_ours else None,
        recovered_share=_share(sum(turn.recovered for turn in account.turns), len(account.turns), of_none=1.0)
        if has_events and is_ours
        else None,
        false_brakes_per_lane_week=round(account.false_brakes / weeks, 6)
        if is_ours and account.false_brakes is not None
        else None,
    )


def percentile(values: Iterable[float | None], share: float) -> float | None:
    """The nearest-rank percentile; None counts as later than all, and so does nothing at all."""
    ranked = sorted(math.inf if value is None else value for value in values)
    if not ranked:
        return None
    found = ranked[max(0, math.ceil(share * len(ranked)) - 1)]
    return None if math.isinf(found) else float(found)


def _days_to_target(arrivals: Sequence[int | None]) -> DaysToTarget:
    reached = sum(arrival is not None for arrival in arrivals)
    return DaysToTarget(
        median=percentile(arrivals, 0.5),
        p90=percentile(arrivals, 0.9),
        reached_share=_share(reached, len(arrivals)),
    )


def _braked(turns: Sequence[Turn]) -> BrakedWithin:
    within = [turn.braked_within for turn in turns]
    return BrakedWithin(median=percentile(within, 0.5), p95=percentile(within, 0.95))


def _inboxes(lanes: Sequence[Sequence[Tally]]) -> list[list[int]]:
    return [[tally.inbox for tally in lane] for lane in lanes]


def _arrival(inbox: Sequence[int], target: int) -> int | None:
    """The first day, from 1, whose last five brought in 0.8 · target a day on average."""
    for day in range(OVER_DAYS, len(inbox) + 1):
        if sum(inbox[day - OVER_DAYS : day]) >= NEAR * target * OVER_DAYS - 1e-9:
            return day
    return None


def _turns(setting: Setting, lane: Sequence[Tally], box: int, receiver: str) -> list[Turn]:
    turns = []
    for event in setting.world.events:
        hit = event.covers(event.day, receiver, index=box, mailboxes=setting.mailboxes)
        before = _mean([tally.sent for tally in lane[max(0, event.day - 4) : event.day - 1]])
        if hit and before >= BUSY and event.day <= len(lane):
            turns.append(
                Turn(
                    spam=lane[event.day - 1].true_spam or 0.0,
                    braked_within=_braked_within(lane[event.day - 1 : event.day - 1 + event.days]),
                    recovered=_recovered(lane[event.day - 1 :], before),
                )
            )
    return turns


def _braked_within(hit: Sequence[Tally]) -> int | None:
    active = 0
    for tally in hit:
        active += tally.target > 0
        if tally.standing is not None and tally.standing.is_braked:
            return max(1, active)
    return None


def _recovered(since: Sequence[Tally], before: float) -> bool:
    braked = [at for at, tally in enumerate(since) if tally.standing is not None and tally.standing.is_braked]
    after = since[braked[0] :] if braked else since
    back = [tally for tally in after if tally.standing is Standing.SOUND]
    return any(tally.target >= NEAR * before for tally in back)


def _false_brakes(lane: Sequence[Tally]) -> int | None:
    """Brakes that began on a harmless day; None where the truth is not known."""
    false, was_braked = 0, False
    for tally in lane:
        if tally.true_spam is None:
            return None
        is_braked = tally.standing is not None and tally.standing.is_braked
        false += is_braked and not was_braked and tally.true_spam < HARMLESS
        was_braked = is_braked
    return false


def _worst(account: Account) -> float:
    days = zip(account.stranger_spam, account.strangers, account.daily_sent, strict=True)
    return max((_share(spam, seen) for spam, seen, sent in days if sent >= account.mailboxes and seen), default=0.0)


def _share(part: float, whole: float, *, of_none: float = 0.0) -> float:
    return round(part / whole, 6) if whole else of_none


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
