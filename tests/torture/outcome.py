"""What a scenario found, and the table of all of them.

A scenario attacks the installed program as a process and counts. It is one module `tests/torture/NAME_scenario.py` with
`run(form, folder) -> Outcome`; `make torture` runs each in its full form, `tests/torture/test_NAME.py` in its short
one. A scenario never asserts: it counts, and `Outcome.held` says whether the promise was kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self


class Form(StrEnum):
    """How often a scenario tries: `SHORT` in `make test`, `FULL` in `make torture`."""

    SHORT = "short"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One line of the table.

    `tries` is how often the promise was attacked; `losses` counts records or messages lost, `doubles` messages that a
    server took twice, `breaches` every other promise broken (limits, windows, time bounds, leaks). `broken` says each
    loss, double and breach in a line; `figures` is what was measured besides, in words.
    """

    scenario: str
    tries: int
    losses: int = 0
    doubles: int = 0
    breaches: int = 0
    figures: str = ""
    broken: tuple[str, ...] = ()

    @classmethod
    def told(cls, found: Any) -> Self:
        """An outcome that came from another process, as a mapping of its fields."""
        return cls(**{**found, "broken": tuple(found["broken"])})

    def on(self, place: str) -> Self:
        """The same, seen on another ledger than a file."""
        return replace(self, scenario=f"{self.scenario} ({place})") if place else self

    @property
    def held(self) -> bool:
        """True if something was tried and nothing was lost, doubled or broken."""
        return self.tries > 0 and not (self.losses or self.doubles or self.breaches)


def table(outcomes: Iterable[Outcome]) -> str:
    """The outcomes as lines of text, each broken promise below its scenario."""
    lines = [f"{'scenario':<24} {'tries':>6} {'losses':>6} {'doubles':>7} {'breaches':>8}  figures"]
    for found in outcomes:
        counts = f"{found.tries:>6} {found.losses:>6} {found.doubles:>7} {found.breaches:>8}"
        lines.append(f"{found.scenario:<24} {counts}  {found.figures}".rstrip())
        lines.extend(f"    {line}" for line in found.broken)
    return "\n".join(lines)
