"""What will happen in the sandbox by itself, in the order of its instants.

Deliveries are late, messages are sorted again after a day, an operator writes his own mail: each is an entry with an
instant of sandbox time. `run` does what is due, oldest first, so that looking late and looking on time give the same
folders, UIDs and dates.
"""

import heapq
from collections.abc import Callable
from datetime import datetime
from itertools import count


class Agenda:
    """Entries to come; those of one instant happen in the order they were entered."""

    def __init__(self) -> None:
        self._entries: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._order = count()

    def enter(self, at: datetime, happening: Callable[[datetime], None]) -> None:
        """Have `happening(at)` done at `at`."""
        heapq.heappush(self._entries, (at, next(self._order), happening))

    @property
    def next(self) -> datetime | None:
        """The instant of the earliest entry, None if there is none."""
        return self._entries[0][0] if self._entries else None

    def run(self, now: datetime) -> None:
        """Do everything that is due at `now`, oldest first, entries that arise meanwhile included."""
        while self._entries and self._entries[0][0] <= now:
            at, _, happening = heapq.heappop(self._entries)
            happening(at)
