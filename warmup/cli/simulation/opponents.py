"""What a ramp is compared with (MODEL.md, "How a ramp is judged"; FACTS.md, "Other tools' rules").

*blind*: the ramp by the calendar, whatever happens. *notch*: after any spam seen within 48 hours the day's volume is
× 0.75, and the ramp stands still until 72 hours passed without any. *stage*: a day of the ramp is left only when its
full volume was accepted; placements are not looked at. All three blend a mailbox's receivers, as such tools do.

*Best in hindsight* is the best blind ramp of a fixed family, found by trying them all: what an oracle with a calendar
could have chosen.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from warmup.cli.simulation.course import MORNING
from warmup.cli.simulation.post import Learnt
from warmup.cli.simulation.setting import MINUTES, Setting
from warmup.cli.simulation.tally import Tally
from warmup.policy.evidence import Sign
from warmup.policy.ramp import Ramp, Table
from warmup.policy.standing import Standing

NOTCH: Final = 0.75
_NOTCHED: Final = timedelta(hours=48) / timedelta(minutes=1)
_FROZEN: Final = timedelta(hours=72) / timedelta(minutes=1)
_GOLDEN: Final = (math.sqrt(5) - 1) / 2

STARTS: Final = (2, 5)
STEPS: Final = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
GROWTHS: Final = (1.01, 1.02, 1.03, 1.05, 1.07, 1.1, 1.15, 1.2, 1.3, 1.4)
LOWER_ENDS: Final = (0.1, 0.2, 0.35, 0.5, 0.7)
"""Ends below the target, as shares of it: some receivers are best served by stopping early."""


class Blind:
    """The ramp by the calendar, over all receivers by weight."""

    def __init__(self, setting: Setting, boxes: range, *, ramp: Ramp) -> None:
        self._ramp, self._boxes = ramp, boxes
        total = sum(setting.weights)
        self._shares = [weight / total for weight in setting.weights]
        self._targets: list[int] = []

    def plan(self, day: int) -> list[int]:
        """The day's ceiling, dealt out over the receivers."""
        self._targets = [
            part for number, box in enumerate(self._boxes) for part in self._dealt(self.volume(number, day), box, day)
        ]
        return self._targets

    def volume(self, number: int, day: int) -> int:  # noqa: ARG002 (others ask which mailbox)
        """Messages of the domain's mailbox `number` on `day`."""
        return self._ramp.ceiling(day)

    def learn(self, news: Learnt) -> None:
        """Nothing is learnt."""

    def look(self, minutes: float) -> None:
        """Nothing is judged."""

    def room(self, lane: int, sent: int) -> int:
        """All of the plan."""
        return self._targets[lane] - sent

    def standing(self, lane: int) -> Standing | None:  # noqa: ARG002 (a controller's)
        """None is known."""
        return None

    def close(self, day: int, tallies: list[Tally]) -> None:
        """Nothing is remembered."""

    def _dealt(self, volume: int, box: int, day: int) -> list[int]:
        """`volume` in whole messages by share; fractions come due on some days and not on others."""
        if len(self._shares) == 1:
            return [volume]
        turn = (day + box * _GOLDEN) * _GOLDEN % 1
        dealt, behind, parts = 0, 0.0, []
        for share in self._shares:
            behind += volume * share
            upto = min(volume, int(behind + turn + 1e-9))
            parts.append(upto - dealt)
            dealt = upto
        parts[-1] += volume - dealt
        return parts


class Notch(Blind):
    """Any spam within 48 hours: × 0.75 and a frozen ramp, until 72 quiet hours."""

    def __init__(self, setting: Setting, boxes: range, *, ramp: Ramp) -> None:
        super().__init__(setting, boxes, ramp=ramp)
        self._width = len(setting.receivers)
        self._level = [0] * len(boxes)
        self._spam_at = [-math.inf] * len(boxes)

    def volume(self, number: int, day: int) -> int:
        """The ramp at the level that quiet days have reached, notched where spam was seen."""
        quiet = (day - 1) * MINUTES + MORNING - self._spam_at[number]
        self._level[number] += self._level[number] == 0 or quiet >= _FROZEN
        whole = self._ramp.ceiling(self._level[number])
        return whole if quiet >= _NOTCHED else max(1, int(whole * NOTCH))

    def learn(self, news: Learnt) -> None:
        """When spam was seen last."""
        if news.sign in (Sign.SPAM, Sign.MOVED):
            number = news.lane // self._width
            self._spam_at[number] = max(self._spam_at[number], news.known_at)


class Stage(Blind):
    """A day of the ramp is left when its full volume was accepted."""

    def __init__(self, setting: Setting, boxes: range, *, ramp: Ramp) -> None:
        super().__init__(setting, boxes, ramp=ramp)
        self._width = len(setting.receivers)
        self._level = [1] * len(boxes)

    def volume(self, number: int, day: int) -> int:  # noqa: ARG002 (no calendar)
        """The ramp at the stage reached."""
        return self._ramp.ceiling(self._level[number])

    def close(self, day: int, tallies: list[Tally]) -> None:  # noqa: ARG002 (no calendar)
        """Climb where all was accepted."""
        for number in range(len(self._level)):
            day_of = tallies[number * self._width : (number + 1) * self._width]
            self._level[number] += all(tally.sent >= tally.target for tally in day_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A ramp of the family, with its name."""

    name: str
    ramp: Table


def family(target: int, days: int) -> tuple[Named, ...]:
    """The ramps that hindsight chooses from: linear and geometric, from 2 or 5, to the target or a lower end."""
    # The highest first: a ramp that never gets to a lower end is called after the target.
    ends = sorted({max(1, round(target * share)) for share in LOWER_ENDS} | {target}, reverse=True)
    found: dict[tuple[int, ...], str] = {}
    for end in ends:
        for start in STARTS:
            for step in STEPS:
                volumes = (start + step * day for day in range(days))
                found.setdefault(_cut(volumes, end), f"linear {start} +{step:g} to {end}")
            for growth in GROWTHS:
                volumes = (start * growth**day for day in range(days))
                found.setdefault(_cut(volumes, end), f"geometric {start} ×{growth:g} to {end}")
    return tuple(Named(name=name, ramp=Table(levels=levels)) for levels, name in found.items())


def _cut(volumes: Iterable[float], end: int) -> tuple[int, ...]:
    return tuple(min(end, int(volume + 1e-9)) for volume in volumes)
