"""How far up its ramp a mailbox or a lane is: a fold over the days it sent on.

A level is left when its day was really sent: a day that half lapsed is repeated, a lane that was held goes on from
where it was held, and a day without sending is no day. A long gap steps back, since receivers forget: one level for
every two days beyond the first week, and after 30 days it starts again (FACTS.md, "Published ramps").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from warmup.policy.standing import Standing

DONE: Final = 0.75
"""The share of a day's volume that has to be accepted for the level to be left."""

HELD: Final = 0.5
"""A mailbox whose target was below this share of its ceiling was held: a single braked lane among three is not."""

FORGOTTEN: Final = timedelta(days=30)
GRACE: Final = timedelta(days=7)
STEP_BACK: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRecord:
    """A mailbox's planned date and what came of it, in messages; `level` as it was then, where that is known.

    `own` is what its operator sent besides.
    """

    date: date
    ceiling: int
    target: int
    accepted: int
    level: int | None = None
    own: int = 0

    @property
    def was_sent(self) -> bool:
        """True where the day counts: what the ramp allowed was wanted, and what was wanted was accepted."""
        return self.accepted >= DONE * self.target and self.target >= HELD * self.ceiling


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDay:
    """A lane's planned date. `ceiling` is the ramp's, `ceiling` · `factor` the volume it was allowed, whole or not.

    `standing` is how it stood when the day was planned, `level` its level then, where that is known.
    """

    date: date
    ceiling: float
    factor: float
    target: int
    accepted: int
    standing: Standing = Standing.SOUND
    level: int | None = None

    @property
    def volume(self) -> float:
        """What the lane was allowed, in messages."""
        return self.ceiling * self.factor

    @property
    def was_sent(self) -> bool:
        """True where the day counts: little was held back, and what was to go was accepted."""
        # A lane of less than a message a day sends every other day; such a day's one message is the whole of it.
        return self.factor >= DONE and self.accepted >= DONE * self.target


def last_active(records: Sequence[LaneDay], *, today: date) -> LaneDay | None:
    """The last day on which the lane sent, or was braked; None where there was none in 30 days.

    A closed window or a pause is no day: the lane goes on with the volume it had before.
    """
    for day in reversed(records):
        if day.target > 0 or day.standing.is_braked:
            return day if today - day.date <= FORGOTTEN else None
    return None


def level(records: Sequence[DayRecord], *, today: date, begin: int = 1) -> int:
    """The mailbox's level on `today`, from 1; `records` are of earlier dates, oldest first.

    The fold starts from the level of the oldest record: it need not reach back to the first day. Where there is none it
    starts from `begin`.
    """
    first = records[0].level if records else None
    return _fold(((day.date, day.accepted, day.was_sent) for day in records), today, first or begin)


def lane_level(records: Sequence[LaneDay], *, today: date, begin: int = 1) -> int:
    """The same of a lane, which climbs only on days it was not held."""
    first = records[0].level if records else None
    return _fold(((day.date, day.accepted, day.was_sent) for day in records), today, first or begin)


def _fold(days: Iterable[tuple[date, int, bool]], today: date, first: int) -> int:
    reached, before = first, None
    for on, accepted, done in days:
        if accepted > 0:
            if before is not None and on - before > GRACE:
                reached = _after_gap(reached, before, on)
            reached += done
            before = on
    return _after_gap(reached, before, today)


def _after_gap(reached: int, before: date | None, on: date) -> int:
    if before is None:
        return reached
    gap = on - before
    if gap > FORGOTTEN:
        return 1
    return max(1, reached - max(timedelta(), gap - GRACE) // STEP_BACK)
