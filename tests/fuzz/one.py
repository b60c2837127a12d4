"""Fuzz one target in this process: `python -m tests.fuzz.one TARGET SEEDS_FOLDER [libFuzzer options]`."""

import sys
from importlib import import_module
from typing import Any

# Installed by `make fuzz` alone, and without types.
atheris: Any = import_module("atheris")

with atheris.instrument_imports(include=["warmup"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Run until the time is over, or until something does not hold."""
    program, name, *options = sys.argv
    atheris.Setup([program, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
