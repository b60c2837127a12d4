"""What a server's no means for a login, and when one is not tried again.

Servers lock accounts whose password is guessed at, and ours looks like guessing: a refusal is told here, once for
every door and for what is said in mid-session, from one that says nothing about the credentials.
"""

import re
from collections.abc import Mapping
from typing import Final

from warmup.mail.answer import Reply
from warmup.policy.blame import Cause, blame
from warmup.policy.mailbox import Protocol

TRIES: Final = 2
"""Refusals of an account after which a door that refused is left alone until its operator acts."""

# The server could not check, or was asked too often: the same credentials may be taken later.
_NOT_CHECKED: Final = frozenset({Cause.SYSTEM, Cause.NETWORK})
_ASKS_FOR_TIME: Final = re.compile(r"too many|temporar|try again|rate limit|overload", re.IGNORECASE)


def is_refused(reply: Reply) -> bool:
    """True where the reply is about the credentials, whenever it was said."""
    return blame(reply).cause is Cause.CREDENTIALS


def login_is_refused(reply: Reply) -> bool:
    """True where a reply to a login refuses the credentials. `code` -1 is a no without a number, as in IMAP.

    A no for good does, unless its words say that they could not be checked; one for now does only in so many words.
    """
    found = blame(reply)
    if found.cause is Cause.CREDENTIALS:
        return True
    if found.cause in _NOT_CHECKED or reply.is_transient:
        return False
    return reply.is_permanent or (found.cause is not Cause.RATE and _ASKS_FOR_TIME.search(reply.text) is None)


def is_spent(refusals: Mapping[Protocol, int], protocol: Protocol) -> bool:
    """True where `protocol` must not be tried again. `refusals` are those since each door last opened.

    Both doors mostly take the same password, so the other's refusals count too, as soon as this one refused as well;
    a door that never refused is not judged by the other (some servers have SMTP logins switched off alone).
    """
    return refusals.get(protocol, 0) > 0 and sum(refusals.values()) >= TRIES
