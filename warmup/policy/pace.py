"""How fast a receiver takes a growing volume: a default by receiver, in shares of the lane's full volume.

The figures are a vendor's (FACTS.md, "Default speed by receiver": share of full volume at day 7, 14, 21 and 30; Gmail
40, 75, 100, 100 %, Outlook 10, 30, 60, 90, Yahoo 5, 15, 35, 70, iCloud 3, 8, 20, 50) and stand with the presets. Days
are the lane's levels, so days on which it really sent. Between them the share climbs evenly, and beyond the last by its
last slope.
A handful of messages a day is no volume to any receiver: `FREE` of them are never held back.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

DAYS: Final = (7, 14, 21, 30)
"""The levels the figures stand for."""

FREE: Final = 5.0
"""Messages a day that no pace holds back: where mailbox-level tools begin (FACTS.md)."""


def paced(pace: Sequence[float], full: float, level: int) -> float:
    """The most messages a day for a lane at `level` whose full volume is `full`; `pace` () is no bound: `full`.

    Never falls as the level climbs.
    """
    if not pace:
        return full
    points = [(0, 0.0), *zip(DAYS, pace, strict=True)]
    for (day, share), (after, more) in pairwise(points):
        if level <= after:
            return _at_least(full, share + (more - share) * (level - day) / (after - day))
    (day, share), (after, more) = points[-2:]
    slope = max((more - share) / (after - day), 1 / after)
    return _at_least(full, more + slope * (level - after))


def _at_least(full: float, share: float) -> float:
    return min(full, max(FREE, share * full))
