"""When to try a deferred slot again, inside its grace, or to give it up.

Most deferrals pass: greylisting ends after minutes, a lost connection at once. Some are the receiver's word that there
is too much of us already, and each further try is held against us (Yahoo's TSS04 asks for two hours, Gmail's unusual
rate for half an hour: FACTS); those are given up at the first, and the judge hears of them. A slot is never tried past
its grace, so nothing is retried for days. A refused login is no deferral: nothing had been claimed.
"""

import random
from datetime import datetime, timedelta
from enum import Enum, unique
from typing import Final, assert_never

from warmup.mail.answer import Deferred, Reply
from warmup.policy.blame import Cause, blame


@unique
class Patience(Enum):
    """What a deferral asks for."""

    SOON = "soon"
    GREYLISTED = "greylisted"
    LATER = "later"
    NOT_TODAY = "not_today"


# Postgrey's default is 5 minutes and few ask for more than 15: two tries, 6 and 18 minutes at the least, see both out.
_GREYLISTED: Final = timedelta(minutes=6)
_SOON: Final = timedelta(minutes=1)
_LATER: Final = timedelta(minutes=5)
# Each wait is stretched by up to half, so that slots deferred together do not come back together.
_STRETCH: Final = 0.5

# What minutes do not mend, or what is held against whoever asks again (policy/blame).
_NOT_TODAY: Final = frozenset(Cause) - {Cause.NETWORK, Cause.SYSTEM, Cause.PROTOCOL, Cause.UNKNOWN}
# RFC 3463 3.4: a full system stays full for longer than a slot waits; 3.6: too many recipients is a rate; 3.8: policy,
# whatever the words make of it.
_NOT_TODAY_STATUS: Final = ("4.3.1.", "4.5.3.", "4.7.")


def patience(deferral: Deferred) -> Patience:
    """How `deferral` is to be taken; an unknown one gets the ordinary wait."""
    reply = deferral.reply
    if reply is None:
        return Patience.SOON
    found = blame(reply)
    if is_greylisting(reply):
        return Patience.GREYLISTED
    if found.cause in _NOT_TODAY or f"{reply.status}.".startswith(_NOT_TODAY_STATUS):
        return Patience.NOT_TODAY
    return Patience.LATER


def is_greylisting(reply: Reply) -> bool:
    """True where the server wants no more than to see us again."""
    return blame(reply).greylisted


def next_try(
    deferral: Deferred,
    *,
    ordinal: int,
    now: datetime,
    due_at: datetime,
    grace: timedelta,
    rng: random.Random,
) -> datetime | None:
    """When to try again after attempt `ordinal` was deferred at `now`; None: give the slot up.

    Each wait is twice the one before, and none is shorter than the server's own word. Never after `due_at` + `grace`.
    """
    wait = _first_wait(patience(deferral))
    left = due_at + grace - now
    asked = blame(deferral.reply).wait if deferral.reply else None
    if wait is None or (wait := max(wait * 2.0 ** (ordinal - 1), asked or wait)) > left:
        return None
    return now + wait + rng.random() * min(wait * _STRETCH, left - wait)


def _first_wait(asked: Patience) -> timedelta | None:
    match asked:
        case Patience.SOON:
            return _SOON
        case Patience.GREYLISTED:
            return _GREYLISTED
        case Patience.LATER:
            return _LATER
        case Patience.NOT_TODAY:
            return None
        case _:
            assert_never(asked)
