"""Where a ledger lies: a file of SQLite, or a database of a PostgreSQL server, with its few files beside it.

A password in the URL stays in it: a `Database` as text is for people and never holds it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

from warmup.ledger.errors import LedgerError

_KINDS = "sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One ledger. `file` is SQLite's, None on a server; `beside` is what lock, mark and the like are named after."""

    url: URL = field(repr=False)
    file: Path | None
    beside: Path

    @classmethod
    def of(cls, url: str, *, beside: Path | None = None) -> Self:
        """The database a ledger URL names; LedgerError for one that is none. A server's ledger needs `beside`."""
        try:
            parsed = make_url(url)
        except exc.ArgumentError as mistake:
            raise LedgerError(f"the ledger's URL cannot be read; write {_KINDS}") from mistake
        if parsed.drivername == "postgresql+psycopg" and parsed.database:
            return cls(url=parsed, file=None, beside=beside or Path(parsed.database))
        if parsed.get_backend_name() != "sqlite":
            raise LedgerError(f"{parsed.render_as_string(hide_password=True)} is no ledger; write {_KINDS}")
        if not parsed.database or parsed.database == ":memory:":
            raise LedgerError("a ledger needs a file; write sqlite:///FILE")
        return cls(url=parsed, file=Path(parsed.database), beside=Path(parsed.database))

    @classmethod
    def at(cls, file: Path) -> Self:
        """The database of a file of SQLite's."""
        return cls(url=URL.create("sqlite", database=str(file)), file=file, beside=file)

    def __str__(self) -> str:
        return str(self.file) if self.file is not None else f"{self.url.database} at {self.server}"

    @property
    def mark(self) -> Path:
        """What the high-water mark is named after: one folder may see many ledgers of one server."""
        return (
            self.beside if self.file is not None else self.beside.with_name(f"{self.beside.name}.{self.url.database}")
        )

    @property
    def spelled(self) -> str:
        """The URL itself, its password included: not for people."""
        return self.url.render_as_string(hide_password=False)

    @property
    def server(self) -> str:
        """Host and port of the server."""
        return f"{self.url.host or 'the local socket'}:{self.url.port or 5432}"
