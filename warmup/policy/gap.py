"""How much treated seeds flatter: their inbox share against that of the controls, which are never engaged with.

A seed that answers teaches its provider to like the sender (DESIGN, Words). Where both kinds report, the gap is shown
with its 95 % interval: the difference of two Beta posteriors, nearly normal.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from warmup.policy.evidence import Evidence
from warmup.policy.reputation import Estimate, estimate, posterior

_SIGMAS: Final = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Treated less control, -1 to 1, with the ends of its 95 % interval; above 0 the treated seeds flatter."""

    ratio: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """What either kind of seed reports, None where none does; the gap where both do."""

    treated: Estimate | None
    control: Estimate | None
    gap: Gap | None


def halves(treated: Evidence, control: Evidence, now: datetime) -> Halves:
    """The two kinds of one lane's seeds at `now`."""
    seen = [None if half.by(now).sightings == 0 else estimate(half, now) for half in (treated, control)]
    both = all(half is not None for half in seen)
    return Halves(treated=seen[0], control=seen[1], gap=_gap(treated, control, now) if both else None)


def _gap(treated: Evidence, control: Evidence, now: datetime) -> Gap:
    (mine, mine_spread), (theirs, theirs_spread) = _moments(treated, now), _moments(control, now)
    ratio, wide = mine - theirs, _SIGMAS * math.sqrt(mine_spread + theirs_spread)
    return Gap(ratio=ratio, lower=max(-1.0, ratio - wide), upper=min(1.0, ratio + wide))


def _moments(half: Evidence, now: datetime) -> tuple[float, float]:
    """Mean and variance of the posterior."""
    a, b = posterior(half.by(now))
    return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
