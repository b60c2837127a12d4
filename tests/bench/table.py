"""`make bench`, second half: the table of worlds and ramps, our controller beside the others, and every claim with it.

Measured by the receiver model's own measures (warmup/cli/simulation/measures.py). A line is a world and a ramp: the
values of all controllers, spam and inbox of ours and of the blind ramp, days to target of both, and of ours the share
that reached it, the days within which 95 % of the turns were braked, the share that recovered, and false brakes a
lane-week. `missed` names what was asked of that line and is not so; the last line counts them.

With twelve mailboxes a world it takes some minutes on two cores. MAILBOXES=200 is the size of the claims, HINDSIGHT=1
adds the best blind ramp in hindsight and holds `auto` against it; together they take more than an hour. WORLDS=a,b:
those alone.
"""

import math
import os
import time
from collections.abc import Iterator, Mapping
from typing import Final

from warmup.cli.simulation.crew import crew
from warmup.cli.simulation.hindsight import best_in_hindsight
from warmup.cli.simulation.measures import TURNED, Measures, measures_of
from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.trial import Hands, Trial
from warmup.policy.ramp import ramp_named
from warmup.world import WORLD_NAMES, built_in

RAMPS: Final = ("careful", "standard", "fast", "esp", "auto")
CONTROLLERS: Final = ("adaptive", "blind", "notch", "stage")
TARGET, DAYS, SEED = 40, 90, 1

SPAMMY: Final = 0.05
"""The blind ramp's spam share above which ours is measured by what it saves, and below which by what it costs."""

LESS: Final = 0.4
ONE_POINT: Final = 0.01
LONGER: Final = 1.1
CLEAN: Final = 0.10
SEND: Final = 0.75
OF_HINDSIGHT: Final = 0.85
REACHED: Final = 0.95
FALSE: Final = 1 / 200
BRAKED: Final = 2

HEAD: Final = (
    f"{'world':<13}{'ramp':<9}{'value':>8}{'blind':>9}{'notch':>9}{'stage':>9}{'spam':>7}{'blind':>7}"
    f"{'inbox':>7}{'blind':>7}{'day':>5}{'blind':>6}{'reached':>9}{'braked':>7}{'back':>6}{'false':>8}  missed"
)

Row = Mapping[str, Measures]
"""One ramp's measures by controller."""


def main() -> None:
    """Print the table."""
    mailboxes, hindsight = int(os.environ.get("MAILBOXES", "12")), os.environ.get("HINDSIGHT", "") == "1"
    worlds = os.environ.get("WORLDS", "")
    began, asked, missed = time.perf_counter(), 0, 0
    print(HEAD)
    with crew(10**6, told=lambda _: None) as hands:
        for name in worlds.split(",") if worlds else WORLD_NAMES:
            world = built_in(name)
            setting = Setting(world=world, mailboxes=max(mailboxes, world.mailboxes_per_domain), days=DAYS, seed=SEED)
            best = best_in_hindsight(hands, setting, TARGET) if hindsight else None
            for ramp, row, is_turned in _rows(setting, hands):
                claims = dict(claims_of(name, ramp, row, best.account.value if best else None, is_turned=is_turned))
                short = [claim for claim, held in claims.items() if not held]
                asked, missed = asked + len(claims), missed + len(short)
                print(f"{name:<13}{ramp:<9}{_cells(row)}  {'; '.join(short) or '–'}", flush=True)
            if best is not None:
                print(f"{name:<13}{'in hindsight':<12}{best.account.value:>5,.0f}  {best.name}", flush=True)
    print(f"{mailboxes} mailboxes a world, {DAYS} days, target {TARGET}: {time.perf_counter() - began:.0f} s")
    print(f"{missed} of {asked} claims missed")


def claims_of(world: str, ramp: str, row: Row, best: float | None, *, is_turned: bool) -> Iterator[tuple[str, bool]]:
    """What is asked of a ramp in a world, and whether it is so.

    `best` is the value of the best in hindsight; `is_turned` where lanes of ours fell to at most 30 % inbox in a day.
    """
    ours, blind = row["adaptive"], row["blind"]
    if ramp == "auto":
        if best is not None:
            yield f"value {ours.value / best:.2f} × hindsight", ours.value >= OF_HINDSIGHT * best
    elif blind.spam_share > SPAMMY:
        yield f"spam {ours.spam_share / blind.spam_share:.2f} × blind", ours.spam_share <= LESS * blind.spam_share
        for other in CONTROLLERS[1:]:
            yield f"value below {other}", ours.value > row[other].value
    else:
        yield "spam above blind", ours.spam_share <= blind.spam_share + ONE_POINT
        yield "later than blind", not _is_later(ours, blind)
    if ramp != "auto" and blind.spam_share <= CLEAN:
        yield f"inbox {ours.inbox / blind.inbox:.2f} × blind", ours.inbox >= SEND * blind.inbox
    if world in ("gentle", "turning"):
        yield "reached", ours.days_to_target.reached_share >= REACHED
    if world == "gentle":
        yield "false brakes", (ours.false_brakes_per_lane_week or 0) <= FALSE
    if ours.braked_within_days is not None and is_turned:
        yield "braked late", (ours.braked_within_days.p95 or math.inf) <= BRAKED
    if ours.recovered_share is not None:
        yield f"back {ours.recovered_share:.0%}", ours.recovered_share == 1


def _is_later(ours: Measures, blind: Measures) -> bool:
    mine, theirs = ours.days_to_target.median, blind.days_to_target.median
    return theirs is not None and (mine is None or mine > LONGER * theirs)


def _rows(setting: Setting, hands: Hands) -> Iterator[tuple[str, Row, bool]]:
    trials = [Trial(ramp=ramp_named(ramp), controller=by, target=TARGET) for ramp in RAMPS for by in CONTROLLERS]
    accounts = hands.accounts(setting, trials)
    has_events, width = bool(setting.world.events), len(CONTROLLERS)
    for number, ramp in enumerate(RAMPS):
        row = dict(zip(CONTROLLERS, accounts[number * width : (number + 1) * width], strict=True))
        judged = {
            by: measures_of(account, ramp=ramp, controller=by, target=TARGET, has_events=has_events)
            for by, account in row.items()
        }
        yield ramp, judged, any(turn.spam >= TURNED for turn in row["adaptive"].turns)


def _cells(row: Row) -> str:
    ours, blind = row["adaptive"], row["blind"]
    braked = ours.braked_within_days.p95 if ours.braked_within_days else None
    false = ours.false_brakes_per_lane_week
    return (
        "".join(f"{row[by].value:>{9 - (by == 'adaptive')},.0f}" for by in CONTROLLERS)
        + f"{ours.spam_share:>7.1%}{blind.spam_share:>7.1%}{ours.inbox:>7,.0f}{blind.inbox:>7,.0f}"
        + f"{_said(ours.days_to_target.median, '.0f'):>5}{_said(blind.days_to_target.median, '.0f'):>6}"
        + f"{ours.days_to_target.reached_share:>9.0%}{_said(braked, '.0f'):>7}"
        + f"{_said(ours.recovered_share, '.0%'):>6}{_said(false, '.4f'):>8}"
    )


def _said(figure: float | None, form: str) -> str:
    return "–" if figure is None else format(figure, form)


if __name__ == "__main__":
    main()
