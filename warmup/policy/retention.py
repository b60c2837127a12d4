"""How long history is kept: as long as was asked for, and longer where a promise or a judgement still reads it.

What is forgotten is never missed: a message stays until the judge, the levels and the engagements have done with it
(60 days, and whatever lies in a mailbox until it is expired); what only upkeep reads may go after the three days that
the walls can look back; and what a day came to, a sum without a message in it, stays for 400 days at least.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

JUDGED: Final = timedelta(days=62)
"""The judge's and the levels' 60 days (policy/evidence, steps/view), and a day on either side for any zone."""

EXPIRING: Final = timedelta(days=32)
"""How long behind its expiry a message may still be deleted from its mailbox (steps/engage), and two days."""

SUMMED: Final = timedelta(days=400)
"""What a report looks back over at the most, by the sums of days alone."""

LEAST: Final = timedelta(days=3)
"""Longer than any window with its margin: what counts against a limit is never forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizons:
    """Before which instant, or civil date, rows of a kind may go.

    `upkeep`: looks, readings and own messages, holds. `messages`: everything of a message, judgements and retirements.
    `sums`: what dates were planned and came to.
    """

    upkeep: datetime
    messages: date
    sums: date


def horizons(now: datetime, *, days: int, expire_after: timedelta) -> Horizons:
    """What may go at `now` where `days` of history are asked for and messages are expired after `expire_after`."""
    asked = max(timedelta(days=days), LEAST)
    told = max(asked, JUDGED, expire_after + EXPIRING)
    return Horizons(upkeep=now - asked, messages=(now - told).date(), sums=(now - max(told, SUMMED)).date())
