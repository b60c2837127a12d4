"""One figure for a mailbox's reputation, 0–100, with its uncertainty and what moved it.

    lane    = 100 · inbox · (1 - objected) · (1 - complained)
    mailbox = the lanes' mean, each weighing what was tried there

`inbox` is the reported share of the inbox (policy/reputation: the slow memory, controls count twice, missing is not
inbox). `objected` is the share of attempts that receivers turned away as an objection, (k + 0.05) / (n + 5).
`complained` is the complaint rate over twice the 0.3 % that Gmail and Yahoo never allow (FACTS.md), at most 1, and 0
below 100 messages or 3 complaints, where a rate says nothing. So 90 and more is a mailbox that reaches nine in ten and
hears no objection.

The 95 % interval of a lane takes the parts' own intervals as independent: relative half-widths add in squares, each
side by itself. The mailbox's takes the lanes as independent. It is an estimate of what receivers hold and never show;
the brake does not read it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from warmup.policy.beta import beta_quantile
from warmup.policy.evidence import Evidence, Memory
from warmup.policy.reputation import Estimate, posterior

COMPLAINED_WHOLLY: Final = 0.006
_COMPLAINTS: Final = (3, 100)
_OBJECTED: Final = (0.05, 4.95)
_INTERVAL: Final = (0.025, 0.975)
TELLING: Final = 1.0
"""Points below which a lane has not moved the figure."""

_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFacts:
    """What a lane's score is made of: `tried` messages, of which `objections` were turned away, and `complaints`."""

    estimate: Estimate
    tried: int
    objections: int
    complaints: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.objections <= self.tried:
            raise ValueError(f"of {self.tried} tried there cannot be {self.objections} objections")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """0–100, with the ends of its 95 % interval."""

    score: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """A mailbox's score, and its lanes' with the share each has in it."""

    whole: Score
    lanes: Mapping[str, Score]
    shares: Mapping[str, float]


def lane_score(facts: LaneFacts) -> Score:
    """The score of one lane."""
    about = facts.estimate
    a, b = _OBJECTED[0] + facts.objections, _OBJECTED[1] + facts.tried - facts.objections
    kept = (1 - a / (a + b), 1 - beta_quantile(_INTERVAL[1], a, b), 1 - beta_quantile(_INTERVAL[0], a, b))
    parts = ((about.inbox_ratio, about.lower_ratio, about.upper_ratio), kept)
    score = 100 * about.inbox_ratio * kept[0] * (1 - _complained(facts))
    below = math.hypot(*((mean - low) / mean for mean, low, _ in parts))
    above = math.hypot(*((high - mean) / mean for mean, _, high in parts))
    return Score(score=score, lower=max(0.0, score * (1 - below)), upper=min(100.0, score * (1 + above)))


def _complained(facts: LaneFacts) -> float:
    fewest, messages = _COMPLAINTS
    if facts.complaints < fewest or facts.tried < messages:
        return 0.0
    return min(1.0, facts.complaints / facts.tried / COMPLAINED_WHOLLY)


def composite(lanes: Mapping[str, LaneFacts]) -> Composite | None:
    """The score of a mailbox over its lanes, by receiver; None where nothing was tried."""
    tried = {provider: facts for provider, facts in sorted(lanes.items()) if facts.tried > 0}
    total = sum(facts.tried for facts in tried.values())
    if not total:
        return None
    scores = {provider: lane_score(facts) for provider, facts in tried.items()}
    shares = {provider: facts.tried / total for provider, facts in tried.items()}
    mean = sum(shares[provider] * one.score for provider, one in scores.items())
    below = math.hypot(*(shares[provider] * (one.score - one.lower) for provider, one in scores.items()))
    above = math.hypot(*(shares[provider] * (one.upper - one.score) for provider, one in scores.items()))
    return Composite(
        whole=Score(score=mean, lower=max(0.0, mean - below), upper=min(100.0, mean + above)),
        lanes=scores,
        shares=shares,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """What was seen of one lane on one day."""

    inbox: int = 0
    spam: int = 0
    missing: int = 0
    objections: int = 0

    @property
    def seen(self) -> int:
        """Messages whose place is known, missing ones among them."""
        return self.inbox + self.spam + self.missing

    @property
    def estimate(self) -> Estimate | None:
        """The inbox share of these alone, each counting once; None where none was seen."""
        if not self.seen:
            return None
        bad, n = float(self.spam + self.missing), float(self.seen)
        memory = Memory(n, bad, n)
        good, wrong = posterior(Evidence(slow=memory, sightings=self.seen))
        return Estimate(n=self.seen, weight=n, good=good, bad=wrong, harm=bad / n)

    def plus(self, other: "Sightings") -> "Sightings":
        """Both together."""
        return Sightings(
            inbox=self.inbox + other.inbox,
            spam=self.spam + other.spam,
            missing=self.missing + other.missing,
            objections=self.objections + other.objections,
        )


Course = Sequence[tuple[date, Sightings]]
"""A lane's days with anything to see, oldest first."""


def reasons(now: Composite, before: Composite | None, courses: Mapping[str, Course], today: date) -> tuple[str, ...]:
    """What moved the score since `before` (None: since a full 100), the greatest move first."""
    told = []
    for provider, score in now.lanes.items():
        was = before.lanes.get(provider) if before else None
        moved = now.shares[provider] * (score.score - (was.score if was else 100.0))
        if abs(moved) >= TELLING and provider in courses:
            told.append(
                (abs(moved), f"{provider}: {_turn(courses[provider], today, worse=moved < 0)} ({moved:+.0f} points)")
            )
    return tuple(words for _, words in sorted(told, reverse=True))


def _turn(course: Course, today: date, *, worse: bool) -> str:
    """What has been seen since the lane last changed: what went wrong where it got `worse`, else what did not."""
    since, lately = turn(course)
    parts = []
    if worse and lately.spam:
        parts.append(f"{lately.spam} of {lately.seen} in spam")
    if worse and lately.missing:
        parts.append(f"{lately.missing} of {lately.seen} missing")
    if worse and lately.objections:
        parts.append(f"{lately.objections} turned away")
    return f"{', '.join(parts) or f'{lately.inbox} of {lately.seen} in the inbox'} since {day_told(since, today)}"


def day_told(on: date, today: date) -> str:
    """A day as people say it: its name within a week, else its date."""
    return f"{on:%A}" if timedelta(0) <= today - on < _WEEK else on.isoformat()


def turn(course: Course) -> tuple[date, Sightings]:
    """The day from which the lane went as it goes now, and what was seen since: the likeliest single change of rate.

    The first day where no change is likelier than none. ValueError for a lane without any day.
    """
    if not course:
        raise ValueError("a course needs a day")
    whole = _sum(course)
    best, since, lately = _fit(whole) + math.log(max(2, len(course))), course[0][0], whole
    for n in range(1, len(course)):
        early, late = _sum(course[:n]), _sum(course[n:])
        if (fit := _fit(early) + _fit(late)) > best:
            best, since, lately = fit, course[n][0], late
    return since, lately


def _sum(course: Course) -> Sightings:
    whole = Sightings()
    for _, seen in course:
        whole = whole.plus(seen)
    return whole


def _fit(seen: Sightings) -> float:
    """The log likelihood of what was seen, at its own rate."""
    n = seen.seen + seen.objections
    bad = n - seen.inbox
    return sum(part * math.log(part / n) for part in (bad, seen.inbox) if part)
