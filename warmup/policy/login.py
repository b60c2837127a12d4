"""When a login is not tried again: servers lock accounts whose password is guessed at, and ours looks like guessing."""

from collections.abc import Mapping
from typing import Final

from warmup.policy.mailbox import Protocol

TRIES: Final = 2
"""Refusals of an account after which a door that refused is left alone until its operator acts."""


def is_spent(refusals: Mapping[Protocol, int], protocol: Protocol) -> bool:
    """True where `protocol` must not be tried again. `refusals` are those since each door last opened.

    Both doors mostly take the same password, so the other's refusals count too, as soon as this one refused as well;
    a door that never refused is not judged by the other (some servers have SMTP logins switched off alone).
    """
    return refusals.get(protocol, 0) > 0 and sum(refusals.values()) >= TRIES
