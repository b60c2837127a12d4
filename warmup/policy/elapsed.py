"""How much time has really passed between two instants of the ledger.

Ledger time follows the wall clock, and a wall clock is set: by NTP, by an operator, by a host that wakes its guest. A
step forward is a *leap*: instants pass in which no time elapsed. A server's 24 hours know nothing of it, so a rolling
window is aged by elapsed time, and a leap ages nothing. A step back is no leap: ledger time stands still until the wall
has caught up, and less of it passes than really did, which ages too little and never too much.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_LONGEST: Final = timedelta(days=4)
"""No span that anybody asks for is longer."""


@dataclass(frozen=True, slots=True)
class Leap:
    """Ledger time came to `at` from `by` earlier, and no time elapsed."""

    at: datetime
    by: timedelta

    def __post_init__(self) -> None:
        if self.by <= timedelta():
            raise ValueError(f"a leap goes forward, got {self.by}")


@dataclass(frozen=True, slots=True)
class Leaps:
    """The leaps of the last days, oldest first."""

    known: tuple[Leap, ...] = ()

    def ago(self, now: datetime, span: timedelta) -> datetime:
        """The latest instant at which the `span` before `now` had not begun yet, or just began."""
        start = now - span
        for leap in reversed(self.known):
            if start < leap.at <= now:
                start -= leap.by
        return start

    def after(self, at: datetime, span: timedelta) -> datetime:
        """The instant at which `span` has elapsed since `at`, as far as the leaps are known."""
        end = at + span
        for leap in self.known:
            if leap.at > at and leap.at - leap.by < end:
                end += leap.by
        return end

    def and_then(self, leaps: Iterable[Leap]) -> "Leaps":
        """These and later ones, without those too old to matter."""
        known = (*self.known, *leaps)
        if not known:
            return self
        return Leaps(tuple(leap for leap in known if leap.at > known[-1].at - _LONGEST))


NO_LEAPS: Final = Leaps()
