"""One ramp under one controller, which is what a comparison is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from warmup.cli.simulation.circle import Circle
from warmup.cli.simulation.course import Controller
from warmup.cli.simulation.measures import Account
from warmup.cli.simulation.opponents import Blind, Notch, Stage
from warmup.cli.simulation.setting import Setting
from warmup.policy.ramp import Ramp


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One ramp under one controller (`adaptive | blind | notch | stage`), with the volume to reach."""

    ramp: Ramp
    controller: str
    target: int


class Hands(Protocol):
    """Who does the work: this machine's cores (`crew`), or a program in the world's place (`outside`)."""

    def accounts(self, setting: Setting, trials: Sequence[Trial]) -> list[Account]:
        """What each trial adds up to over all mailboxes."""
        ...


def controller_of(trial: Trial, setting: Setting, boxes: range) -> Controller:
    """The trial's controller for one domain."""
    ramp = trial.ramp.towards(trial.target)
    match trial.controller:
        case "adaptive":
            return Circle(setting, boxes, ramp=ramp, target=trial.target)
        case "blind":
            return Blind(setting, boxes, ramp=ramp.calendar)
        case "notch":
            return Notch(setting, boxes, ramp=ramp.calendar)
        case "stage":
            return Stage(setting, boxes, ramp=ramp.calendar)
        case _:
            raise ValueError(f"no controller {trial.controller!r}")
