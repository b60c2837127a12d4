"""What verbs print: one JSON document, or a table for people, on stdout; everything else on stderr. Never a secret."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]

# Where nobody looks at a terminal, a table is as wide as it needs to be.
_PIPE_WIDTH = 250


def print_json(verb: str, body: Mapping[str, Any]) -> None:
    """Print `body` as the verb's document: `"schema": "warmup.VERB/1"` first, instants in UTC with Z."""
    document = {"schema": f"warmup.{verb}/1", **body}
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=_plain))


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC with Z, to the second unless there is more to say."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
    """Print a table; columns named in `numbers` stand to the right. Cells are shown as they are, None as nothing."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=column == columns[0])
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False).print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line; None and the empty text are left out."""
    shown = [(name, value) for name, value in facts if value not in (None, "")]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        typer.echo(f"{name:<{width}}  {value}")


def say(text: str) -> None:
    """Tell the person what is going on, on stderr."""
    typer.echo(text, err=True)


def progress(text: str) -> None:
    """Tell the person who waits what for; a script is not told."""
    if sys.stderr.isatty():
        say(text)


def warn(text: str) -> None:
    """Tell the person what they may regret, on stderr."""
    typer.echo(f"warning: {text}", err=True)


def _plain(value: object) -> Any:
    match value:
        case datetime():
            return instant(value)
        case date():
            return value.isoformat()
        case time():
            return f"{value:%H:%M}"
        case Enum():
            return value.value
        case Path():
            return str(value)
        case frozenset() | set():
            return sorted(value)
        case _:
            raise TypeError(f"no JSON for {type(value).__name__}")
