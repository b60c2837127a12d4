"""The beta distribution: what is believed of a rate after so many successes and failures.

The regularised incomplete beta function by its continued fraction (Press et al., Numerical Recipes, 6.4), and its
inverse by Newton's steps inside a bracket. Plain floats, good to 1e-6, no library.
"""

import math
from statistics import NormalDist
from typing import Final

_EXACT: Final = 1e-6
_TINY: Final = 1e-300


def beta_quantile(p: float, a: float, b: float) -> float:
    """The `p`-quantile of Beta(a, b), 0–1; ValueError for a share outside 0–1 or a parameter not above 0."""
    if not (0 <= p <= 1 and a > 0 and b > 0):
        raise ValueError(f"a quantile needs 0 <= p <= 1 and a, b > 0, got {p}, {a}, {b}")
    if p in (0.0, 1.0):
        return p
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    low, high, x = 0.0, 1.0, _guess(p, a, b)
    for _ in range(60):
        off = beta_share(x, a, b) - p
        low, high = (low, x) if off > 0 else (x, high)
        if abs(off) < _EXACT or high - low < _EXACT:
            break
        slope = math.exp(scale + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))
        step = x - off / slope if slope > _TINY else -1.0
        x = step if low < step < high else (low + high) / 2
    return x


def _guess(p: float, a: float, b: float) -> float:
    """A start near the quantile: the log-odds of a rate are nearly normal."""
    odds = math.log(a / b) + NormalDist().inv_cdf(p) * math.sqrt(1 / a + 1 / b)
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function: how much of Beta(a, b) lies below `x`, 0–1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # The continued fraction converges fast on this side of the mean, and by symmetry on the other.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _away(1 + even * d)
        c = _away(1 + even / c)
        fraction *= d * c
        d = 1 / _away(1 + odd * d)
        c = _away(1 + odd / c)
        fraction *= d * c
        if abs(d * c - 1) < 1e-9:
            break
    return fraction


def _away(value: float) -> float:
    """The value, kept away from zero."""
    return value if abs(value) > _TINY else _TINY
