"""What follows at once from a server's word: who is held and for how long. What it says of us, the judge weighs.

Held is the account (a sending limit, an account that was blocked) or one lane of it (a rate); all accounts of a domain,
where an organisation's limit is used up, or their lane to a receiver that says "too much" of the domain; or that lane
of all accounts that hand their mail to the same server, where a receiver objects to the address it comes from. A
greylisting holds nobody: its slot is tried again.

Each hold in a row is twice as long as the one before, from 15 minutes to 8 hours (every published advice ends at some
hours: FACTS, Yahoo's 2 and 4, Google's 24), never shorter than the server's own word, and stretched by chance so that
lanes held together do not come back together. One accepted message starts anew.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, unique
from typing import Final, assert_never

from warmup.mail.answer import Reply
from warmup.policy.blame import Blame, Cause, Permanence, Scope
from warmup.policy.retry import is_greylisting

FIRST: Final = timedelta(minutes=15)
LONGEST: Final = timedelta(hours=8)
BLOCKED: Final = timedelta(hours=24)
"""How long an account is left alone that its provider blocked without saying for how long (FACTS: up to 24 hours)."""

STRETCH: Final = 0.25


@unique
class Whose(Enum):
    """Whose sending a hold is about: one account's, a domain's, or that of all who hand on to one server."""

    ACCOUNT = "account"
    DOMAIN = "domain"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Reach:
    """What a hold is about: all sending, or `lane_only` what goes to one receiving provider."""

    whose: Whose
    lane_only: bool


LANE: Final = Reach(Whose.ACCOUNT, lane_only=True)
ACCOUNT: Final = Reach(Whose.ACCOUNT, lane_only=False)
DOMAIN_LANE: Final = Reach(Whose.DOMAIN, lane_only=True)
DOMAIN: Final = Reach(Whose.DOMAIN, lane_only=False)
SERVER_LANE: Final = Reach(Whose.SERVER, lane_only=True)


def reach(reply: Reply, found: Blame) -> Reach | None:
    """What is held after `reply`, that was found to mean `found`; None: nothing is, whatever else follows."""
    if is_greylisting(reply) or found.cause is Cause.CREDENTIALS:
        return None
    asks_for_time = found.cause is Cause.RATE or found.wait is not None
    match found.scope:
        case Scope.MAILBOX:
            is_blocked = found.cause in (Cause.REPUTATION, Cause.RELAY)
            return ACCOUNT if asks_for_time or is_blocked else None
        case Scope.DOMAIN if found.cause is Cause.RATE:
            # An organisation's used-up limit is no receiver's: it is used up on every lane.
            return DOMAIN
        case Scope.DOMAIN:
            return DOMAIN_LANE if asks_for_time else None
        case Scope.IP:
            # No lane is judged by it, and going on would only repeat it: whoever leaves by that address waits.
            is_objection = found.cause in (Cause.REPUTATION, Cause.AUTHENTICATION)
            return SERVER_LANE if asks_for_time or is_objection else None
        case Scope.LANE | Scope.NETWORK | Scope.MESSAGE:
            return LANE if asks_for_time else None
        case Scope.RECIPIENT:
            return None
        case _:
            assert_never(found.scope)


def pause(found: Blame, *, before: timedelta | None, rng: random.Random) -> timedelta:
    """How long the hold lasts. `before` is the length of the last one, where nothing was accepted since."""
    least = found.wait or (BLOCKED if _is_account_blocked(found) else FIRST)
    doubled = min(LONGEST, 2 * before) if before is not None else least
    wait = max(least, doubled)
    return wait + rng.random() * STRETCH * min(wait, LONGEST)


def wants_one_connection(reply: Reply, found: Blame) -> bool:
    """True where the server that said so should be talked to over one connection at a time for a while."""
    asks_for_time = found.cause is Cause.RATE or found.wait is not None
    return asks_for_time and found.permanence is Permanence.TRANSIENT and not is_greylisting(reply)


def _is_account_blocked(found: Blame) -> bool:
    return found.scope is Scope.MAILBOX and found.cause is Cause.REPUTATION
