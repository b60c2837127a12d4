"""When a mailbox may send: its weekdays, holidays and hours, in its own zone, as spans of UTC.

Open is what the clock on the wall there says: a weekday that is on and no holiday, and a time from `start` to before
`end`. The spans of a date are exactly the instants for which that is so. An hour that a zone skips is not in them, one
that it repeats is in them twice, and no instant belongs to two dates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from warmup.policy.mailbox import Hours

_ONE_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
# No zone is further from UTC, and none changes its offset twice within one step.
_WIDEST: Final = timedelta(hours=16)
_STEP: Final = timedelta(hours=8)
_STEPS: Final = (_ONE_DAY + 2 * _WIDEST) // _STEP


@dataclass(frozen=True, slots=True)
class Span:
    """Instants from `start` to before `end`, both aware UTC, `start` < `end`."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ValueError(f"a span ends after it starts, got {self.start} to {self.end}")

    @property
    def length(self) -> timedelta:
        """The time that passes in it."""
        return self.end - self.start


@lru_cache(maxsize=8192)
def spans(hours: Hours, zone: ZoneInfo, day: date) -> tuple[Span, ...]:
    """The instants of `day` at which sending is allowed, as spans in order that do not touch.

    None on a weekday that is off or a holiday, and none where the zone skips all of the window (a night window in
    spring, or Apia's 30 December 2011).
    """
    if not hours.is_open_on(day):
        return ()
    found: list[Span] = []
    for offset, since, until in _offsets(zone, day):
        start = max(since, _at(day, hours.start, offset))
        end = min(until, _at(day, hours.end, offset))
        if start >= end:
            continue
        if found and found[-1].end == start:
            start = found.pop().start
        found.append(Span(start, end))
    return tuple(found)


def is_open(hours: Hours, zone: ZoneInfo, instant: datetime) -> bool:
    """True where sending is allowed at `instant`."""
    local = instant.astimezone(zone)
    return hours.is_open_on(local.date()) and hours.start <= local.time() < hours.end


def next_open(hours: Hours, zone: ZoneInfo, instant: datetime) -> datetime:
    """`instant` itself where sending is allowed then, else the start of the next span."""
    # A clock that goes back over midnight returns to a date that had ended, so the day before is asked again.
    day = date_of(instant, zone) - _ONE_DAY
    while True:
        near = (span for ahead in range(3) for span in spans(hours, zone, day + ahead * _ONE_DAY))
        starts = [max(span.start, instant) for span in near if instant < span.end]
        if starts:
            return min(starts)
        day += _ONE_DAY


def date_of(instant: datetime, zone: ZoneInfo) -> date:
    """The civil date of `instant` in `zone`."""
    return instant.astimezone(zone).date()


def _at(day: date, at: time, offset: timedelta) -> datetime:
    return datetime.combine(day, at, UTC) - offset


def _offsets(zone: ZoneInfo, day: date) -> Iterator[tuple[timedelta, datetime, datetime]]:
    """The offsets from UTC around `day`, each with the instants since and until it is in force."""
    first = datetime.combine(day, time(), UTC) - _WIDEST
    probes = [first + step * _STEP for step in range(_STEPS + 1)]
    since = first
    for before, after in pairwise(probes):
        if _offset(zone, before) != _offset(zone, after):
            change = _change(zone, before, after)
            yield _offset(zone, before), since, change
            since = change
    yield _offset(zone, probes[-1]), since, probes[-1]


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first whole second in (`before`, `after`] with the offset of `after`."""
    new = _offset(zone, after)
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if _offset(zone, middle) == new:
            after = middle
        else:
            before = middle
    return after


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
