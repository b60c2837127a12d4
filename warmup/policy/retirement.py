"""Which seeds and grammars are left out of the days to come, by evidence, and when they come back.

A seed is a mailbox that spams everybody; a grammar is a text that nobody wants. Either is retired where attribution is
sure of it (`SURE`) and three of its messages went wrong at the least. It comes back when what is left of the evidence
names it no more: evidence is forgotten after `WINDOW`, so nothing is retired for longer unless it goes wrong again.
What is named with less stays as it is: retired or not (hysteresis).

Guarantees. A receiver keeps its last seed and two thirds of its seeds, a language its last grammar and two thirds of
its grammars, whatever the evidence says: the retirement of a pool is the pool's end. A decision is only ever a change.
It is for dates planned after it; a planned slot is never edited.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from warmup.policy.attribution import SURE, Cause, Suspect, Trial, causes

FEWEST: Final = 3.0
"""Messages gone wrong before anything is retired (FACTS.md has other tools at three, of at least twenty)."""

_MOST: Final = 3
"""One in so many of a pool may be retired at a time."""

_RETIRED_KINDS: Final = (Suspect.SEED, Suspect.GRAMMAR)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A seed by its address, or a grammar by its name."""

    suspect: Suspect
    name: str

    def __post_init__(self) -> None:
        if self.suspect not in _RETIRED_KINDS:
            raise ValueError(f"only seeds and grammars are retired, not a {self.suspect}")


Pools = Mapping[Candidate, str]
"""Everything that is in use, retired or not, with the pool it belongs to: a receiver, or a language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A change: the candidate is `retired` from now on, or back."""

    candidate: Candidate
    retired: bool
    reason: str


def decisions(trials: Iterable[Trial], pools: Pools, *, retired: frozenset[Candidate]) -> tuple[Decision, ...]:
    """What changes, by all trials of the last `WINDOW`; `retired` is who is retired now."""
    named = {
        Candidate(cause.suspect, cause.name[0]): cause for cause in causes(trials) if cause.suspect in _RETIRED_KINDS
    }
    back = [
        Decision(candidate=candidate, retired=False, reason="what spoke against it is forgotten")
        for candidate in sorted(retired, key=_order)
        if candidate not in named
    ]
    stay = {candidate for candidate in retired if candidate in named}
    return (*back, *_newly(named, pools, stay))


def _newly(named: Mapping[Candidate, Cause], pools: Pools, stay: set[Candidate]) -> Iterable[Decision]:
    """Who is retired now, the surest first, as far as its pool can spare it."""
    out = set(stay)
    for candidate, cause in sorted(named.items(), key=lambda item: (-item[1].probability, _order(item[0]))):
        if candidate in out or candidate not in pools or cause.probability < SURE or cause.wrong < FEWEST:
            continue
        pool = [
            other for other, name in pools.items() if (other.suspect, name) == (candidate.suspect, pools[candidate])
        ]
        if sum(other in out for other in pool) < spare(len(pool)):
            out.add(candidate)
            yield Decision(candidate=candidate, retired=True, reason=grounds(cause))


def spare(size: int) -> int:
    """How many of a pool of that size may be retired at a time: a third, one of two, none of one."""
    return 0 if size < 2 else max(1, size // _MOST)


def grounds(cause: Cause) -> str:
    """Why, in words."""
    return (
        f"{cause.wrong:g} of {cause.messages} went wrong, {cause.rest_wrong:g} of {cause.rest} of all others"
        f" ({cause.probability:.0%} sure)"
    )


def _order(candidate: Candidate) -> tuple[str, str]:
    return candidate.suspect.value, candidate.name
