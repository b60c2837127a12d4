"""An interval says how sure we are: the truth lies in it as often as it says, and below its lower end hardly ever."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from warmup.cli.simulation.circle import Circle
from warmup.cli.simulation.course import LOOKS, course_of
from warmup.cli.simulation.setting import MINUTES, Setting, instant
from warmup.cli.simulation.tally import Tally
from warmup.policy.evidence import Finding, Sign, evidence_of
from warmup.policy.ramp import ramp_named
from warmup.policy.reputation import estimate
from warmup.world import built_in

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
LANES = 2500
FAR = 5


def test_of_constant_lanes_nineteen_intervals_in_twenty_hold_the_truth() -> None:
    rng, covered = Random(11), 0
    for _ in range(LANES):
        truth, n = rng.uniform(0.5, 1), rng.randint(10, 100)
        hours = timedelta(hours=rng.uniform(0.2, 4))
        seen = [
            Finding(at=START + number * hours, sign=Sign.INBOX if rng.random() < truth else Sign.SPAM)
            for number in range(n)
        ]
        told = estimate(evidence_of(seen), START + n * hours)
        covered += told.lower_ratio <= truth <= told.upper_ratio
    assert 0.93 <= covered / LANES <= 0.97


class _Watched(Circle):
    """Notes each evening whether the lower end was at or below the true rate."""

    notes: list[tuple[int, bool]]
    missing: float

    def close(self, day: int, tallies: list[Tally]) -> None:
        """The day is over."""
        super().close(day, tallies)
        now = instant((day - 1) * MINUTES + LOOKS[-1])
        for lane, tally in enumerate(tallies):
            spam = tally.expected_spam / tally.sent if tally.sent else tally.true_spam or 0.0
            truth = (1 - spam) * (1 - self.missing)
            told = estimate(self.evidence(lane), now)
            if told.n:
                self.notes.append((day, told.lower_ratio <= truth))


@pytest.mark.parametrize("world", ["gentle", "turning", "black-friday", "greylisting", "volume-shy", "strict"])
def test_in_worlds_that_drift_the_lower_end_is_not_too_high(world: str) -> None:
    notes: list[tuple[int, bool]] = []
    # A lane's days hang together: a few lanes of one seed say little.
    for seed in (5, 6):
        setting = Setting(world=built_in(world), mailboxes=10, days=70, seed=seed)
        for boxes in setting.domains():
            circle = _Watched(setting, boxes, ramp=ramp_named("standard"), target=40)
            circle.notes, circle.missing = notes, setting.world.receivers[0].missing
            course_of(setting, boxes, circle)
    turns = [day for event in setting.world.events for day in (event.day, event.day + event.days)]
    far = [held for day, held in notes if all(not turn <= day <= turn + FAR for turn in turns)]
    assert len(far) > 100
    assert sum(far) / len(far) >= 0.95
