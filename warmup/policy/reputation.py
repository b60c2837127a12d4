"""Our estimate of what receivers hold and never show, with its uncertainty said.

Two figures. The *inbox share* is what is reported: the slow memory's, as a Beta posterior with its central 95 %
interval. `missing` is not inbox. The *harm share* is what brakes: the fast memory's, leaning on its neighbours where it
knows little (shrinkage): on the domain's other lanes at the same receiver, worth up to `DOMAIN` messages, on the
mailbox's lane to the other service of the same operator (policy/kin), worth up to `OPERATOR`, and on its other lanes,
worth up to `MAILBOX`. A newcomer is supposed to have `NEWCOMER` harm, worth `DOUBT` messages.

Faded weights are not a count: the interval uses the number of equally weighed messages that would tell as much
(Kish 1965: (Σw)²/Σw²).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from warmup.policy.beta import beta_quantile
from warmup.policy.evidence import NOTHING, Evidence, pooled

DOMAIN: Final = 6.0
OPERATOR: Final = 4.0
MAILBOX: Final = 2.0
DOUBT: Final = 2.0
NEWCOMER: Final = 0.04

_INTERVAL: Final = (0.025, 0.975)
_REPORTED_DOUBT: Final = (0.75, 0.25)
"""The report's own prior in messages: nearly Jeffreys' (0.5, 0.5), leaning to the inbox as mail does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """`n` messages sighted, `weight` what they are worth now; `harm` 0–1: the brake's.

    `good` and `bad` are the parameters of the inbox share's Beta posterior. The interval is worked out where it is
    asked for: it costs more than all the rest.
    """

    n: int
    weight: float
    good: float
    bad: float
    harm: float

    @property
    def inbox_ratio(self) -> float:
        """The posterior's mean."""
        return self.good / (self.good + self.bad)

    @property
    def lower_ratio(self) -> float:
        """The lower end of the central 95 % interval."""
        return beta_quantile(_INTERVAL[0], self.good, self.bad)

    @property
    def upper_ratio(self) -> float:
        """The upper end of the central 95 % interval."""
        return beta_quantile(_INTERVAL[1], self.good, self.bad)


def estimate(
    own: Evidence,
    now: datetime,
    *,
    mailbox: Iterable[Evidence] = (),
    domain: Iterable[Evidence] = (),
    operator: Iterable[Evidence] = (),
) -> Estimate:
    """The estimate of one subject at `now`.

    What it may lean on: its `mailbox`'s other lanes, its `domain`'s here, its own at the `operator`'s other services.
    """
    faded = own.by(now)
    good, bad = posterior(faded)
    return Estimate(
        n=faded.sightings,
        weight=faded.slow.weight,
        good=good,
        bad=bad,
        harm=harm_share(faded, pooled(mailbox, now), pooled(domain, now), pooled(operator, now)),
    )


def posterior(faded: Evidence) -> tuple[float, float]:
    """The two parameters of the inbox share's Beta posterior, from evidence already faded."""
    memory = faded.slow
    worth = memory.weight / memory.square if memory.square > 0 else 0.0
    return (
        (memory.weight - memory.harm) * worth + _REPORTED_DOUBT[0],
        memory.harm * worth + _REPORTED_DOUBT[1],
    )


def harm_share(faded: Evidence, mailbox: Evidence, domain: Evidence, operator: Evidence = NOTHING) -> float:
    """The share of messages that go wrong, 0–1, by the fast memory and what it leans on."""
    harm, weight = faded.fast.harm + DOUBT * NEWCOMER, faded.fast.weight + DOUBT
    for neighbour, most in ((domain, DOMAIN), (operator, OPERATOR), (mailbox, MAILBOX)):
        if neighbour.fast.weight > 0:
            lean = min(most, neighbour.fast.weight)
            harm += lean * neighbour.fast.harm / neighbour.fast.weight
            weight += lean
    return min(1.0, harm / weight)
