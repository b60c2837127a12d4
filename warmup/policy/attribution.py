"""What is to blame for mail that goes astray: a receiver's mood, the domain, the mailbox, a lane, a grammar or a seed?

A brake asks *how much* goes wrong in a lane; this asks *why*, over the rows of the whole fleet. Every explanation is a
set of messages that share something (all to one seed, all from one mailbox …), from some day on, whose rate of going
wrong is its own, while all others keep the ordinary rate of their receiver. Explanations are compared by their marginal
likelihood (Kass & Raftery 1995): ordinary rates are Beta(0.6, 12) for each receiver and kind of seed, the blamed
rate is Beta(2, 1), both integrated out, so a set that is large enough to explain everything pays for what in it went
well. "Nothing is to blame" starts at 0.6; the rest is shared by kind, in a kind by its members, and half of a member's
by the days on which it may have begun (of a mood: and ended). So the hundredth seed is no likelier to be found guilty
by chance than the first (shrinkage by prior). Treated and control seeds have ordinary rates of their own: a control
that is nobody's friend is no bad seed. The likeliest is set aside and the rest is asked again, as long as anything is
likelier than nothing; what is named at last has more than even odds once the others are set aside.

Guarantees. The probabilities of one look add up to 1. Order and names of the rows change nothing. Without two messages
gone wrong nothing is blamed. By Markov's inequality on the likelihood ratio, where nothing is to blame and ordinary
rates are as supposed, something is named with certainty c at most in (0.4 / 0.6) · (1 - c) / c of looks: 3.5 % at the
0.95 that retires. Where two explanations are the same set of messages, the one that asks for less is kept (a receiver
with one seed is blamed, and the seed stays).

Seeds and grammars are *retired* by evidence at `SURE`, with three messages gone wrong at the least, so long as enough
of their like remain; they come back when what is left of the evidence, which is forgotten after `WINDOW`, names them no
more. A rule that counts (FACTS.md: 3 of at least 20, and 15 %) retires whatever was in use while a receiver was in a
mood.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum, unique
from functools import lru_cache
from typing import Final

WINDOW: Final = timedelta(days=21)
"""How far back messages are looked at; older ones are forgotten whole."""

NAMED: Final = 0.5
SURE: Final = 0.95

NOTHING: Final = 0.6
"""What is believed beforehand of "nothing is to blame"."""

_ORDINARY: Final = (0.6, 12.0)
_BLAMED: Final = (2.0, 1.0)
_FEWEST: Final = 2.0
"""Messages gone wrong below which a set is not worth a question."""

_FEWEST_TO_RETIRE: Final = 3.0
_MOST_CAUSES: Final = 6


@unique
class Suspect(StrEnum):
    """What may be to blame, in the order in which one of two that are the same messages is kept."""

    RECEIVER = "receiver"
    MAILBOX = "mailbox"
    DOMAIN = "domain"
    LANE = "lane"
    DOMAIN_LANE = "domain_lane"
    GRAMMAR = "grammar"
    SEED = "seed"

    @property
    def has_moods(self) -> bool:
        """True where it may be over again: receivers change their minds; a text or a seed's filter stays as it is."""
        return self not in (Suspect.GRAMMAR, Suspect.SEED)


_SHARE: Final = {
    Suspect.RECEIVER: 0.20,
    Suspect.MAILBOX: 0.16,
    Suspect.DOMAIN: 0.16,
    Suspect.LANE: 0.08,
    Suspect.DOMAIN_LANE: 0.08,
    Suspect.GRAMMAR: 0.16,
    Suspect.SEED: 0.16,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One message and how it went: `harm` 0 (inbox) to 1 (spam, or refused as an objection), missing in between.

    `day` is its date, `control` where its recipient is never engaged with.
    """

    day: date
    mailbox: str
    domain: str
    receiver: str
    seed: str
    grammar: str
    harm: float
    control: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.harm <= 1:
            raise ValueError(f"the harm of one message is 0 to 1, got {self.harm}")


Name = tuple[str, ...]

_NAME: Final[Mapping[Suspect, Callable[[Trial], Name]]] = {
    Suspect.RECEIVER: lambda trial: (trial.receiver,),
    Suspect.MAILBOX: lambda trial: (trial.mailbox,),
    Suspect.DOMAIN: lambda trial: (trial.domain,),
    Suspect.LANE: lambda trial: (trial.mailbox, trial.receiver),
    Suspect.DOMAIN_LANE: lambda trial: (trial.domain, trial.receiver),
    Suspect.GRAMMAR: lambda trial: (trial.grammar,),
    Suspect.SEED: lambda trial: (trial.seed,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What is to blame, and how sure that is (`probability`, 0–1).

    `name` is the receiver, mailbox, domain, grammar or seed; of a lane the sender, then the receiver. `since` and
    `until` are its first and last day, None: all the days that were looked at, and: not over. `wrong` of `messages`
    went wrong there meanwhile, `rest_wrong` of `rest` elsewhere or before.
    """

    suspect: Suspect
    name: Name
    since: date | None
    until: date | None
    probability: float
    wrong: float
    messages: int
    rest_wrong: float
    rest: int

    def covers(self, trial: Trial) -> bool:
        """True for a message that it explains."""
        is_its_day = (self.since is None or trial.day >= self.since) and (self.until is None or trial.day <= self.until)
        return is_its_day and _NAME[self.suspect](trial) == self.name


def causes(trials: Iterable[Trial], *, most: int = _MOST_CAUSES) -> tuple[Cause, ...]:
    """What is to blame, as it was found; empty where nothing is.

    Each is as sure as it is once the messages of the others are set aside: two bad seeds are no doubt of each other.
    """
    known = list(trials)
    found = _picked(known, most)
    while True:
        sure = [_alone(cause, found, known) for cause in found]
        kept = [cause for cause in sure if cause is not None and cause.probability > NAMED]
        if len(kept) == len(found):
            return tuple(kept)
        found = kept


def _picked(trials: list[Trial], most: int) -> list[Cause]:
    """The likeliest cause, set aside, the likeliest of what is left, as long as anything is likelier than nothing."""
    found: list[Cause] = []
    while len(found) < most:
        looked = suspicions(trials)
        if sum(cause.probability for cause in looked) <= NAMED:
            break
        found.append(max(looked, key=_rank))
        trials = [trial for trial in trials if not found[-1].covers(trial)]
    return found


def _alone(cause: Cause, causes: Sequence[Cause], trials: Sequence[Trial]) -> Cause | None:
    """The cause as it looks without the messages of the others; None where it is gone with them."""
    others = [other for other in causes if other is not cause]
    left = [trial for trial in trials if not any(other.covers(trial) for other in others)]
    return next((again for again in suspicions(left) if _who(again) == _who(cause)), None)


def _who(cause: Cause) -> tuple[Suspect, Name]:
    return cause.suspect, cause.name


def _rank(cause: Cause) -> tuple[float, str, Name]:
    return cause.probability, cause.suspect.value, cause.name


def suspicions(trials: Sequence[Trial]) -> tuple[Cause, ...]:
    """Every cause worth a question, with its probability; what they lack to 1 is that of "nothing"."""
    whole = _Whole.of(trials)
    theories = [theory for group in _groups(trials) for theory in whole.theories(group)]
    if not theories:
        return ()
    top = max(0.0, max(theory.odds for theory in theories))
    total = math.exp(-top) + sum(math.exp(theory.odds - top) for theory in theories)
    by_group: defaultdict[tuple[Suspect, Name], list[_Theory]] = defaultdict(list)
    for theory in theories:
        by_group[theory.group.suspect, theory.group.name].append(theory)
    return tuple(
        whole.cause(
            max(windows, key=lambda theory: theory.odds),
            sum(math.exp(theory.odds - top) for theory in windows) / total,
        )
        for windows in by_group.values()
    )


Stratum = tuple[str, bool]
"""Messages with one ordinary rate: those to one receiver's treated seeds, or to its controls."""

Tally = tuple[float, int]
"""Messages gone wrong, of how many."""


@dataclass(slots=True)
class _Group:
    """The messages that share a name, by day and stratum."""

    suspect: Suspect
    name: Name
    siblings: int = 1
    cells: defaultdict[date, dict[Stratum, Tally]] = field(default_factory=lambda: defaultdict(dict))
    members: list[int] = field(default_factory=list)

    def add(self, number: int, trial: Trial) -> None:
        cell, stratum = self.cells[trial.day], (trial.receiver, trial.control)
        wrong, n = cell.get(stratum, (0.0, 0))
        cell[stratum] = (wrong + trial.harm, n + 1)
        self.members.append(number)

    def windows(self, first: date) -> Iterator[tuple[date | None, date | None, float]]:
        """First and last day of what it may be blamed for, with the log share of its prior."""
        bad = sorted(day for day, cell in self.cells.items() if any(wrong > 0 for wrong, _ in cell.values()))
        days = max(1, (max(bad) - first).days)
        yield None, None, math.log(0.5)
        starts = [day for day in bad if day > first]
        share = 0.25 if self.suspect.has_moods else 0.5
        for start in starts:
            yield start, None, math.log(share / days)
        if not self.suspect.has_moods:
            return
        for start in [first, *starts]:
            for end in bad:
                if end >= start and end < max(self.cells):
                    yield start, end, math.log(0.5 * share / days / days)

    def tallies(self, since: date | None, until: date | None) -> dict[Stratum, Tally]:
        """Its messages of a window, by stratum."""
        found: dict[Stratum, Tally] = {}
        for day, cell in self.cells.items():
            if (since is None or day >= since) and (until is None or day <= until):
                for stratum, (wrong, n) in cell.items():
                    before = found.get(stratum, (0.0, 0))
                    found[stratum] = (before[0] + wrong, before[1] + n)
        return found


@dataclass(frozen=True, slots=True)
class _Theory:
    """A group blamed for a window; `odds` are the log odds against nothing, priors in."""

    group: _Group
    since: date | None
    until: date | None
    odds: float


@dataclass(frozen=True, slots=True)
class _Whole:
    """All messages by stratum, which is what "nothing is to blame" explains."""

    strata: Mapping[Stratum, Tally]
    first: date

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> "_Whole":
        harm: defaultdict[Stratum, float] = defaultdict(float)
        for trial in trials:
            harm[trial.receiver, trial.control] += trial.harm
        n = Counter((trial.receiver, trial.control) for trial in trials)
        first = min((trial.day for trial in trials), default=date.min)
        return cls({stratum: (harm[stratum], count) for stratum, count in n.items()}, first)

    def theories(self, group: _Group) -> Iterator[_Theory]:
        """Every window the group may be blamed for; none in which it did no worse than the rest."""
        prior = math.log((1 - NOTHING) / NOTHING * _SHARE[group.suspect] / group.siblings)
        for since, until, share in group.windows(self.first):
            tallies = group.tallies(since, until)
            wrong, n = _sum(tallies.values())
            rest_wrong, rest = self._rest(tallies)
            if wrong < _FEWEST or wrong * max(rest, 1) <= rest_wrong * n:
                continue
            odds = prior + share + _likelihood(_BLAMED, (wrong, n))
            for stratum, inside in tallies.items():
                every = self.strata[stratum]
                outside = (max(0.0, every[0] - inside[0]), every[1] - inside[1])
                odds += _likelihood(_ORDINARY, outside) - _likelihood(_ORDINARY, every)
            yield _Theory(group, since, until, odds)

    def cause(self, theory: _Theory, probability: float) -> Cause:
        """A theory in the words of the answer."""
        tallies = theory.group.tallies(theory.since, theory.until)
        (wrong, n), (rest_wrong, rest) = _sum(tallies.values()), self._rest(tallies)
        return Cause(
            suspect=theory.group.suspect,
            name=theory.group.name,
            since=theory.since,
            until=theory.until,
            probability=probability,
            wrong=wrong,
            messages=n,
            rest_wrong=rest_wrong,
            rest=rest,
        )

    def _rest(self, inside: Mapping[Stratum, Tally]) -> Tally:
        (wrong, n), (mine, of) = _sum(self.strata.values()), _sum(inside.values())
        return max(0.0, wrong - mine), n - of


def _groups(trials: Sequence[Trial]) -> list[_Group]:
    """The sets of messages that are worth a question, each set once."""
    found: dict[tuple[int, ...], _Group] = {}
    for suspect in Suspect:
        name = _NAME[suspect]
        harm: defaultdict[Name, float] = defaultdict(float)
        for trial in trials:
            harm[name(trial)] += trial.harm
        groups = {who: _Group(suspect, who, len(harm)) for who, wrong in harm.items() if wrong >= _FEWEST}
        if not groups:
            continue
        for number, trial in enumerate(trials):
            group = groups.get(name(trial))
            if group is not None:
                group.add(number, trial)
        for group in groups.values():
            found.setdefault(tuple(group.members), group)
    return list(found.values())


def _sum(tallies: Iterable[Tally]) -> Tally:
    wrong, n = 0.0, 0
    for more_wrong, more in tallies:
        wrong, n = wrong + more_wrong, n + more
    return wrong, n


# Within one crossing the same tallies come again and again; from one to the next they are others.
@lru_cache(maxsize=4096)
def _likelihood(prior: tuple[float, float], tally: Tally) -> float:
    """The log marginal likelihood of a tally whose rate is Beta(`prior`)."""
    (a, b), (wrong, n) = prior, tally
    return _log_beta(a + wrong, b + n - wrong) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
