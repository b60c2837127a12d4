"""One connection at a time to a server that said "too much": in memory and real time, for it is about machines.

Every mailbox has one connection of its own anyway; but mailboxes of one provider share its server, and a server counts
them together. Whoever finds the way taken comes again at the next tick instead of waiting in a worker's place.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

NARROW_SECONDS = 3600.0
"""How long a server is spared after the last time it complained."""


@dataclass(slots=True)
class Narrow:
    """Which servers are spared, and how many of us are with each."""

    _until: dict[str, float] = field(default_factory=dict)
    _inside: Counter[str] = field(default_factory=Counter)

    def spare(self, host: str, elapsed: float) -> None:
        """Fall to one connection. `elapsed` is the boot clock in seconds."""
        self._until[host] = elapsed + NARROW_SECONDS

    def is_narrow(self, host: str, elapsed: float) -> bool:
        """True while only one may be with the server."""
        return elapsed < self._until.get(host, 0.0)

    @contextmanager
    def way(self, host: str, elapsed: float) -> Iterator[bool]:
        """Go to the server: True where there is a way, False where it is narrow and taken."""
        if self.is_narrow(host, elapsed) and self._inside[host]:
            yield False
            return
        self._inside[host] += 1
        try:
            yield True
        finally:
            self._inside[host] -= 1
