"""`python -m tests.torture [NAME …] [--short]`: the scenarios in their full form, and the table of what they found.

Exits 1 if a promise was broken. Every scenario gets an empty folder of its own.
"""

import sys
import tempfile
from importlib import import_module
from pathlib import Path

from tests.torture.outcome import Form, Outcome, table

_SUFFIX = "_scenario"


def names() -> list[str]:
    """The scenarios there are, by the modules of this package."""
    return sorted(path.stem.removesuffix(_SUFFIX) for path in Path(__file__).parent.glob(f"*{_SUFFIX}.py"))


def run(name: str, form: Form) -> Outcome:
    """One scenario in an empty folder."""
    scenario = import_module(f"tests.torture.{name}{_SUFFIX}")
    with tempfile.TemporaryDirectory(prefix=f"torture-{name}-") as folder:
        found: Outcome = scenario.run(form, Path(folder))
    return found


def main(arguments: list[str]) -> int:
    """Run what was asked for, say each outcome as it comes and all of them at the end."""
    form = Form.SHORT if "--short" in arguments else Form.FULL
    asked = [argument for argument in arguments if argument != "--short"] or names()
    if unknown := sorted(set(asked) - set(names())):
        sys.stderr.write(f"error: no scenario {', '.join(unknown)}; there are {', '.join(names())}\n")
        return 2
    outcomes: list[Outcome] = []
    for name in asked:
        outcomes.append(run(name, form))
        sys.stderr.write(f"{name}: {'held' if outcomes[-1].held else 'BROKEN'}\n")
    sys.stdout.write(table(outcomes) + "\n")
    return 0 if all(found.held for found in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
