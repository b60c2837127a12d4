"""`make bench`, second half: the table of worlds, ramps and controllers, by the receiver model's measures.

With six mailboxes a world it takes about two minutes on two cores. MAILBOXES=200 is the size of the claims, and
HINDSIGHT=1 adds the best blind ramp in hindsight; together they take more than an hour.
"""

import os
import time

from warmup.cli.simulation.crew import crew
from warmup.cli.simulation.hindsight import best_in_hindsight
from warmup.cli.simulation.measures import Measures, measures_of
from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.trial import Hands, Trial
from warmup.policy.ramp import ramp_named
from warmup.world import WORLD_NAMES, built_in

RAMPS = ("careful", "standard", "fast", "esp", "auto")
CONTROLLERS = ("adaptive", "blind", "notch", "stage")
TARGET, DAYS, SEED = 40, 90, 1


def main() -> None:
    """Print the table."""
    mailboxes, hindsight = int(os.environ.get("MAILBOXES", "6")), os.environ.get("HINDSIGHT", "") == "1"
    began = time.perf_counter()
    print(f"{'world':<13}{'ramp':<10}" + "".join(f"{by:>21}" for by in CONTROLLERS))
    print(f"{'':<23}" + f"{'value  spam  day':>21}" * len(CONTROLLERS))
    with crew(10**6, told=lambda _: None) as hands:
        for name in WORLD_NAMES:
            world = built_in(name)
            setting = Setting(world=world, mailboxes=max(mailboxes, world.mailboxes_per_domain), days=DAYS, seed=SEED)
            _rows(setting, hands)
            if hindsight:
                best = best_in_hindsight(hands, setting, TARGET)
                print(f"{name:<13}{'hindsight':<10}{best.account.value:>10,.0f}  {best.name}", flush=True)
    print(f"{mailboxes} mailboxes a world, {DAYS} days, target {TARGET}: {time.perf_counter() - began:.0f} s")


def _rows(setting: Setting, hands: Hands) -> None:
    trials = [Trial(ramp=ramp_named(ramp), controller=by, target=TARGET) for ramp in RAMPS for by in CONTROLLERS]
    accounts = hands.accounts(setting, trials)
    for number, ramp in enumerate(RAMPS):
        row = accounts[number * len(CONTROLLERS) : (number + 1) * len(CONTROLLERS)]
        cells = [
            _cell(measures_of(account, ramp=ramp, controller=by, target=TARGET, has_events=False))
            for account, by in zip(row, CONTROLLERS, strict=True)
        ]
        print(f"{setting.world.name:<13}{ramp:<10}" + "".join(f"{cell:>21}" for cell in cells), flush=True)


def _cell(of: Measures) -> str:
    day = of.days_to_target.median
    return f"{of.value:,.0f} {of.spam_share:6.1%} {'–' if day is None else f'{day:.0f}':>4}"


if __name__ == "__main__":
    main()
