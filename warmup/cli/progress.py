"""How far long work is, on stderr: a bar on a terminal, and plain lines otherwise."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from warmup.cli.output import say


class Advance(Protocol):
    """Says that one more is done, and which."""

    def __call__(self, done: str) -> None: ...


@contextmanager
def shown(what: str, total: int) -> Iterator[Advance]:
    """Show `what` on its way from none to `total`."""
    with _bar(what, total) if sys.stderr.isatty() else _lines(what, total) as advance:
        yield advance


@contextmanager
def _bar(what: str, total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.text import Text

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[last]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total, last="")
        # As plain text: what is shown came out of a file.
        yield lambda done: progress.update(task, advance=1, last=Text(done).markup)


@contextmanager
def _lines(what: str, total: int) -> Iterator[Advance]:
    count = 0

    def advance(done: str) -> None:
        nonlocal count
        count += 1
        say(f"{what} {count}/{total} {done}")

    yield advance
