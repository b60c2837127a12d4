"""The only reader of the time and of entropy.

Everything about the *world* (windows, delays between looks, the 24 hours, grace) is in ledger time, `now()`. Everything
about *servers and machines* (time-outs, ticks, drain) is in real time, `elapsed()` and `wall()`. The two differ only
under a rehearsal clock. `now()` never runs backwards: a wall clock that steps back waits for itself, and `raise_to`
lifts the floor to the latest instant the ledger recorded. Where it runs ahead of the boot clock, because the wall clock
was set forward, that is a *leap*: instants pass in which no time elapsed. A server's 24 hours know nothing of it, so a
rolling window is aged by elapsed time, and a leap ages nothing. A step back is no leap: less ledger time passes than
really did, which ages too little and never too much. `course` remembers it all, also over a restart within one boot.
"""

import asyncio
import hashlib
import random
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

_UNNOTICED_SECONDS: Final = 0.05
"""Real seconds: what ledger time gains on the boot clock is a leap once it is more than this, and is never lost."""

_LONGEST: Final = timedelta(days=4)
"""No span whose beginning anybody asks for is longer."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How ledger time and the boot clock ran so far.

    `lead` is ledger time in seconds since 1970 less `speed` times the boot clock, in the boot called `boot` ("": nobody
    knows which).
    """

    boot: str
    speed: float
    lead: float
    leaps: Leaps


class Clock(Protocol):
    """What the rest of the house asks of a clock."""

    def now(self) -> datetime:
        """The present instant in ledger time, aware UTC, never earlier than one it gave before."""
        ...

    def wall(self) -> datetime:
        """The machine's wall clock, aware UTC: certificates and tokens live by it."""
        ...

    def elapsed(self) -> float:
        """Seconds of the boot clock, suspends included; only differences mean anything."""
        ...

    def rng(self, *purpose: object) -> random.Random:
        """A generator seeded by the installation and `purpose`: the same purpose gives the same draws."""
        ...

    def reseed(self, seed: str) -> None:
        """Draw by `seed` from now on."""
        ...

    def token(self, size: int) -> bytes:
        """`size` bytes nobody can guess."""
        ...

    @property
    def speed(self) -> float:
        """Ledger seconds per real second; 1.0 except in a rehearsal."""
        ...

    def from_server(self, instant: datetime) -> datetime:
        """A server's instant (INTERNALDATE) in ledger time: servers live by the wall clock."""
        ...

    def resume(self, course: Course | None) -> None:
        """Watch for leaps from now on, or from where a course of this boot had got; earlier leaps stay known."""
        ...

    @property
    def course(self) -> Course | None:
        """What `resume` needs at the next start; None before it was called, and where time is what we make it."""
        ...

    @property
    def leaps(self) -> Leaps:
        """In which instants up to the last `now()` no time elapsed."""
        ...

    @property
    def behind(self) -> timedelta:
        """How far ledger time is ahead of the wall clock, and waits for it; zero where it goes with it."""
        ...


def seeded(*parts: object) -> random.Random:
    """A generator whose draws depend on `parts` alone, by their str()."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return random.Random(int.from_bytes(digest, "big"))


class _Entropy:
    """Seeded draws and unguessable bytes, shared by every clock."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def reseed(self, seed: str) -> None:
        """Draw by `seed` (the ledger's installation and incarnation) from now on."""
        self._seed = seed

    def rng(self, *purpose: object) -> random.Random:
        return seeded(self._seed, *purpose)

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def elapsed(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Which boot of the machine this is (random(4)); "" where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class WallClock(_Entropy):
    """Ledger time is wall time, or faster: now = anchor_ledger + (wall − anchor_wall) · speed.

    `speed` other than 1 is a rehearsal; whoever builds one checks that every host is loopback.
    """

    def __init__(self, *, seed: str = "", speed: float = 1.0, anchor: tuple[datetime, datetime] | None = None) -> None:
        super().__init__(seed)
        if speed < 1:
            raise ValueError(f"a rehearsal clock runs at 1 or faster, got {speed}")
        self._speed = speed
        self._anchor = anchor
        self._floor = datetime.min.replace(tzinfo=UTC)
        self._lead: float | None = None
        self._leaps = NO_LEAPS

    @property
    def speed(self) -> float:
        return self._speed

    def now(self) -> datetime:
        before = self.elapsed()
        self._floor = max(self._floor, self._reading())
        self._compare(before, self.elapsed())
        return self._floor

    def raise_to(self, instant: datetime) -> None:
        """Never give an instant before `instant`, the latest one the ledger holds."""
        self._floor = max(self._floor, instant)

    def from_server(self, instant: datetime) -> datetime:
        if self._anchor is None:
            return instant
        wall, ledger = self._anchor
        return ledger + (instant - wall) * self._speed

    def resume(self, course: Course | None) -> None:
        self._leaps = course.leaps if course else NO_LEAPS
        now, elapsed = self.now(), self.elapsed()
        is_same = course is not None and course.boot == boot_id() != "" and course.speed == self._speed
        self._lead = course.lead if course and is_same else now.timestamp() - self._speed * elapsed
        self.now()

    @property
    def course(self) -> Course | None:
        if self._lead is None:
            return None
        return Course(boot=boot_id(), speed=self._speed, lead=self._lead, leaps=self._leaps)

    @property
    def leaps(self) -> Leaps:
        return self._leaps

    @property
    def behind(self) -> timedelta:
        return max(timedelta(), self._floor - self._reading())

    def _reading(self) -> datetime:
        return self.from_server(self.wall())

    def _compare(self, before: float, after: float) -> None:
        """See whether ledger time gained on the boot clock, which showed something between `before` and `after`."""
        if self._lead is None:
            return
        gained = self._lead_at(after) - self._lead
        if gained > _UNNOTICED_SECONDS * self._speed:
            self._leaps = self._leaps.and_then([Leap(self._floor, timedelta(seconds=gained))])
            self._lead += gained
        # Time that stood still is a lead that was lost: catching up is no leap.
        self._lead = min(self._lead, self._lead_at(before))

    def _lead_at(self, elapsed: float) -> float:
        return self._floor.timestamp() - self._speed * elapsed


class HoldingClock(_Entropy):
    """Stands still until it is told to go on: the demo's clock, so that a slow machine changes nothing."""

    def __init__(self, *, start: datetime, seed: str = "") -> None:
        super().__init__(seed)
        self._now = start
        self._tokens = 0

    @property
    def speed(self) -> float:
        # Waits that are given in ledger time and slept in real time shrink to nothing.
        return 1e6

    def now(self) -> datetime:
        return self._now

    def from_server(self, instant: datetime) -> datetime:
        return instant

    def resume(self, course: Course | None) -> None:
        """Nothing: no clock but this one counts."""

    @property
    def course(self) -> Course | None:
        return None

    @property
    def leaps(self) -> Leaps:
        return NO_LEAPS

    @property
    def behind(self) -> timedelta:
        return timedelta()

    def raise_to(self, instant: datetime) -> None:
        """Go on to `instant`; an earlier one changes nothing."""
        self._now = max(self._now, instant)

    def token(self, size: int) -> bytes:
        # A seeded demo gives the same run twice, ids and all; nothing in it outlives it.
        self._tokens += 1
        return super().rng("token", self._tokens).randbytes(size) if self._seed else super().token(size)


async def pause(seconds: float) -> None:
    """Sleep `seconds` of real time."""
    await asyncio.sleep(max(0.0, seconds))


def later(instant: datetime, seconds: float) -> datetime:
    """`instant` plus `seconds`."""
    return instant + timedelta(seconds=seconds)
