"""May this slot go, now? The one pure question behind every claim.

`may_go` is asked inside the claim's own transaction and answers Go, Wait or Lapse for every situation; it raises
nothing. What it promises (DESIGN, Promises 1 to 4): never a second attempt unless the first was certainly not taken;
never past grace; never above the day's target, a braked lane's share, the account's or the domain's wall; never more
in a minute than the provider takes; and, where `pace` is known, never more in an hour than was due in an hour, so that
a backlog is not sent in a heap.

The wall counts a message from its claim until 24 hours after its *outcome*, plus a margin. A server counts from its
own acceptance, which lies between the two: counted from the claim alone, a late acceptance would overflow its window.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique
from fractions import Fraction
from typing import Final, assert_never

from warmup.policy.fate import Outcome
from warmup.policy.mailbox import State
from warmup.policy.standing import Standing

DAY: Final = timedelta(hours=24)
OWN_FRESH: Final = timedelta(minutes=60)


@unique
class Hindrance(StrEnum):
    """Why a slot waits or lapses."""

    GRACE = "grace"
    STANDING = "standing"
    TARGET = "target"
    LIMIT = "limit"
    DOMAIN = "domain"
    PACE = "pace"
    RATE = "rate"
    OWN_TRAFFIC = "own_traffic"
    HELD = "held"
    PAUSED = "paused"
    UNVERIFIED = "unverified"
    REMOVED = "removed"
    RECIPIENT = "recipient"
    SUPPRESSED = "suppressed"
    DEFERRED = "deferred"
    IN_FLIGHT = "in_flight"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAttempt:
    """The slot's latest attempt; `outcome` None is in flight, `retry_at` None after DEFERRED is given up."""

    ordinal: int
    outcome: Outcome | None
    retry_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.ordinal < 1:
            raise ValueError(f"attempts are numbered from 1, got {self.ordinal}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """A rolling limit: `used` of `limit` messages in 24 hours, of which `reserve` stay free.

    `used` is a `window_count`. `room_at` is when the next counted message leaves the window; None where that is not
    known, and while one in flight may still turn out not to count.
    """

    used: int
    limit: int
    reserve: int = 0
    room_at: datetime | None = None

    @property
    def is_full(self) -> bool:
        """True where one more message would break the limit or the reserve."""
        return self.used + self.reserve >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """This mailbox's last 60 minutes: messages `sent` (as a wall counts them) and slots that fell `due`.

    A slot may go late only in the place of one that did not go: the first hour after an outage is a normal hour.
    `room_at` is 60 minutes after the oldest of those sent.
    """

    sent: int
    due: int
    room_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What the provider takes in a minute: `sent` of `limit` in the last 60 seconds, in flight included.

    `room_at` is 60 seconds after the oldest of those whose outcome is known.
    """

    sent: int
    limit: int
    room_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDay:
    """The slot's lane on the slot's date: what was planned, how it stands now, what went (in flight included)."""

    standing_planned: Standing
    factor_planned: float
    target: int
    standing_now: Standing
    factor_now: float
    sent: int

    @property
    def room(self) -> int:
        """Messages this lane may still send that day, never negative.

        A lane braked since it was planned sends no more that day: what shows a turn is most of the last messages, and
        the next would go the same way. One halted since keeps nothing either, and one planned under the halt keeps its
        probes. A lane freed since gets no more than was planned.
        """
        allowed = self.target
        if self.standing_now.is_braked and self.standing_now.gravity > self.standing_planned.gravity:
            allowed = 0
        elif self.factor_now < self.factor_planned:
            # A product of floats may miss a whole number by a hair, and ceil would add a message for it.
            allowed = math.ceil(self.target * self.factor_now / self.factor_planned - 1e-9)
        return max(0, allowed - self.sent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that decides whether a slot may go, read in the claim's own transaction.

    `recipient_suppressed`: a server said that the address takes no mail. `day_sent` counts the mailbox's accepted,
    uncertain and in flight of the slot's date. `own_reading_at` is the last successful reading of the operator's own
    traffic. `held_until` pauses all sending, or the lane's (after a restore, or by a server's own word). `domain` None:
    no wall. `pace` None: not asked for. `rate` None: the provider names none.
    """

    now: datetime
    due_at: datetime
    grace: timedelta
    mailbox_state: State
    sender_verified: bool = True
    recipient_state: State
    recipient_suppressed: bool = False
    own_reading_at: datetime | None
    own_fresh: timedelta = OWN_FRESH
    held_until: datetime | None = None
    lane: LaneDay
    day_target: int
    day_sent: int
    account: Wall
    domain: Wall | None = None
    pace: Pace | None = None
    rate: Rate | None = None
    last: LastAttempt | None = None

    @property
    def deadline(self) -> datetime:
        """The last instant at which the slot may go."""
        return self.due_at + self.grace


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Claim it now, as attempt `ordinal`."""

    ordinal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Not now. `until` is the earliest instant worth asking again; None: the next tick."""

    until: datetime | None
    reason: Hindrance


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapse:
    """Never."""

    reason: Hindrance


Question = Callable[[Situation], Wait | Lapse | None]


def may_go(situation: Situation) -> Go | Wait | Lapse:
    """Whether the slot goes, waits or lapses.

    A slot that is in flight or has ended gets a Wait without an instant: it is neither to be claimed nor to lapse.
    """
    last = situation.last
    if last is not None and last.outcome is not Outcome.DEFERRED:
        return Wait(until=None, reason=Hindrance.IN_FLIGHT if last.outcome is None else Hindrance.ENDED)
    hindrance = _first_hindrance(_QUESTIONS, situation)
    late = situation.now > situation.deadline
    match hindrance:
        case None:
            return Lapse(reason=Hindrance.GRACE) if late else Go(ordinal=1 if last is None else last.ordinal + 1)
        case Lapse():
            return hindrance
        case Wait():
            hopeless = late or _is_after(hindrance.until, situation.deadline)
            return Lapse(reason=hindrance.reason) if hopeless else hindrance
        case _:
            assert_never(hindrance)


def may_test(situation: Situation) -> Go | Wait | Lapse:
    """Whether a message that a person asked for goes now: once, as attempt 1, or not at all.

    It belongs to no day and no lane, so that no target, brake or pace speaks of it. The walls, a server's word to wait,
    a pause and the reading of own traffic hold for it as for any other.
    """
    if situation.last is not None:
        return Wait(until=None, reason=Hindrance.ENDED)
    return _first_hindrance(_QUESTIONS_OF_A_TEST, situation) or Go(ordinal=1)


def window_count(
    now: datetime,
    *,
    outcomes: Iterable[datetime],
    in_flight: int,
    own: Iterable[datetime] = (),
    margin: timedelta,
) -> int:
    """Messages that still count against a rolling limit at `now`.

    `outcomes` are the instants of outcomes that count (accepted, uncertain; kept uses of purged mailboxes too), which
    leave 24 hours and `margin` later; `own` are the operator's own messages, which leave after 24 hours, since their
    server said when they went. What is in flight counts always: its acceptance is yet to come.
    """
    ours = sum(at > now - DAY - margin for at in outcomes)
    return ours + in_flight + sum(at > now - DAY for at in own)


def reserve(limit: int, ratio: float) -> int:
    """Messages of `limit` kept free for the operator's own traffic: `ratio` of it rounded up, never all of it."""
    # The ratio as it was written: 0.1 · 70 is more than 7 in floats.
    return min(limit - 1, math.ceil(limit * Fraction(str(ratio))))


def _first_hindrance(questions: Iterable[Question], situation: Situation) -> Wait | Lapse | None:
    return next((answer for ask in questions if (answer := ask(situation)) is not None), None)


def _presence(situation: Situation) -> Wait | Lapse | None:
    if State.REMOVED in (situation.mailbox_state, situation.recipient_state):
        return Lapse(reason=Hindrance.REMOVED)
    if situation.recipient_suppressed:
        return Lapse(reason=Hindrance.SUPPRESSED)
    if not situation.sender_verified or situation.mailbox_state is State.UNVERIFIED:
        return Wait(until=None, reason=Hindrance.UNVERIFIED)
    if situation.mailbox_state is not State.ACTIVE:
        return Wait(until=None, reason=Hindrance.PAUSED)
    if situation.recipient_state is not State.ACTIVE:
        return Wait(until=None, reason=Hindrance.RECIPIENT)
    return None


def _given_up(situation: Situation) -> Lapse | None:
    given_up = situation.last is not None and situation.last.retry_at is None
    return Lapse(reason=Hindrance.DEFERRED) if given_up else None


def _brake(situation: Situation) -> Lapse | None:
    if situation.day_sent >= situation.day_target:
        return Lapse(reason=Hindrance.TARGET)
    return Lapse(reason=Hindrance.STANDING) if situation.lane.room == 0 else None


def _hold(situation: Situation) -> Wait | None:
    held = _is_after(situation.held_until, situation.now)
    return Wait(until=situation.held_until, reason=Hindrance.HELD) if held else None


def _retry(situation: Situation) -> Wait | None:
    last = situation.last
    if last is None or not _is_after(last.retry_at, situation.now):
        return None
    return Wait(until=last.retry_at, reason=Hindrance.DEFERRED)


def _own_traffic(situation: Situation) -> Wait | None:
    read_at = situation.own_reading_at
    stale = read_at is None or situation.now - read_at > situation.own_fresh
    return Wait(until=None, reason=Hindrance.OWN_TRAFFIC) if stale else None


def _walls(situation: Situation) -> Wait | None:
    if situation.account.is_full:
        return Wait(until=_ahead(situation.account.room_at, situation.now), reason=Hindrance.LIMIT)
    if situation.domain is not None and situation.domain.is_full:
        return Wait(until=_ahead(situation.domain.room_at, situation.now), reason=Hindrance.DOMAIN)
    return None


def _pace(situation: Situation) -> Wait | None:
    pace = situation.pace
    # One is always a normal hour: a slot that waited its turn is not due in this hour any more.
    if pace is None or pace.sent < max(1, pace.due):
        return None
    return Wait(until=_ahead(pace.room_at, situation.now), reason=Hindrance.PACE)


def _rate(situation: Situation) -> Wait | None:
    rate = situation.rate
    if rate is None or rate.sent < rate.limit:
        return None
    return Wait(until=_ahead(rate.room_at, situation.now), reason=Hindrance.RATE)


# The first that hinders names the reason: what an operator can mend comes before what passes by itself.
_QUESTIONS: Final[tuple[Question, ...]] = (
    _presence,
    _given_up,
    _brake,
    _hold,
    _own_traffic,
    _retry,
    _walls,
    _pace,
    _rate,
)
_QUESTIONS_OF_A_TEST: Final[tuple[Question, ...]] = (_presence, _hold, _own_traffic, _walls)


def _is_after(instant: datetime | None, other: datetime) -> bool:
    return instant is not None and instant > other


def _ahead(instant: datetime | None, now: datetime) -> datetime | None:
    return instant if _is_after(instant, now) else None
