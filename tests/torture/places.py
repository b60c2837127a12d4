"""Where a scenario's ledger lies, and what can be done to it from beside: a file, or a database on a server.

Scenarios that attack the file itself (disk, power, clock, upgrade, backup, secrets), or nothing of the ledger (hosts),
are played on the file alone.
"""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.postgres import Server
from tests.scenarios.house import PATIENCE, House
from warmup.ledger.engines import WRITER_LOCK

_SLEEPING = {"230", "35", "115", "101"}
"""clock_nanosleep and nanosleep, on x86-64 and on arm64."""

# A node's lease is of real seconds: what a killed one left is closed after it.
_LEASE = {"WARMUP__SEND__SESSION_SECONDS": "15", "WARMUP__SEND__LEASE_SECONDS": "16"}
LEASE_SECONDS = 60.0
"""The longest, real, until what a node left in flight has an end."""


class Place(ABC):
    """One kind of ledger. `name` is what the table says of it; `environ` what the daemon is told besides."""

    name: str
    environ: Mapping[str, str]

    @abstractmethod
    def url(self) -> str:
        """The URL of a new ledger."""

    @abstractmethod
    def select(self, house: House, query: str) -> list[tuple[Any, ...]]:
        """Rows of a house's ledger as they lie there."""

    @abstractmethod
    def size(self, house: House) -> int:
        """How large it is, in bytes."""

    @abstractmethod
    @contextmanager
    def locked(self, house: House) -> Iterator[None]:
        """Hold the write lock: no transaction of the daemon's begins, and none commits."""

    @abstractmethod
    def daemon_waits(self, house: House) -> bool:
        """True while the daemon waits for the write lock."""


@dataclass(frozen=True, slots=True)
class InFile(Place):
    """A file of SQLite's."""

    name: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)

    def url(self) -> str:
        return "sqlite:///warmup.db"

    def select(self, house: House, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{house.ledger}?mode=ro", uri=True, timeout=PATIENCE)) as connection:
            return connection.execute(query).fetchall()

    def size(self, house: House) -> int:
        return house.ledger.stat().st_size

    @contextmanager
    def locked(self, house: House) -> Iterator[None]:
        with closing(sqlite3.connect(house.ledger, timeout=PATIENCE, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield

    def daemon_waits(self, house: House) -> bool:
        """A thread of it sleeps: nothing else there ever does."""
        pid = house.daemons[-1].pid
        try:
            calls = [(task / "syscall").read_text().split(" ", 1)[0] for task in Path(f"/proc/{pid}/task").iterdir()]
        except OSError:
            return False
        return any(call.strip() in _SLEEPING for call in calls)


@dataclass(frozen=True, slots=True)
class OnServer(Place):
    """Databases of a PostgreSQL, for one daemon of the local engine."""

    server: Server
    name: str = "postgres"
    environ: Mapping[str, str] = field(default_factory=dict)

    def url(self) -> str:
        return self.server.url(self.server.database())

    def select(self, house: House, query: str) -> list[tuple[Any, ...]]:
        with self._connected(house) as connection:
            return connection.execute(query.encode()).fetchall()

    def size(self, house: House) -> int:
        ((size,),) = self.select(house, "SELECT pg_database_size(current_database())")
        return int(size)

    @contextmanager
    def locked(self, house: House) -> Iterator[None]:
        with self._connected(house) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [WRITER_LOCK])
            yield

    def daemon_waits(self, house: House) -> bool:
        return bool(self.select(house, "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))

    def _connected(self, house: House) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self.server.where(house.url.rpartition("/")[2]), autocommit=True)


def on_cluster(server: Server) -> OnServer:
    """The same, for nodes of the cluster's engine."""
    return OnServer(server, name="cluster", environ={"WARMUP__ENGINE__KIND": "cluster", **_LEASE})


FILE = InFile()
