"""What receivers did with a lane's messages, as a fold that forgets.

Every finding is weighed twice: by a *fast* memory of harm, which brakes, and by a *slow* one of sightings alone, which
is reported and lets grow. Both fade by half in a time and by half in a number of further messages, so that a busy lane
learns of a turn within hours and a quiet one does not judge by last month. A third rule is for turns: the rate
remembered is never more than what leaves the present run of good findings its chance (1 in 4 for the fast memory: after
20 in a row at most 7 %), nor less than what leaves it to a run of four bad ones or more. Evidence, not the calendar,
says how long to remember.

Beside them stands the *caution*, which remembers longest: a sum over every finding since, up by each that the receiver
objected to and down by each it let in. It has no threshold: it rises where more than some 3 % go to spam, falls where
less do, and so settles a lane at the growth which leaves it there. What follows no volume (lost, or moved later by its
content or its readers) leaves it as it is.

Promise: a fold over findings, oldest first, in any grouping; a worse finding in the place of a better one never lowers
the remembered harm, nor the caution.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, unique
from functools import cache
from typing import Final, assert_never

from warmup.policy.fate import Placement

RECENT: Final = 8
FORGOTTEN: Final = timedelta(days=60)
CHANCE: Final = 0.25
SURE: Final = 0.02
"""A run less likely than this at the remembered rate means that the receiver has turned, or has relented: the fast
memory believes it soon, the slow one, which is reported, only when it is sure."""

_TURN: Final = 4
"""Bad findings in a row that mean something whatever is remembered."""

CHARGE: Final = 0.6
EASE: Final = 0.01
EASED_RUN: Final = 25
"""What one message in spam adds to the caution, and what a good one takes off it; and the run of good ones after which
each takes off twice as much, after two such runs three times. So caution is level where some 3 % go wrong."""

MOST_CAUTION: Final = 3.0

CONTROL_WEIGHT: Final = 2.0
"""A control seed is never engaged with, so nothing it reports was taught to its provider by us."""


@unique
class Sign(Enum):
    """What one message showed of the receiver's opinion.

    `harm`: how much it speaks against us, in messages. A missing one may have been lost by chance. One that was let in
    and MOVED to spam later was judged by its content or its readers, which follow no volume: it counts as spam in every
    rate that is reported, and half against the lane. `is_sighting`: it says where a message landed; `missing` does too.
    """

    harm: float
    is_sighting: bool

    def __new__(cls, word: str, harm: float, is_sighting: bool) -> "Sign":  # noqa: FBT001 (a table's column)
        """One row of the table below; its value is the word."""
        sign = object.__new__(cls)
        sign._value_, sign.harm, sign.is_sighting = word, harm, is_sighting
        return sign

    INBOX = ("inbox", 0.0, True)
    SPAM = ("spam", 1.0, True)
    MOVED = ("moved", 0.5, True)
    MISSING = ("missing", 0.5, True)
    REBUFF = ("rebuff", 1.0, False)
    COMPLAINT = ("complaint", 3.0, False)


def sign_of(placement: Placement, *, reclassified_to_spam: bool = False) -> Sign | None:
    """What a placement shows, and what its being moved to spam later; None for `unobserved`, which shows nothing."""
    if reclassified_to_spam:
        return Sign.MOVED
    match placement:
        case Placement.INBOX | Placement.PROMOTIONS | Placement.OTHER:
            return Sign.INBOX
        case Placement.SPAM:
            return Sign.SPAM
        case Placement.MISSING:
            return Sign.MISSING
        case Placement.UNOBSERVED:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One message's sign; `at` is when it was handed over, `control` where a control seed reports it."""

    at: datetime
    sign: Sign
    control: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """Faded weights, in messages: `weight` of all, of it the `harm`; `square` is Σw² (what they are worth, Kish)."""

    weight: float = 0.0
    harm: float = 0.0
    square: float = 0.0

    def faded(self, left: float) -> "Memory":
        """The memory with the share `left` of it."""
        return Memory(self.weight * left, self.harm * left, self.square * left * left)

    def plus(self, other: "Memory") -> "Memory":
        """Both together."""
        return Memory(self.weight + other.weight, self.harm + other.harm, self.square + other.square)

    def joined(self, left: float, weight: float, harm: float, worth: float, bounds: tuple[float, float]) -> "Memory":
        """The share `left` of it and one message more, its share of harm held within `bounds`."""
        weight += self.weight * left
        harm += self.harm * left
        least, most = bounds
        return Memory(weight, min(max(harm, least * weight), most * weight), self.square * left * left + worth * worth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a memory fades: half of it in `time`, and half in `messages` more."""

    time: timedelta
    messages: float

    def after(self, age: timedelta) -> float:
        """What is left after `age`."""
        return float(0.5 ** (age / self.time))

    @property
    def each(self) -> float:
        """What is left after one message more."""
        return float(0.5 ** (1 / self.messages))


# Longer, the reported interval would be narrower than a receiver that moves allows: measured in drifting worlds.
FAST: Final = Pace(time=timedelta(days=4), messages=20)
SLOW: Final = Pace(time=timedelta(days=7), messages=20)
_FAST_EACH: Final = FAST.each
_SLOW_EACH: Final = SLOW.each


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The fold. `sightings` counts the messages whose place is known, unfaded; `run` the last good ones in a row
    (negative: the last bad ones), as the fast memory counts them; `steady` the same as the slow one does.

    `recent` holds the last `RECENT` findings, oldest first. `caution` is what spam took of the lane's growth, as a
    power of e, 0 to `MOST_CAUTION`.
    """

    fast: Memory = Memory()
    slow: Memory = Memory()
    sightings: int = 0
    run: int = 0
    steady: int = 0
    last_at: datetime | None = None
    recent: tuple[Finding, ...] = ()
    caution: float = 0.0

    @property
    def is_empty(self) -> bool:
        """True where nothing was found yet, or all of it is forgotten."""
        return self.last_at is None

    def after(self, finding: Finding) -> "Evidence":
        """The evidence with one more finding, which is not older than the last."""
        sign, at, last = finding.sign, finding.at, self.last_at
        if last is not None and at - last > FORGOTTEN:
            return NOTHING.after(finding)
        age = _NO_TIME if last is None or at <= last else at - last
        worth = CONTROL_WEIGHT if finding.control else 1.0
        harm = sign.harm * worth
        run = _run(self.run, sign)
        fast = self.fast.joined(FAST.after(age) * _FAST_EACH, max(worth, harm), harm, worth, _bounds(run, CHANCE))
        slow_left = SLOW.after(age)
        if sign.is_sighting:
            astray = 0.0 if sign is Sign.INBOX else worth
            steady = _steady(self.steady, sign)
            slow = self.slow.joined(slow_left * _SLOW_EACH, worth, astray, worth, _bounds(steady, SURE))
        else:
            steady, slow = self.steady, self.slow.faded(slow_left)
        return Evidence(
            fast=fast,
            slow=slow,
            sightings=self.sightings + sign.is_sighting,
            run=run,
            steady=steady,
            last_at=at,
            recent=(*self.recent[-RECENT + 1 :], finding),
            caution=_caution(self.caution, sign, worth, run),
        )

    def by(self, now: datetime) -> "Evidence":
        """The evidence as it has faded by `now`; forgotten whole after 60 days without any."""
        if self.last_at is None or now <= self.last_at:
            return self
        age = now - self.last_at
        if age > FORGOTTEN:
            return Evidence()
        return Evidence(
            fast=self.fast.faded(FAST.after(age)),
            slow=self.slow.faded(SLOW.after(age)),
            sightings=self.sightings,
            run=self.run,
            steady=self.steady,
            last_at=now,
            recent=self.recent,
            caution=self.caution,
        )

    def lately(self, now: datetime, within: timedelta) -> tuple[Finding, ...]:
        """The last findings that are not older than `within`."""
        since = now - within
        return tuple([finding for finding in self.recent if finding.at > since])


def evidence_of(findings: Iterable[Finding]) -> Evidence:
    """The fold of findings, oldest first."""
    evidence = Evidence()
    for finding in findings:
        evidence = evidence.after(finding)
    return evidence


def pooled(evidences: Iterable[Evidence], now: datetime) -> Evidence:
    """Several lanes' evidence as one, all faded by `now`; of the recent findings, the latest of all."""
    faded = [evidence.by(now) for evidence in evidences if evidence.last_at is not None]
    if len(faded) < 2:
        return faded[0] if faded else NOTHING
    recent = sorted((finding for evidence in faded for finding in evidence.recent), key=lambda finding: finding.at)
    fast, slow = Memory(), Memory()
    for evidence in faded:
        fast, slow = fast.plus(evidence.fast), slow.plus(evidence.slow)
    return Evidence(
        fast=fast,
        slow=slow,
        sightings=sum(evidence.sightings for evidence in faded),
        run=0,
        last_at=now if faded else None,
        recent=tuple(recent[-RECENT:]),
    )


NOTHING: Final = Evidence()
_NO_TIME: Final = timedelta()


def _run(before: int, sign: Sign) -> int:
    """Good findings in a row, or harmful ones as a negative number; a missing or moved one is neither."""
    match sign:
        case Sign.INBOX:
            return max(before, 0) + 1
        case Sign.MISSING | Sign.MOVED:
            return before
        case Sign.SPAM | Sign.REBUFF | Sign.COMPLAINT:
            return min(before, 0) - 1
        case _:
            assert_never(sign)


def _steady(before: int, sign: Sign) -> int:
    """The same of sightings for the report, for which whatever is not in the inbox ends a good run."""
    if sign is Sign.INBOX:
        return max(before, 0) + 1
    return min(before, 0) - (sign is Sign.SPAM)


def _caution(before: float, sign: Sign, worth: float, run: int) -> float:
    """More by every bad finding and less by every good one, the more so the longer nothing went wrong."""
    match sign:
        case Sign.INBOX:
            return max(0.0, before - worth * EASE * (1 + run / EASED_RUN))
        case Sign.SPAM | Sign.REBUFF | Sign.COMPLAINT:
            return min(MOST_CAUTION, before + worth * CHARGE)
        case Sign.MISSING | Sign.MOVED:
            return before
        case _:
            assert_never(sign)


@cache
def _bounds(run: int, chance: float) -> tuple[float, float]:
    """The least and the greatest rate of harm at which such a run still has that chance."""
    if run > 0:
        return 0.0, float(1 - chance ** (1 / run))
    return (float(chance ** (-1 / run)) if run <= -_TURN else 0.0), 1.0
