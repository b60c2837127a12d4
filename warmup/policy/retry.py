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

_GREY_WORDS: Final = ("greylist", "graylist", "grey-list", "gray-list", "grey list", "gray list")
# RFC 3463: the recipient (full, too busy), a full system, too many recipients, policy.
_NOT_TODAY: Final = ("4.2.", "4.3.1.", "4.5.3.", "4.7.")


def patience(deferral: Deferred) -> Patience:
    """How `deferral` is to be taken; an unknown one gets the ordinary wait."""
    reply = deferral.reply
    if reply is None:
        return Patience.SOON
    if _is_greylisting(reply):
        return Patience.GREYLISTED
    if reply.status is not None and f"{reply.status}.".startswith(_NOT_TODAY):
        return Patience.NOT_TODAY
    return Patience.LATER


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

    Each wait is twice the one before. Never after `due_at` + `grace`.
    """
    wait = _first_wait(patience(deferral))
    left = due_at + grace - now
    if wait is None or (wait := wait * 2.0 ** (ordinal - 1)) > left:
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


def _is_greylisting(reply: Reply) -> bool:
    # 451 4.7.1 is what greylisting servers say (RFC 6647 5 names 450 and 451); 421 with it is a door being closed.
    text = reply.text.lower()
    said = any(word in text for word in _GREY_WORDS)
    return said or (reply.code in (450, 451) and reply.status == "4.7.1")
