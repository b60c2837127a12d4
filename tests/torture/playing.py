"""The scenarios by name, and how they are played: in an empty folder each, and in full two side by side."""

import inspect
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

from tests.torture.outcome import Form, Outcome
from tests.torture.places import Place

_SUFFIX = "_scenario"
_ALONE = ("soak",)
_SIDE_BY_SIDE = 2


def names() -> list[str]:
    """The scenarios there are, by the modules of this package."""
    return sorted(path.stem.removesuffix(_SUFFIX) for path in Path(__file__).parent.glob(f"*{_SUFFIX}.py"))


def names_on(place: str) -> list[str]:
    """The scenarios that can be played on another ledger than a file."""
    left_out = {"cluster": ("kill",)}.get(place, ())
    return [name for name in names() if _takes_a_place(name) and name not in left_out]


def run(name: str, form: Form, place: Place | None = None) -> Outcome:
    """One scenario in an empty folder."""
    scenario = _scenario(name)
    with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as folder:
        told = () if place is None else (place,)
        found: Outcome = scenario.run(form, Path(folder), *told)
    return found


def _timed(name: str, form: Form, place: Place | None) -> tuple[Outcome, float]:
    began = time.monotonic()
    return run(name, form, place), time.monotonic() - began


def play(wanted: Sequence[str], form: Form, place: Place | None) -> list[Outcome]:
    """The outcomes in the order asked for; each is said as it comes."""
    found: dict[str, Outcome] = {}

    def said(name: str, outcome: Outcome, seconds: float) -> None:
        found[name] = outcome
        sys.stderr.write(f"{name}: {'held' if outcome.held else 'BROKEN'}, {seconds:.0f} s\n")

    alone = [name for name in wanted if name in _ALONE or place is not None or form is Form.SHORT]
    with ProcessPoolExecutor(_SIDE_BY_SIDE, mp_context=get_context("spawn")) as pool:
        playing = {pool.submit(_timed, name, form, None): name for name in wanted if name not in alone}
        for each in as_completed(playing):
            name, failure = playing[each], each.exception()
            if failure is None:
                said(name, *each.result())
            else:
                # The others' figures are worth having all the same.
                said(name, Outcome(scenario=name, tries=0, breaches=1, broken=(f"it failed: {failure!r}",)), 0)
    for name in alone:
        said(name, *_timed(name, form, place))
    return [found[name] for name in wanted]


def _scenario(name: str) -> ModuleType:
    return import_module(f"tests.torture.{name}{_SUFFIX}")


def _takes_a_place(name: str) -> bool:
    return "place" in inspect.signature(_scenario(name).run).parameters
