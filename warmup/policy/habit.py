"""A mailbox's own habit: its weekdays, its hours and how busy they are, learned from when it sent its own mail.

Learned from `FEWEST` messages of the last `LOOKBACK` on; with fewer the default holds, unchanged. With more, each hour
of the week is counted and shrunk towards the default, which weighs as much as `PRIOR` messages: so a habit that is
barely known moves the window a little, and one of hundreds of messages is followed. The window is the hours that hold
nine tenths of it, at least `SHORTEST` long; a weekday is on where it has at least a quarter of the busiest one's.

The instants are local time, and nothing but instants is known of the messages.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import accumulate
from typing import Final
from zoneinfo import ZoneInfo

from warmup.policy.mailbox import Hours
from warmup.policy.spacing import BUSTLE

LOOKBACK: Final = timedelta(days=60)
FEWEST: Final = 50
PRIOR: Final = 25.0
SHORTEST: Final = 4
"""Hours: a shorter window would put a day's messages into a heap."""

_TAIL: Final = 0.05
_IS_ON: Final = 0.25
_DAY: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """When mail is sent: the window, and how busy each tenth of it is. `seen` are the own messages it was learned from.

    `learned` False: too few, so that it is the default's.
    """

    hours: Hours
    bustle: tuple[float, ...] = BUSTLE
    seen: int = 0
    learned: bool = False

    @property
    def said(self) -> str:
        """In words, for the operator."""
        if self.learned:
            return f"learned from {self.seen} own messages"
        return f"{self.seen} own messages seen, {FEWEST} are needed; until then the usual window"


def habit(instants: Iterable[datetime], zone: ZoneInfo, default: Hours) -> Habit:
    """The habit shown by own messages sent at `instants`; `default` is its window until there are enough."""
    local = [instant.astimezone(zone) for instant in instants]
    if len(local) < FEWEST:
        return Habit(hours=default, seen=len(local))
    by_hour, by_day = [0.0] * _DAY, [0.0] * 7
    for at in local:
        by_hour[at.hour] += 1
        by_day[at.weekday()] += 1
    hours = [n + PRIOR * share for n, share in zip(by_hour, _usual_hours(default), strict=True)]
    weekdays = [n + (PRIOR / len(default.days) if day in default.days else 0.0) for day, n in enumerate(by_day)]
    first, last = _window(hours)
    busiest = max(weekdays)
    window = Hours(
        days=frozenset(day for day, n in enumerate(weekdays) if n >= _IS_ON * busiest),
        start=time(first),
        end=time(last + 1) if last + 1 < _DAY else time(23, 59),
        closed=default.closed,
    )
    return Habit(hours=window, bustle=_bustle(hours[first : last + 1]), seen=len(local), learned=True)


def _usual_hours(default: Hours) -> list[float]:
    """The default's share of each hour of the day, by the usual bustle."""
    begin, end = _hour(default.start), _hour(default.end)
    return [_until(begin, end, hour + 1) - _until(begin, end, hour) for hour in range(_DAY)]


def _hour(at: time) -> float:
    return at.hour + at.minute / 60


def _until(begin: float, end: float, hour: float) -> float:
    """The share of a default day's bustle that has passed at `hour`."""
    tenths = min(max((hour - begin) / (end - begin), 0.0), 1.0) * len(BUSTLE)
    whole = int(tenths)
    passed = sum(BUSTLE[:whole]) + (BUSTLE[whole] * (tenths - whole) if whole < len(BUSTLE) else 0.0)
    return passed / sum(BUSTLE)


def _window(hours: Sequence[float]) -> tuple[int, int]:
    """The first and the last hour of what holds all but a tail at either end, widened to the shortest allowed."""
    total, passed = sum(hours), list(accumulate(hours))
    first = next(hour for hour in range(_DAY) if passed[hour] > _TAIL * total)
    last = next(hour for hour in range(_DAY) if passed[hour] >= (1 - _TAIL) * total - 1e-9)
    while last - first + 1 < SHORTEST:
        later = first == 0 or (last < _DAY - 1 and hours[last + 1] >= hours[first - 1])
        first, last = (first, last + 1) if later else (first - 1, last)
    return first, last


def _bustle(hours: Sequence[float]) -> tuple[float, ...]:
    """How busy each tenth of the window is, around 1; no tenth is dead, since somebody was there."""
    parts, mean = len(BUSTLE), sum(hours) / len(hours)
    found = []
    for part in range(parts):
        begin, end = part * len(hours) / parts, (part + 1) * len(hours) / parts
        overlap = (
            hours[hour] * (min(end, hour + 1) - max(begin, hour))
            for hour in range(math.floor(begin), min(math.ceil(end), len(hours)))
        )
        found.append(max(0.2, sum(overlap) / (end - begin) / mean))
    return tuple(found)
