"""Figures, each against its limit: a line of the table, and a row of the JSON that `make bench` leaves in build/."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FOLDER = Path("build/bench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured. `least` and `most` are its limits, None where it is shown and not judged."""

    name: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None
    more: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """Whether it is within its limits; None where it has none."""
        if self.least is None and self.most is None:
            return None
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def __str__(self) -> str:
        limit = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}" if self.most is not None else ""
        verdict = {None: "", True: "holds", False: "MISSED"}[self.holds]
        more = ", ".join(f"{name} {_short(value)}" for name, value in self.more.items())
        return f"{self.name:<48}{_short(self.value):>9} {self.unit:<14}{limit:<9}{verdict:<8}{more}".rstrip()


def keep(column: str, figures: list[Figure]) -> None:
    """Print nothing; leave the figures as JSON, with the machine's load beside them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(figure), "holds": figure.holds} for figure in figures]
    kept = {"load": os.getloadavg()[0], "cores": os.cpu_count(), "figures": rows}
    (FOLDER / f"{column}.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _short(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
