"""At which instants of the day the messages go: like a person's, seeded, never on a grid and never in a burst.

The day is cut into as many shares as there are messages, each holding the same part of a working day's bustle (busy in
the middle of the morning, quiet at noon), and every message falls somewhere in its own share. So the instants are
irregular, and yet an hour never holds more than its part and two. What does not fit with the minimum gap between any
two is left out, not squeezed in.
"""

import random
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

from warmup.policy.window import Span

# How busy each tenth of the open time is; by an office's hours, 8 to 18, the dip is from noon to two.
BUSTLE: Final = (0.6, 1.1, 1.5, 1.4, 0.8, 0.7, 1.2, 1.2, 0.9, 0.6)

# Above this part of the time taken by gaps the instants would be a grid, whatever is drawn.
_FULLEST: Final = 0.7
_TIGHTEST: Final = timedelta(seconds=2)
_WIDEST: Final = timedelta(minutes=5)
_MICROSECOND: Final = timedelta(microseconds=1)


def due_times(
    n: int,
    spans: Sequence[Span],
    rng: random.Random,
    *,
    not_before: datetime | None = None,
    minimum_gap: timedelta,
    bustle: Sequence[float] = BUSTLE,
) -> tuple[datetime, ...]:
    """Up to `n` instants inside `spans`, in order, none before `not_before`, any two at least `minimum_gap` apart.

    Fewer than `n` where they do not fit: `fitting` says how many do. `bustle` is that of the whole of `spans` in equal
    parts, also where only its end is left.
    """
    whole, passed = _length(spans), _passed(spans, not_before)
    n = min(n, _fitting(whole - passed, minimum_gap))
    if n <= 0:
        return ()
    busy = [part * rng.uniform(0.75, 1.25) for part in bustle]
    first = _bustle_until(passed / whole, busy)
    shares = (first + (1 - first) * (index + rng.random()) / n for index in range(n))
    left, until = whole - passed, tuple(accumulate(busy))
    drawn = sorted(min(max(_when(share, busy, until) * whole - passed, 0.0), left - 1) for share in shares)
    # Whole microseconds all through: a gap must not lose one to rounding.
    gap = minimum_gap // _MICROSECOND
    shrink = (left - 1 - (n - 1) * gap) / left
    return tuple(_instant(spans, passed + int(at * shrink) + index * gap) for index, at in enumerate(drawn))


def fitting(spans: Sequence[Span], *, not_before: datetime | None = None, minimum_gap: timedelta) -> int:
    """How many instants `due_times` finds room for."""
    return _fitting(_length(spans) - _passed(spans, not_before), minimum_gap)


def usual_gap(n: int, spans: Sequence[Span], *, per_minute: int | None = None) -> timedelta:
    """The minimum gap for `n` messages: a quarter of their mean distance, 2 seconds to 5 minutes.

    Two seconds are 30 messages a minute, what Exchange Online allows (FACTS, Sending limits); never less than the gap
    of `per_minute`, what the sender's own provider allows.
    """
    mean = timedelta(microseconds=_length(spans)) / max(n, 1)
    tightest = max(_TIGHTEST, timedelta(minutes=1) / per_minute) if per_minute else _TIGHTEST
    return max(min(mean / 4, _WIDEST), tightest)


def trimmed(spans: Sequence[Span], grace: timedelta) -> tuple[Span, ...]:
    """`spans` less the last `grace` of each, at most half of it: who is due then may be late and still inside."""
    return tuple(Span(span.start, span.end - min(grace, span.length / 2)) for span in spans)


def share_left(spans: Sequence[Span], now: datetime, bustle: Sequence[float] = BUSTLE) -> float:
    """The part of the spans' bustle that is still to come at `now`, 0 to 1: how much of a day's volume fits."""
    whole = _length(spans)
    return 1 - _bustle_until(_passed(spans, now) / whole, bustle) if whole else 0.0


def _length(spans: Sequence[Span]) -> int:
    return sum(span.length // _MICROSECOND for span in spans)


def _passed(spans: Sequence[Span], now: datetime | None) -> int:
    """Microseconds of open time before `now`."""
    if now is None:
        return 0
    return sum((min(max(now, span.start), span.end) - span.start) // _MICROSECOND for span in spans)


def _fitting(left: int, minimum_gap: timedelta) -> int:
    gap = max(minimum_gap // _MICROSECOND, 1)
    # One message needs no gap to another.
    return 0 if left <= 1 else 1 + int((left - 1) * _FULLEST) // gap


def _bustle_until(part: float, bustle: Sequence[float]) -> float:
    """Which part of the bustle has passed when `part` of the time has."""
    tenth = min(int(part * len(bustle)), len(bustle) - 1)
    return (sum(bustle[:tenth]) + bustle[tenth] * (part * len(bustle) - tenth)) / sum(bustle)


def _when(share: float, bustle: Sequence[float], until: Sequence[float]) -> float:
    """Which part of the time has passed when `share` of the bustle has: the inverse of `_bustle_until`.

    `until` is what has passed of it at the end of each part.
    """
    sought = share * sum(bustle)
    tenth = bisect_left(until, sought)
    if tenth == len(until):
        return 1.0
    return (tenth + 1 - (until[tenth] - sought) / bustle[tenth]) / len(bustle)


def _instant(spans: Sequence[Span], offset: int) -> datetime:
    """The instant at which `offset` microseconds of open time have passed."""
    left = offset * _MICROSECOND
    for span in spans:
        if left < span.length:
            return span.start + left
        left -= span.length
    raise ValueError(f"the spans hold less than {offset} microseconds")
