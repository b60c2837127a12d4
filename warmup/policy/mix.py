"""Which part of a mailbox's messages each receiver gets: the mix its operator wants, else that of the world's inboxes.

A receiver nobody names belongs to `other`, whose part is shared out by how many seeds each of them has. Without a mix
of the operator's, only receivers that have seeds count; with one, a receiver that was asked for and has no seed is a
lane all the same, empty until there is one, and it says so. How many seeds a lane wants is said here too.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

OTHER: Final = "other"

WORLD: Final[Mapping[str, float]] = MappingProxyType(
    {
        "gmail": 45.0,
        "microsoft365": 12.0,
        "outlook": 12.0,
        "workspace": 8.0,
        "yahoo": 7.0,
        "icloud": 6.0,
        OTHER: 10.0,
    }
)
"""Parts in a hundred of the world's inboxes, in round figures.

No census of mailboxes exists, and FACTS.md has none. These follow the orders of magnitude that the operators themselves
announced (Gmail 1.5 billion users in 2018, Outlook.com 400 million in 2018, paid Office 365 seats 400 million in 2023,
Yahoo Mail 225 million in 2020), the rest estimated. Who knows better says so in `[pairing] mix`.
"""


def weights(seeds: Mapping[str, int], mix: Mapping[str, float] | None = None) -> dict[str, float]:
    """Each lane's weight, by receiver in order of name; `seeds` are how many there are at each, `mix` the parts wanted.

    Parts need not add up to anything. A part of 0 is no lane.
    """
    parts = mix or WORLD
    named = {receiver: part for receiver, part in parts.items() if receiver != OTHER}
    others = {receiver: n for receiver, n in seeds.items() if receiver not in named}
    total = sum(others.values())
    found = {receiver: part for receiver, part in named.items() if mix or seeds.get(receiver)}
    if total:
        found |= {receiver: parts.get(OTHER, 0.0) * n / total for receiver, n in others.items()}
    return {receiver: weight for receiver, weight in sorted(found.items()) if weight > 0}


def seeds_missing(volumes: Mapping[str, float], seeds: Mapping[str, int], *, seed_daily: int) -> dict[str, int]:
    """How many more seeds each lane needs to carry its `volumes` (messages a day); lanes with enough are left out."""
    wanted = {receiver: math.ceil(volume / seed_daily - 1e-9) for receiver, volume in volumes.items()}
    return {
        receiver: n - seeds.get(receiver, 0) for receiver, n in sorted(wanted.items()) if n > seeds.get(receiver, 0)
    }
