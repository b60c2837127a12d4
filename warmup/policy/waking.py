"""When a correspondent's person is awake: nobody's mail falls due in the middle of the recipient's night.

A person is up from 7 to 22 by the clock on the wall there, and longer where the mailbox's own hours say so. What is
asked is always about one sender's open spans of one date: which part of them the recipient is awake in (`share`), and
when (`spans`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from warmup.policy.mailbox import Hours, Mailbox
from warmup.policy.window import Span, date_of, spans

UP: Final = time(7)
DOWN: Final = time(22)

_EVERY_DAY: Final = frozenset(range(7))
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Waking:
    """A zone, and from when to when a person there is awake, any day of the week."""

    timezone: str
    start: time = UP
    end: time = DOWN

    @classmethod
    def of(cls, mailbox: Mailbox) -> "Waking":
        """The mailbox's person; hours of its own widen the day."""
        hours = mailbox.hours
        if hours is None:
            return _person(mailbox.timezone, UP, DOWN)
        return _person(mailbox.timezone, min(UP, hours.start), max(DOWN, hours.end))

    def on(self, day: date) -> tuple[Span, ...]:
        """The instants of a civil date of theirs at which they are awake."""
        return _awake_on(self, day)


@lru_cache(maxsize=8192)
def _person(timezone: str, start: time, end: time) -> Waking:
    """One value for all who live alike: a fleet has few of them, and is asked about them all the time."""
    return Waking(timezone, start, end)


class Awake:
    """One sender's open spans of a date, as its recipients live through them; each kind of recipient worked out once.

    A recipient of whom no zone is known (None) is always awake.
    """

    def __init__(self, open_: Sequence[Span]) -> None:
        self.open = tuple(open_)
        self._length = sum((span.length for span in self.open), timedelta())
        self._spans: dict[Waking | None, tuple[Span, ...]] = {None: self.open}
        self._shares: dict[Waking | None, float] = {None: 1.0}

    def spans(self, who: Waking | None) -> tuple[Span, ...]:
        """The open instants at which they are awake, as spans in order."""
        if who not in self._spans:
            assert who is not None, "nobody in particular is always awake"
            self._spans[who] = _awake_in(self.open, who)
        return self._spans[who]

    def share(self, who: Waking | None) -> float:
        """The part of the open time in which they are awake, 0 to 1; 1 where nothing is open."""
        if who not in self._shares:
            awake = sum((span.length for span in self.spans(who)), timedelta())
            self._shares[who] = awake / self._length if self._length else 1.0
        return self._shares[who]


def is_awake(awake: Sequence[Span], instant: datetime) -> bool:
    """True where `instant` lies in one of the spans."""
    return any(span.start <= instant < span.end for span in awake)


@lru_cache(maxsize=8192)
def _awake_on(who: Waking, day: date) -> tuple[Span, ...]:
    return spans(Hours(days=_EVERY_DAY, start=who.start, end=who.end), ZoneInfo(who.timezone), day)


def _awake_in(open_: Sequence[Span], who: Waking) -> tuple[Span, ...]:
    if not open_:
        return ()
    zone = ZoneInfo(who.timezone)
    # A clock that goes back over midnight returns to a date that had ended.
    day, last = date_of(open_[0].start, zone) - _ONE_DAY, date_of(open_[-1].end, zone)
    found: list[Span] = []
    while day <= last:
        for awake in who.on(day):
            found += [
                Span(max(span.start, awake.start), min(span.end, awake.end))
                for span in open_
                if max(span.start, awake.start) < min(span.end, awake.end)
            ]
        day += _ONE_DAY
    return tuple(sorted(found, key=lambda span: span.start))
