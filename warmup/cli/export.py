"""`warmup export`: history out, row by row, whatever its size; from the ledger alone, daemon or none.

What the columns are and in which order is said once, by the schema of each export. A file is written beside its place
and put there at the end, so that an export that fails leaves nothing, and an older one as it was.
"""

import asyncio
import csv
import json as json_
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum, unique
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from warmup.cli.faults import Exit, Fault, bad_input, wrong_usage
from warmup.cli.glance import Glance, glance
from warmup.cli.invocation import Invocation, invocation
from warmup.cli.output import Json
from warmup.cli.schema import schema_text
from warmup.config import Settings

app = typer.Typer(add_completion=False)

Row = dict[str, Any]


@unique
class What(StrEnum):
    """What there is to export."""

    MESSAGES = "messages"
    ATTEMPTS = "attempts"
    PLACEMENTS = "placements"
    STANDINGS = "standings"
    DAILY = "daily"


@unique
class Format(StrEnum):
    """How it is written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


@app.command()
def export(
    ctx: typer.Context,
    what: Annotated[What, typer.Argument(show_default=False, help="Which history.")],
    form: Annotated[Format | None, typer.Option("--format", help="One line a row; jsonl unless said.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="D", help="A date or an instant of the ledger's time, inclusive.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="D", help="The same, exclusive.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="F", help="A file; else standard output.")] = None,
    json: Json = False,
) -> None:
    """Write history out: every message, attempt, sighting, judgement, or what each day came to."""
    if json and form is not None:
        raise wrong_usage("--json is a format of its own", "leave --format out")
    bounds = _bounds(since, until)
    try:
        asyncio.run(_export(invocation(ctx), what, None if json else form or Format.JSONL, bounds, out))
    except BrokenPipeError:
        # `| head` has seen enough, which is no failure; typer would end with 1. Nothing may complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _export(
    here: Invocation, what: What, form: Format | None, bounds: tuple[datetime | None, datetime | None], out: Path | None
) -> None:
    """Write the rows; `form` None is one JSON document."""
    if form is Format.PARQUET:
        _demand_parquet(out)
    async with glance(here) as seen:
        _refuse_place(out, seen.settings)
        columns = columns_of(what.value)
        rows = _ordered(_rows(seen, what, bounds), columns)
        match form:
            case Format.PARQUET:
                from warmup.cli.export_parquet import write_parquet

                with _binary(out) as file:
                    await write_parquet(file, columns, rows)
            case Format.CSV:
                with _text(out) as file:
                    await _write_csv(file, columns, rows)
            case Format.JSONL:
                with _text(out) as file:
                    async for row in rows:
                        file.write(_json_of(row) + "\n")
            case None:
                with _text(out) as file:
                    await _write_document(file, what.value, rows)


def _rows(seen: Glance, what: What, bounds: tuple[datetime | None, datetime | None]) -> AsyncIterator[Row]:
    since, until = bounds
    export = seen.ledger.export
    match what:
        case What.MESSAGES:
            return export.messages(since=since, until=until)
        case What.ATTEMPTS:
            return export.attempts(since=since, until=until)
        case What.PLACEMENTS:
            return export.placements(since=since, until=until)
        case What.STANDINGS:
            return export.standings(since=since, until=until)
        case What.DAILY:
            return export.daily(since=since, until=until)


async def _ordered(rows: AsyncIterator[Row], columns: Iterable[str]) -> AsyncIterator[Row]:
    async for row in rows:
        yield {name: row[name] for name in columns}


def columns_of(what: str) -> dict[str, Any]:
    """The columns of an export in their order, each with its JSON Schema."""
    columns: dict[str, Any] = json_.loads(schema_text(f"export-{what}"))["properties"][what]["items"]["properties"]
    return columns


async def _write_csv(file: IO[str], columns: Iterable[str], rows: AsyncIterator[Row]) -> None:
    """RFC 4180 with a header; an unknown value is an empty cell, a list its words with blanks between."""
    writer = csv.writer(file)
    writer.writerow(columns)
    async for row in rows:
        writer.writerow([_cell(value) for value in row.values()])


def _cell(value: object) -> object:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return " ".join(value)
        case _:
            return value


async def _write_document(file: IO[str], what: str, rows: AsyncIterator[Row]) -> None:
    """One document, written as it comes: a row a line."""
    file.write(f'{{"schema": "warmup.export-{what}/1", "{what}": [')
    between = "\n"
    async for row in rows:
        file.write(between + _json_of(row))
        between = ",\n"
    file.write("\n]}\n")


def _json_of(row: Row) -> str:
    return json_.dumps(row, ensure_ascii=False)


def _bounds(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The bounds as instants; a bad one, or an end before its beginning, is bad input."""
    first, last = _instant("--since", since), _instant("--until", until)
    if first is not None and last is not None and first >= last:
        raise bad_input(f"--since {since} is not before --until {until}", "exchange them, or leave one out")
    return first, last


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        example = "write 2026-03-02 or 2026-03-02T09:00:00Z; without a zone it is UTC"
        raise bad_input(f'{option} "{text}" is no date and no instant', example) from None


def _demand_parquet(out: Path | None) -> None:
    """Raises Fault unless parquet can be written.

    78 where pyarrow is missing: the call is right and the choice is ours, it is the installation that lacks a part. 2
    where a terminal would get the bytes.
    """
    if find_spec("pyarrow") is None:
        raise Fault(
            "parquet needs pyarrow, which is not installed here",
            "pip install pyarrow beside warmup, or take --format csv",
            code=Exit.BAD_CONFIG,
        )
    if out is None and sys.stdout.isatty():
        raise wrong_usage("parquet is no text for a terminal", "add --out FILE")


def _refuse_place(out: Path | None, settings: Settings) -> None:
    """Raises Fault where `out` cannot become the export, or is what the export comes from."""
    if out is None:
        return
    if out.is_dir() or not out.parent.is_dir():
        raise bad_input(f"{out} cannot be a file: {'it is a folder' if out.is_dir() else 'its folder is not there'}")
    ours = [path for path in (settings.ledger_file, settings.vault.key_file) if path is not None and path.exists()]
    if out.exists() and any(out.samefile(path) for path in ours):
        raise bad_input(f"{out} is warmup's own", "choose another name: a ledger or a key is not written over")


@contextmanager
def _text(out: Path | None) -> Iterator[IO[str]]:
    # Line ends are the format's own (RFC 4180 wants CRLF), whatever the system's are.
    if out is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        sys.stdout.flush()
        return
    with _binary(out) as file, open(file.fileno(), "w", encoding="utf-8", newline="", closefd=False) as text:
        yield text


@contextmanager
def _binary(out: Path | None) -> Iterator[IO[bytes]]:
    """Where the bytes go. A file gets its name only when all of it is written."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if out.exists() and not out.is_file():
        # A pipe or a device is not replaced but written to; a folder says what it is.
        with out.open("wb") as file:
            yield file
        return
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
