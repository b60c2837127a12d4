"""`warmup simulate`: which ramp reaches the target soonest without landing in spam, before anybody risks a domain.

The receivers are models (warmup/world, MODEL.md): a test bench, not a claim about anybody's real receiver. What decides
is what the daemon decides with. The same options and seed give the same figures, on any number of cores. Without
`--ramp` the presets `careful`, `standard`, `fast` and `auto` are compared, each to its own end; several ramps with one
target meet one and the same best in hindsight.
"""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum, unique
from pathlib import Path
from typing import Annotated, Any

import typer

from warmup.cli.faults import bad_input, wrong_usage
from warmup.cli.output import Json, print_json, say
from warmup.cli.simulation.chart import draw, show
from warmup.cli.simulation.crew import crew
from warmup.cli.simulation.hindsight import best_in_hindsight
from warmup.cli.simulation.hindsight import work as hindsight_work
from warmup.cli.simulation.measures import Account, Measures, measures_of
from warmup.cli.simulation.outside import Outside
from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.trial import Hands, Trial
from warmup.policy.ramp import RampUnknown, ramp_named
from warmup.world import World, WorldError, WorldUnknown, built_in, read_world

app = typer.Typer(add_completion=False)

RAMPS = ("careful", "standard", "fast", "auto")

Shown = list[tuple[Measures, Account]]


@unique
class Opponent(StrEnum):
    """Whom the adaptive controller is compared with."""

    BLIND = "blind"
    NOTCH = "notch"
    STAGE = "stage"
    HINDSIGHT = "hindsight"


@app.command()
def simulate(
    ramp: Annotated[
        list[str] | None, typer.Option("--ramp", metavar="NAME", help="A ramp to try; may be repeated.")
    ] = None,
    against: Annotated[
        str, typer.Option("--against", metavar="NAMES", help="Compare with blind,notch,stage,hindsight.")
    ] = "",
    blind: Annotated[bool, typer.Option("--blind", help="Compare with the same ramp, whatever happens.")] = False,
    hindsight: Annotated[
        bool, typer.Option("--hindsight", help="Compare with the best blind ramp in hindsight.")
    ] = False,
    target: Annotated[
        int | None, typer.Option("--target", metavar="N", min=1, max=10_000, help="Daily volume to reach.")
    ] = None,
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, max=1000, help="Simulated days.")] = 90,
    mailboxes: Annotated[int, typer.Option("--mailboxes", metavar="N", min=1, max=100_000, help="How many.")] = 20,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="The same seed gives the same figures.")] = 7,
    world: Annotated[
        str, typer.Option("--world", metavar="NAME|FILE.toml", help="A world by name, or a file of the same form.")
    ] = "gentle",
    receiver: Annotated[
        str | None, typer.Option("--receiver", metavar="COMMAND", help="A program in the world's place.")
    ] = None,
    json: Json = False,
) -> None:
    """Warm mailboxes up against modelled receivers and compare ramps and controllers; a test bench, not a claim."""
    opponents = _opponents(against, blind=blind, hindsight=hindsight)
    trials = _trials(ramp or RAMPS, target, opponents)
    setting = Setting(world=world_of(world), mailboxes=mailboxes, days=days, seed=seed)
    shown = _outcome(setting, trials, receiver, hindsight=Opponent.HINDSIGHT in opponents)
    if json:
        print_json("simulate", _document(setting, target, receiver, shown))
    else:
        draw(shown)
        show([measures for measures, _ in shown])


def world_of(name: str) -> World:
    """The world of that name, or of that file where `name` has a slash or ends in .toml. Raises Fault."""
    if "/" not in name and not name.endswith(".toml"):
        try:
            return built_in(name)
        except WorldUnknown as unknown:
            raise wrong_usage(str(unknown.args[0]), "a file's name has a / or ends in .toml") from None
    try:
        return read_world(tomllib.loads(Path(name).read_text(encoding="utf-8")))
    except OSError as error:
        raise bad_input(f"{name}: {error.strerror}", "give a world file that can be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise bad_input(f"{name} is no TOML: {error}", "mend that line") from None
    except WorldError as error:
        raise bad_input(f"{name}: {error}", "a world file has the keys of MODEL.md alone") from None


def _opponents(against: str, *, blind: bool, hindsight: bool) -> list[Opponent]:
    named = [name.strip() for name in against.split(",") if name.strip()]
    try:
        found = {Opponent(name) for name in named}
    except ValueError:
        unknown = next(name for name in named if name not in tuple(Opponent))
        raise wrong_usage(f"--against knows no {unknown}", f"choose from {', '.join(Opponent)}") from None
    found |= {Opponent.BLIND} if blind else set()
    found |= {Opponent.HINDSIGHT} if hindsight else set()
    return [opponent for opponent in Opponent if opponent in found]


def _trials(ramps: Sequence[str], target: int | None, opponents: Sequence[Opponent]) -> list[tuple[str, Trial]]:
    controllers = ["adaptive", *(opponent for opponent in opponents if opponent is not Opponent.HINDSIGHT)]
    trials: list[tuple[str, Trial]] = []
    for name in dict.fromkeys(ramps):
        try:
            ramp = ramp_named(name)
        except RampUnknown as unknown:
            raise wrong_usage(str(unknown), "--help lists the options") from None
        trials += [(name, Trial(ramp=ramp, controller=str(by), target=target or ramp.limit)) for by in controllers]
    return trials


def _outcome(setting: Setting, trials: Sequence[tuple[str, Trial]], receiver: str | None, *, hindsight: bool) -> Shown:
    targets = sorted({trial.target for _, trial in trials}) if hindsight else []
    plain = len(trials) * setting.mailboxes * setting.days
    whole = plain + sum(hindsight_work(setting, target) for target in targets)
    shown: Shown = []
    with _progress(whole) as told, _hands(whole, receiver, told) as hands:
        accounts = hands.accounts(setting, [trial for _, trial in trials])
        for (name, trial), account in zip(trials, accounts, strict=True):
            shown.append((_measured(setting, account, name, trial.controller, trial.target), account))
        for target in targets:
            best = best_in_hindsight(hands, setting, target)
            shown.append((_measured(setting, best.account, best.name, "best-in-hindsight", target), best.account))
    return shown


@contextmanager
def _hands(whole: int, receiver: str | None, told: Callable[[int], None]) -> Iterator[Hands]:
    if receiver is not None:
        yield Outside(receiver, told=told)
        return
    with crew(whole, told=told) as hands:
        yield hands


def _measured(setting: Setting, account: Account, name: str, controller: str, target: int) -> Measures:
    has_events = bool(setting.world.events)
    return measures_of(account, ramp=name, controller=controller, target=target, has_events=has_events)


def _document(setting: Setting, target: int | None, receiver: str | None, shown: Shown) -> dict[str, Any]:
    return {
        "world": setting.world.name,
        "receiver": receiver,
        "days": setting.days,
        "mailboxes": setting.mailboxes,
        "seed": setting.seed,
        "target": target,
        "ramps": [measures.document() for measures, _ in shown],
    }


@contextmanager
def _progress(whole: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; elsewhere a plain line at every quarter of long work."""
    import sys

    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("simulating", total=whole)
            yield lambda done: bar.advance(task, done)
        return
    yield _Quarters(whole).told


class _Quarters:
    """Says how far the work is, at every quarter, where it is long enough to be waited for."""

    def __init__(self, whole: int) -> None:
        self._whole, self._done, self._said = whole, 0, 0

    def told(self, done: int) -> None:
        self._done += done
        quarter = 4 * self._done // max(1, self._whole)
        if quarter > self._said and self._whole > 20_000:
            self._said = quarter
            say(f"simulated {self._done:,} of {self._whole:,} mailbox-days")
