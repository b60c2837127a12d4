"""History out: the same rows in every format, whole or not at all, and never over what it comes from."""

import csv
import io
import json
import subprocess
from importlib.util import find_spec
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.cli.conftest import COMMAND, Desk
from tests.cli.story import founded, judgement, opened
from tests.ledger.conftest import NOW, World
from tests.ledger.test_export import eventful
from warmup.ledger.standings import Subject


@pytest.fixture
async def told(ready: Desk) -> Desk:
    """A folder whose ledger has seen everything happen once."""
    async with opened(ready) as ledger:
        world = await World.founded(ledger)
        await eventful(world)
        await ledger.standings.append([judgement(Subject.DOMAIN, "send.test", at=NOW)], now=NOW)
    return ready


def rows_of(desk: Desk, what: str, *options: str) -> list[dict[str, Any]]:
    """The rows of a JSON lines export, each found to keep to its schema."""
    ended = desk.warmup("export", what, "--format", "jsonl", *options)
    assert (ended.code, ended.err) == (0, "")
    rows = [json.loads(line) for line in ended.out.splitlines()]
    schema = json.loads(desk.warmup("schema", f"export-{what}").out)
    line = Draft202012Validator(schema["properties"][what]["items"])
    for row in rows:
        line.validate(row)
        assert list(row) == list(schema["properties"][what]["items"]["properties"])
    return rows


@pytest.mark.parametrize(
    ("what", "count"), [("messages", 10), ("attempts", 9), ("placements", 7), ("standings", 1), ("daily", 2)]
)
def test_every_format_says_the_same(told: Desk, what: str, count: int) -> None:
    rows = rows_of(told, what)
    assert len(rows) == count
    assert told.warmup("export", what, "--json").document[what] == rows

    text = told.warmup("export", what, "--format", "csv").out
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert table == [{name: cell(value) for name, value in row.items()} for row in rows]


def cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return " ".join(value)
        case _:
            return str(value)


def test_messages_are_told_as_on_the_wire(told: Desk) -> None:
    first = rows_of(told, "messages")[0]
    assert (first["slot"], first["message_id"]) == (1, "<1@send.test>")
    assert (first["due_at"], first["date"]) == ("2026-03-02T09:00:00.000000Z", "2026-03-02")
    assert (first["placement"], first["reclassified"], first["engaged"]) == ("inbox", "spam", [])


def test_bounds_are_instants_of_the_ledgers_time(told: Desk) -> None:
    assert [row["slot"] for row in rows_of(told, "messages", "--since", "2026-03-02T10:03:00+01:00")] == [
        4, 5, 6, 7, 8, 9, 10,
    ]  # fmt: skip
    assert [row["slot"] for row in rows_of(told, "messages", "--until", "2026-03-02T09:03")] == [1, 2, 3]
    assert rows_of(told, "messages", "--since", "2026-03-03") == []
    assert told.warmup("export", "messages", "--format", "csv", "--since", "2026-03-03").out.startswith("slot,mailbox,")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--since", "yesterday"), 65),
        (("--since", "2026-03-03", "--until", "2026-03-03"), 65),
        (("--out", "."), 65),
        (("--out", "nowhere/file"), 65),
        (("--out", "warmup.db"), 65),
        (("--out", "warmup.key"), 65),
        (("--out", "/dev/full"), 74),
        (("--format", "xml"), 2),
        (("--format", "csv", "--json"), 2),
    ],
)
def test_what_will_not_do_is_one_line(told: Desk, options: tuple[str, ...], code: int) -> None:
    ended = told.warmup("export", "messages", *options)
    assert (ended.code, len(ended.errors), ended.out) == (code, 1, "")
    assert len(rows_of(told, "messages")) == 10


def test_a_file_appears_whole_and_nothing_is_left_beside_it(told: Desk) -> None:
    place = told.folder / "history.jsonl"
    place.write_text("of yesterday")
    assert told.warmup("export", "attempts", "--out", place.name).out == ""
    assert [json.loads(line) for line in place.read_text().splitlines()] == rows_of(told, "attempts")
    assert not [path.name for path in told.folder.iterdir() if path.name.endswith(".part")]


def test_an_export_that_fails_leaves_the_file_of_yesterday(told: Desk) -> None:
    place = told.folder / "history.jsonl"
    place.write_text("of yesterday")
    ledger = told.folder / "warmup.db"
    # Its last pages are gone: the revision can still be read, the rows cannot.
    ledger.write_bytes(ledger.read_bytes()[: ledger.stat().st_size // 3])
    ended = told.warmup("export", "messages", "--out", place.name)
    assert (ended.code, len(ended.errors)) == (74, 1)
    assert place.read_text() == "of yesterday"
    assert not [path.name for path in told.folder.iterdir() if path.name.endswith(".part")]


def test_parquet_is_written_or_says_what_it_needs(told: Desk) -> None:
    ended = told.warmup("export", "messages", "--format", "parquet", "--out", "history.parquet")
    if find_spec("pyarrow") is None:
        assert (ended.code, len(ended.errors)) == (78, 1)
        assert "pip install pyarrow" in ended.errors[0]
        assert not (told.folder / "history.parquet").exists()
    else:
        assert ended.code == 0
        assert (told.folder / "history.parquet").read_bytes()[:4] == b"PAR1"


async def test_a_long_export_ends_where_its_reader_does(ready: Desk) -> None:
    async with founded(ready) as world:
        await world.plan(3000)
    assert first_line(ready, "export", "messages").startswith('{"slot": 1, ')


def first_line(desk: Desk, *arguments: str) -> str:
    """The first line of an output that is read no further; found to be no error."""
    with subprocess.Popen(
        [str(COMMAND), *arguments],
        cwd=desk.folder,
        env=desk.surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 0
    return line
