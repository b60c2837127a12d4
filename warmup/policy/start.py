"""Where a ramp begins for a mailbox that sends already: as high as it went lately, and no higher.

Read from the dates of what it sent by itself (its Sent folder) in the `LOOKBACK` before. What counts is a usual day,
not a busy one: the lower median over the days it sent on, and never more than its mean over the working days there
were.
Somebody who sent on fewer than `FEWEST_DAYS`, or not in the last week, is a beginner: the ramp begins at its start.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median_low
from typing import Final

from warmup.policy.ramp import Ramp

LOOKBACK: Final = timedelta(days=28)
FEWEST_DAYS: Final = 10
_LATELY: Final = timedelta(days=7)
_WORKING_DAYS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The level a ramp begins at and its ceiling there, with what was found: messages, days, a usual day's volume."""

    level: int
    ceiling: int
    messages: int
    days: int
    usual: int

    @property
    def said(self) -> str:
        """In words, for the operator."""
        found = f"{self.messages} messages on {self.days} days of the last {LOOKBACK.days}"
        if self.usual == 0:
            return f"{found}: too little to begin from, so the ramp begins at {self.ceiling} a day"
        return f"{found}, {self.usual} on a usual day: the ramp begins at level {self.level}, {self.ceiling} a day"


def start(dates: Iterable[date], ramp: Ramp, *, today: date) -> Start:
    """Where `ramp` begins; `dates` are those of the mailbox's own messages, one for each. Today's are left out.

    The ceiling is never above a usual day's volume, unless the ramp's own first day is.
    """
    recent = Counter(on for on in dates if today - LOOKBACK <= on < today)
    usual = 0
    if len(recent) >= FEWEST_DAYS and max(recent) >= today - _LATELY:
        usual = min(median_low(recent.values()), recent.total() // _WORKING_DAYS)
    level = 1
    while ramp.ceiling(level + 1) <= usual and ramp.ceiling(level) < ramp.limit:
        level += 1
    return Start(level=level, ceiling=ramp.ceiling(level), messages=recent.total(), days=len(recent), usual=usual)
