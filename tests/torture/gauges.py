"""What a running daemon costs: memory, descriptors, and how late its event loop was. Read from outside of it."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.scenarios.house import House

_BUCKET = re.compile(r'^warmup_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass(slots=True)
class Lags:
    """Samples of the loop's lag by the upper bound of their bucket, in seconds."""

    within: Counter[float] = field(default_factory=Counter)

    def add(self, other: "Lags") -> None:
        """Count another's samples too."""
        self.within += other.within

    @property
    def samples(self) -> int:
        """How many there are."""
        return sum(self.within.values())

    def quantile(self, share: float) -> float:
        """The bound below which at least this share (0–1) lies; 0 of no samples."""
        wanted, seen = share * self.samples, 0
        for bound in sorted(self.within):
            seen += self.within[bound]
            if seen >= wanted:
                return bound
        return 0.0


class Gauges:
    """Reads the last daemon of a house. A new one begins to count anew, which is noticed."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._pid = 0
        self._before: dict[float, int] = {}

    @property
    def _proc(self) -> Path:
        return Path("/proc") / str(self._house.daemons[-1].pid)

    def rss(self) -> float:
        """Resident memory in MiB."""
        return self._status("VmRSS")

    def peak(self) -> float:
        """The most it ever was, in MiB."""
        return self._status("VmHWM")

    def _status(self, name: str) -> float:
        text = (self._proc / "status").read_text(encoding="ascii")
        return float(text.partition(f"{name}:")[2].split()[0]) / 1024

    def descriptors(self) -> int:
        """Open file descriptors."""
        return sum(1 for _ in (self._proc / "fd").iterdir())

    def lags(self) -> Lags:
        """The samples taken since the last time this was asked."""
        _, text = self._house.get("/metrics")
        pid = self._house.daemons[-1].pid
        before = self._before if pid == self._pid else {}
        cumulated = {float(bound): int(float(count)) for bound, count in _BUCKET.findall(text)}
        self._pid, self._before = pid, cumulated
        found, below = Counter[float](), 0
        for bound in sorted(cumulated):
            fresh = cumulated[bound] - before.get(bound, 0)
            found[bound] = fresh - below
            below = fresh
        return Lags(found)
