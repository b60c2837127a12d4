"""What a lane's receiver is used to, and how fast the lane may grow there: both learned from its own days.

Receivers judge volume against what they are used to, and forget within days to weeks (MODEL.md; FACTS.md, "Published
ramps"). How fast one of them lets a sender grow nobody says; it shows when spam follows growth. So the growth a lane is
allowed is cut where it was braked while it grew, as congestion control cuts its window, and heals with every sound day.
A brake at a level volume says nothing about growth (it is a mood, or the content) and cuts nothing; nor does one that
goes on for a week at a trickle: then it was not the volume after all, and the growth learned before is restored,
whatever the caution, until the lane is back where the mood met it, or at its ceiling where that is lower by now. A
short brake on the way back cuts the growth, and leaves that; after a month on its way caution has its say again.

That is learned from brakes; `cautious` is the other half, learned from every message. The lesser of the two holds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, cast

from warmup.policy.level import FORGOTTEN, LaneDay

GROWTH: Final = 0.4
"""The most a lane grows in a day, of what it carried the day before (FACTS.md, SendGrid's automatic ramp)."""

LEAST: Final = 0.02
"""And the least that is learned: at 2 % a day a volume doubles in five weeks."""

CUT: Final = 0.5
"""What a brake leaves of the growth that led to it."""

HEALING: Final = 1.03
"""Growth comes back by this factor with every sound day: doubled in three weeks and a half."""

USED_TO: Final = 0.5 ** (1 / 7)
"""What is left after a day of what a receiver is used to: half in a week."""

MOOD_DAYS: Final = 7
"""Days of braking after which growth is no longer blamed."""

_BACK: Final = 0.8
"""The share of what a mood took with which the lane is back."""

_LONGEST_BACK: Final = FORGOTTEN.days
"""Days on the way back after which nothing is owed any more."""

_LATELY: Final = 3
_LEVEL: Final = 0.005


@dataclass(frozen=True, slots=True)
class Headroom:
    """`used_to`: messages a day the receiver has seen of late; `growth`: the most for a day, as a share.

    `owed`: the volume that a mood took and the lane is on its way back to; 0 where there is none.
    """

    used_to: float
    growth: float = GROWTH
    owed: float = 0.0

    def within(self, growth: float) -> "Headroom":
        """With no more than `growth` (`cautious`), except on the way back from a mood: that was not about growth."""
        return self if self.owed > 0 else replace(self, growth=min(self.growth, growth))


def cautious(caution: float) -> float:
    """The growth that `caution` (policy/evidence) leaves of the most there is, as a share a day."""
    return max(LEAST, GROWTH * math.exp(-caution))


def headroom(records: Sequence[LaneDay], *, today: date) -> Headroom:
    """What the lane's days before `today` teach, oldest first; everything is forgotten in a gap of 30 days."""
    learner = _Learner()
    for day in records:
        if day.target > 0 or day.standing.is_braked:
            if learner.before is not None and day.date - learner.before > FORGOTTEN:
                learner = _Learner()
            learner.learn(day)
    if learner.before is None or today - learner.before > FORGOTTEN:
        return Headroom(0.0)
    left = USED_TO ** max(0, (today - learner.before).days - 1)
    return Headroom(learner.used_to * left, learner.growth, learner.owed)


class _Learner:
    """The fold over a lane's days that counted."""

    def __init__(self) -> None:
        self.used_to, self.growth, self.before = 0.0, GROWTH, cast("date | None", None)
        self._volumes: list[float] = []
        self._braked_days = self._days_back = 0
        self._uncut, self._lost, self.owed = GROWTH, 0.0, 0.0

    def learn(self, day: LaneDay) -> None:
        """One more day."""
        if day.standing.is_braked:
            if not self._braked_days:
                self._uncut, self.growth = self.growth, _cut(self.growth, self._volumes)
                self._lost = max([self.owed, *self._volumes[-1:]])
            self._braked_days += 1
            if self._braked_days == MOOD_DAYS:
                self.growth, self.owed, self._days_back = self._uncut, self._lost, 0
            self._volumes = []
        else:
            self._braked_days = 0
            self._days_back += 1
            is_back = day.volume >= _BACK * min(self.owed, day.ceiling) or self._days_back > _LONGEST_BACK
            self.owed = 0.0 if is_back else self.owed
            self.growth = min(GROWTH, self.growth * HEALING)
            self._volumes = [*self._volumes[-_LATELY:], day.volume]
        if self.before is None:
            self.used_to = float(day.accepted)
        else:
            left = USED_TO ** (day.date - self.before).days
            self.used_to = self.used_to * left + day.accepted * (1 - USED_TO)
        self.before = day.date


def _cut(growth: float, volumes: Sequence[float]) -> float:
    """What a brake after these last volumes leaves of the growth."""
    if len(volumes) < 2 or volumes[0] <= 0:
        return growth
    grew = (volumes[-1] / volumes[0]) ** (1 / (len(volumes) - 1)) - 1
    return growth if grew < _LEVEL else max(LEAST, CUT * min(growth, grew))
