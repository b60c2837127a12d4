"""A CSV of mailboxes to be: one a row, columns called as the options of `mailbox add`. Read and checked, nothing else.

The file may hold passwords, so nothing here quotes a cell it does not know the meaning of: a row with a cell too many
or too few is named by its line alone.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from warmup.cli.enrolment import Wish
from warmup.cli.faults import Fault, bad_input
from warmup.cli.password import PasswordSource
from warmup.config.mistakes import did_you_mean
from warmup.policy.mailbox import Profile, Role, Security, SmtpAuth

_LARGEST = 16 * 1024 * 1024
_WORDS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_SECRET = "password"  # noqa: S105 (a column's name)

E = TypeVar("E", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the file: what is wished and where its password is, or why it will not do."""

    line: int
    address: str
    wish: Wish | None = None
    source: PasswordSource = field(default_factory=PasswordSource)
    fault: Fault | None = None


def rows_of(path: Path) -> tuple[Row, ...]:
    """The rows of the file, blank ones left out. Raises Fault (65) where it cannot be read as a whole."""
    lines = _lines(path)
    header = _header(next(lines, None), path)
    rows = tuple(_row(number, cells, header) for number, cells in lines if any(cell.strip() for cell in cells))
    if not rows:
        raise bad_input(f"{path} has no row below its header", "write one mailbox a line")
    return rows


def is_exposed(path: Path) -> bool:
    """True where the file holds passwords and others than its owner may read it."""
    return _SECRET in _header(next(_lines(path), None), path) and bool(path.stat().st_mode & 0o077)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every record; commas or, where the header has them instead, semicolons between."""
    try:
        if path.stat().st_size > _LARGEST:
            raise bad_input(f"{path} is larger than {_LARGEST // 1024 // 1024} MiB", "split it")
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as failure:
        raise bad_input(f"{path} cannot be read: {failure.strerror}", "name a CSV file") from failure
    except UnicodeDecodeError as failure:
        raise bad_input(f"{path} is not UTF-8 text", "save it as CSV in UTF-8") from failure
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as reason:
            # csv's words name no content.
            raise bad_input(f"{path}, line {reader.line_num}: {reason}", "save it as CSV again") from reason
        yield reader.line_num, cells


def _header(first: tuple[int, list[str]] | None, path: Path) -> tuple[str, ...]:
    names = tuple(cell.strip().lower().replace("-", "_") for cell in first[1]) if first else ()
    names = tuple("tags" if name == "tag" else name for name in names)
    if "address" not in names:
        raise bad_input(f"{path} has no column address", f"columns are: {', '.join(_COLUMNS)}")
    for name in names:
        if name not in _COLUMNS:
            fix = did_you_mean(name, _COLUMNS).removeprefix("; ") or f"columns are: {', '.join(_COLUMNS)}"
            raise bad_input(f'"{name}" is no column of an import', fix)
        if names.count(name) > 1:
            raise bad_input(f"{path} has the column {name} twice", "keep one")
    return names


def _row(line: int, cells: Sequence[str], header: Sequence[str]) -> Row:
    said = {name: cell if name == _SECRET else cell.strip() for name, cell in zip(header, cells, strict=False)}
    address = said.get("address", "")
    try:
        if len(cells) != len(header):
            raise bad_input(f"it has {len(cells)} cells, the header {len(header)}", "quote cells that hold commas")
        if not address:
            raise bad_input("it has no address", "write one mailbox a line")
        values = {name: _COLUMNS[name](name, cell) for name, cell in said.items() if cell}
        source = PasswordSource(
            text=values.pop(_SECRET, None),
            variable=values.pop("password_env", None),
            file=values.pop("password_file", None),
        )
        return Row(line=line, address=address, wish=Wish(**values), source=source)
    except Fault as fault:
        return Row(line=line, address=address, fault=fault)


def _text(_name: str, cell: str) -> str:
    return cell


def _number(name: str, cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 9):
        raise bad_input(f"{name} is not a whole number", "write it in digits")
    return int(cell)


def _yes_or_no(name: str, cell: str) -> bool:
    if cell.lower() not in _WORDS:
        raise bad_input(f"{name} is neither yes nor no", "write yes or no, or leave it empty")
    return _WORDS[cell.lower()]


def _tags(_name: str, cell: str) -> tuple[str, ...]:
    return tuple(cell.split())


def _path(_name: str, cell: str) -> Path:
    return Path(cell)


def _one_of(kind: type[E]) -> Callable[[str, str], E]:
    def chosen(name: str, cell: str) -> E:
        try:
            return kind(cell.lower())
        except ValueError:
            raise bad_input(
                f"{name} is not among its choices", f"write one of {', '.join(one.value for one in kind)}"
            ) from None

    return chosen


_COLUMNS: dict[str, Callable[[str, str], Any]] = {
    "address": _text,
    "provider": _text,
    "account_type": _text,
    "daily_limit": _number,
    "target": _number,
    "ramp": _text,
    "timezone": _text,
    "weekdays": _text,
    "hours": _text,
    "holidays": _text,
    "profile": _one_of(Profile),
    "role": _one_of(Role),
    "smtp": _text,
    "smtp_security": _one_of(Security),
    "smtp_auth": _one_of(SmtpAuth),
    "imap": _text,
    "imap_security": _one_of(Security),
    "username": _text,
    "accept_host": _yes_or_no,
    "password": _text,
    "password_env": _text,
    "password_file": _path,
    "engage": _yes_or_no,
    "tags": _tags,
    "name": _text,
}
