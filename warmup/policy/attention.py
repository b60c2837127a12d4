"""When to look next at a message that is awaited, until it is placed or missing, and once more after.

Looks come soon after the handing over and then ever more rarely: a placement is news while it is fresh, and every look
is a login. The last look of the first stage is at the deadline itself, so that `missing` is found out when it may be
said. After a sighting there are two second looks, since receivers move mail for two days more (FACTS: Microsoft's
zero-hour purge works up to 48 hours after delivery). All instants are in ledger time.
"""

from datetime import datetime, timedelta
from typing import Final

FIRST: Final = timedelta(seconds=60)
MISSING_AFTER: Final = timedelta(hours=24)
SECOND_WITHIN: Final = timedelta(hours=48)
LONGEST: Final = timedelta(hours=2)

# Delivery reports come to the sender, mostly within minutes, sometimes after the days that servers keep trying
# (RFC 5321 4.5.4.1: at least 4 to 5).
LISTEN_FIRST: Final = timedelta(minutes=30)
LISTEN_EVERY: Final = timedelta(hours=4)
LISTEN_FOR: Final = timedelta(days=5)
LISTEN_AGAIN: Final = timedelta(hours=1)
"""A sender's inbox is looked into for reports as long after its last message, so rarely where nothing else calls for a
look, and so soon again where the look failed. A mailbox that sends nothing costs nothing."""

# Of the time that second looks have: one early enough to brake by, one late enough to have seen nearly all.
_SECOND: Final = (1 / 4, 47 / 48)


def first_look(handed_over_at: datetime, *, first: timedelta = FIRST) -> datetime:
    """When to look for the first time."""
    return handed_over_at + first


def deadline(handed_over_at: datetime, *, missing_after: timedelta = MISSING_AFTER) -> datetime:
    """From when on a successful look that finds nothing means missing."""
    return handed_over_at + missing_after


def next_look(
    handed_over_at: datetime,
    now: datetime,
    *,
    first: timedelta = FIRST,
    missing_after: timedelta = MISSING_AFTER,
) -> datetime:
    """When to look again after a look at `now` that did not find the message; always after `now`.

    The age at each look is twice the age at the one before, at most `LONGEST` more. A look falls on the deadline; after
    it (looking had failed) they go on at the longest interval.
    """
    last = deadline(handed_over_at, missing_after=missing_after)
    if now >= last:
        return now + LONGEST
    interval = min(max(now - handed_over_at, first), LONGEST)
    return min(now + interval, last)


def second_look(sighted_at: datetime, now: datetime, *, within: timedelta = SECOND_WITHIN) -> datetime | None:
    """When to look again at a message first seen at `sighted_at`, always after `now`; None where no look is left."""
    looks = (sighted_at + within * part for part in _SECOND)
    return next((look for look in looks if look > now), None)
