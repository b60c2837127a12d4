"""Worlds nobody tuned for: drawn from the ranges of MODEL.md's nine, with and without turns."""

import random
from dataclasses import dataclass
from typing import Any

from warmup.world import Event, Receiver, World


@dataclass(frozen=True, kw_only=True)
class Range:
    """From where one column of a receiver is drawn."""

    least: float
    most: float


_RANGES = {
    "base_spam": Range(least=0.01, most=0.06),
    "quiet_volume": Range(least=4, most=10),
    "tolerance": Range(least=1.1, most=2.0),
    "pressure": Range(least=1, most=6),
    "distrust": Range(least=2, most=4),
    "trust": Range(least=0.4, most=0.6),
    "trust_gain": Range(least=0.010, most=0.012),
    "trust_loss": Range(least=0.02, most=0.04),
    "memory_days": Range(least=4, most=14),
    "defer_at": Range(least=2.0, most=4.0),
}


def drawn(number: int, *, shock: float = 0.0) -> World:
    """World `number`: one receiver, and a turn of `shock` from day 45 on for 6 days where there is one."""
    rng = random.Random(number)
    columns: dict[str, Any] = {name: rng.uniform(within.least, within.most) for name, within in _RANGES.items()}
    events = (Event(day=45, days=6, shock=shock),) if shock else ()
    return World(name=f"drawn-{number}", receivers=(Receiver(name="r", **columns),), events=events)
