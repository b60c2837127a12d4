"""How a daily ceiling climbs: by equal steps, by a factor, or by a table.

A ramp answers one question, `ceiling(level)`: the most messages on a day at that level. Levels count from 1 and climb
by what was accepted (policy/level), not by the calendar. The presets are those of FACTS.md, "Published ramps".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

FASTEST: Final = 1.4
"""The steepest published growth a day (FACTS.md: SendGrid's automatic ramp)."""


class RampUnknown(ValueError):
    """No ramp of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is no ramp; choose one of {', '.join(RAMP_NAMES)}")


def _at_least_one(level: int) -> int:
    if level < 1:
        raise ValueError(f"levels count from 1, got {level}")
    return level


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """`step` more messages each level, from `start` up to `limit`."""

    start: int
    step: int
    limit: int

    def __post_init__(self) -> None:
        if not (0 < self.start <= self.limit and self.step > 0):
            raise ValueError(f"a linear ramp needs 0 < start <= limit and step > 0, got {self}")

    def ceiling(self, level: int) -> int:
        """Messages a day at `level`."""
        return min(self.limit, self.start + self.step * (_at_least_one(level) - 1))

    @property
    def calendar(self) -> "Linear":
        """What it comes to by the calendar alone: itself."""
        return self

    def towards(self, target: int | None) -> "Linear":
        """The same slope up to `target`; None: as it is."""
        return self if target is None else replace(self, start=min(self.start, target), limit=target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometric:
    """`growth` times as many each level, rounded down but one more at least, from `start` up to `limit`."""

    start: int
    growth: float
    limit: int

    def __post_init__(self) -> None:
        if not (0 < self.start <= self.limit and self.growth > 1):
            raise ValueError(f"a geometric ramp needs 0 < start <= limit and growth > 1, got {self}")

    def ceiling(self, level: int) -> int:
        """Messages a day at `level`."""
        volume = self.start
        for _ in range(_at_least_one(level) - 1):
            if volume >= self.limit:
                break
            volume = max(volume + 1, int(volume * self.growth))
        return min(self.limit, volume)

    @property
    def calendar(self) -> "Geometric":
        """What it comes to by the calendar alone: itself."""
        return self

    def towards(self, target: int | None) -> "Geometric":
        """The same growth up to `target`; None: as it is."""
        return self if target is None else replace(self, start=min(self.start, target), limit=target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A ceiling for each level, never falling; the last one stays."""

    levels: tuple[int, ...]

    def __post_init__(self) -> None:
        falls = any(later < earlier for earlier, later in zip(self.levels, self.levels[1:], strict=False))
        if not self.levels or self.levels[0] < 1 or falls:
            raise ValueError(f"a table needs ceilings of at least 1 that do not fall, got {self.levels}")

    @property
    def limit(self) -> int:
        """The last ceiling."""
        return self.levels[-1]

    def ceiling(self, level: int) -> int:
        """Messages a day at `level`."""
        return self.levels[min(_at_least_one(level), len(self.levels)) - 1]

    @property
    def calendar(self) -> "Table":
        """What it comes to by the calendar alone: itself."""
        return self

    def towards(self, target: int | None) -> "Table":
        """Cut at `target`; beyond its end it goes on by its last step. None: as it is."""
        if target is None:
            return self
        levels = [min(level, target) for level in self.levels]
        step = max(1, _last_step(self.levels))
        while levels[-1] < target:
            levels.append(min(target, levels[-1] + step))
        return Table(levels=tuple(levels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """No calendar: `start` on the first day, and from then on whatever the evidence allows, up to `limit`.

    The control law (policy/brake) is what holds it: nothing grows by more than a step or ×1.4 a day, and by no step at
    all without evidence.
    """

    start: int
    limit: int

    def __post_init__(self) -> None:
        if not 0 < self.start <= self.limit:
            raise ValueError(f"an auto ramp needs 0 < start <= limit, got {self}")

    def ceiling(self, level: int) -> int:
        """Messages a day at `level`."""
        return self.start if _at_least_one(level) == 1 else self.limit

    @property
    def calendar(self) -> Geometric:
        """The fastest it can be, where every receiver is content from the first message on."""
        return Geometric(start=self.start, growth=FASTEST, limit=self.limit)

    def towards(self, target: int | None) -> "Auto":
        """The same up to `target`; None: as it is."""
        return self if target is None else replace(self, start=min(self.start, target), limit=target)


Ramp = Linear | Geometric | Table | Auto


def _last_step(levels: Sequence[int]) -> int:
    return levels[-1] - levels[-2] if len(levels) > 1 else 1


# FACTS.md: "Mailbox-level tools" (2, +2; 5, +1 to 20; 7, +2 to 28) and SendGrid's automatic warmup (×1.4 a day from 20,
# here from a mailbox's first 5 and up to the largest account's 10,000).
_PRESETS: Final[dict[str, Ramp]] = {
    "careful": Linear(start=2, step=2, limit=40),
    "standard": Linear(start=5, step=1, limit=20),
    "fast": Linear(start=7, step=2, limit=28),
    "esp": Geometric(start=5, growth=FASTEST, limit=10_000),
    "auto": Auto(start=5, limit=40),
}
RAMP_NAMES: Final = tuple(_PRESETS)


def ramp_named(name: str) -> Ramp:
    """The preset of that name; RampUnknown lists the choices."""
    try:
        return _PRESETS[name]
    except KeyError:
        raise RampUnknown(name) from None
