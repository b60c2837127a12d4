"""`python -m tests.torture [NAME …] [--short] [--on PLACE]`: the scenarios in full, and the table of what they found.

PLACE is where the ledger lies, `postgres`, or `cluster` for a PostgreSQL with the cluster's engine: the scenarios that
can be played there, in short. Exits 1 if a promise was broken. Every scenario gets an empty folder of its own.
"""

import argparse
import inspect
import sys
import tempfile
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import ModuleType

from tests.postgres import Server
from tests.torture.outcome import Form, Outcome, table
from tests.torture.places import OnServer, Place, on_cluster

_SUFFIX = "_scenario"


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


def _scenario(name: str) -> ModuleType:
    return import_module(f"tests.torture.{name}{_SUFFIX}")


def _takes_a_place(name: str) -> bool:
    return "place" in inspect.signature(_scenario(name).run).parameters


def main(arguments: list[str]) -> int:
    """Run what was asked for, say each outcome as it comes and all of them at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}")
    parser.add_argument("--short", action="store_true", help="as `make test` does")
    parser.add_argument("--on", choices=("postgres", "cluster"), help="another ledger than a file; in short")
    options = parser.parse_args(arguments)
    there = names_on(options.on) if options.on else names()
    if unknown := sorted(set(options.names) - set(there)):
        sys.stderr.write(f"error: no scenario {', '.join(unknown)}; there are {', '.join(there)}\n")
        return 2
    form = Form.SHORT if options.short or options.on else Form.FULL
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        place = None
        if options.on:
            server = Server.start()
            stack.callback(server.stop)
            place = on_cluster(server) if options.on == "cluster" else OnServer(server)
        for name in options.names or there:
            outcomes.append(run(name, form, place))
            sys.stderr.write(f"{name}: {'held' if outcomes[-1].held else 'BROKEN'}\n")
    sys.stdout.write(table(outcomes) + "\n")
    return 0 if all(found.held for found in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
