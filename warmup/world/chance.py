"""One message's dice: uniform draws that depend on who writes to whom and on the how-many-eth, on nothing else.

A message's luck is a hash, not the next number of a shared generator: so it does not change when other senders'
messages come earlier or later.
"""

import hashlib
import struct
from math import cos, log, pi, sqrt
from typing import NamedTuple

_WORDS = struct.Struct("<10I")
_SCALE = 2.0**-32


class Dice(NamedTuple):
    """Ten independent draws, uniform in (0, 1), each with its one use."""

    defer: float
    refuse: float
    missing: float
    known: float
    spam: float
    engaged: float
    complaint: float
    delay: float
    resort: float
    resort_when: float


def dice(*parts: object) -> Dice:
    """The draws of `parts`, by their str()."""
    return Dice(*[(word + 0.5) * _SCALE for word in _WORDS.unpack(_digest(parts))])


def normal(*parts: object) -> float:
    """One draw from N(0, 1) that belongs to `parts` (Box and Muller 1958)."""
    first, second, *_ = ((word + 0.5) * _SCALE for word in _WORDS.unpack(_digest(parts)))
    return sqrt(-2 * log(first)) * cos(2 * pi * second)


def _digest(parts: tuple[object, ...]) -> bytes:
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=_WORDS.size).digest()
