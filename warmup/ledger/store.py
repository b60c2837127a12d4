"""The database file and the two threads that may touch it: one writes, one reads.

Every write is one transaction that takes the lock at its start (BEGIN IMMEDIATE), so what it reads cannot change
under it, and is durable when it returns (synchronous=FULL). Every read sees one snapshot. Work is a function of a
connection; it runs on the store's thread and returns values, never rows. A caller that is cancelled leaves its
transaction to end by itself, whole.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, exc
from sqlalchemy.engine import URL, make_url

from warmup.ledger.errors import LedgerDamaged, LedgerError, LedgerMissing

P = ParamSpec("P")
T = TypeVar("T")

# How long a write waits for another process (a verb beside the daemon) before it gives up.
BUSY_SECONDS = 30.0


# 48 MiB of pages for each of the two connections, taken as they are needed: a large fleet's plans are inserted all over
# the indexes, and SQLite's own 2 MiB would read the same pages again and again.
CACHE = "cache_size=-49152"


def path_of(url: str) -> Path:
    """The file of a `sqlite:///` URL; LedgerError for any other kind, or for a ledger in memory."""
    try:
        parsed = make_url(url)
    except exc.ArgumentError as mistake:
        raise LedgerError(f"{url} is no ledger URL; write sqlite:///FILE") from mistake
    if parsed.get_backend_name() != "sqlite":
        raise LedgerError(f"a ledger on {parsed.get_backend_name()} is not supported yet; write sqlite:///FILE")
    if not parsed.database or parsed.database == ":memory:":
        raise LedgerError("a ledger needs a file; write sqlite:///FILE")
    return Path(parsed.database)


def create_file(path: Path) -> None:
    """An empty file only its owner may read; the journal beside it inherits that. An existing one is left alone."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as failure:
        raise LedgerError(f"cannot create {path}: {failure.strerror}; is the folder there and yours?") from failure


def connect(path: Path, *, begin: str, durable: bool = True) -> Engine:
    """An engine of one connection whose transactions start with `begin`; `durable` ones outlive a power cut."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection, _record) -> None:  # type: ignore[no-untyped-def]
        synchronous = f"synchronous={'FULL' if durable else 'OFF'}"
        for pragma in ("journal_mode=WAL", synchronous, "foreign_keys=ON", "temp_store=MEMORY", CACHE):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def in_our_words(path: Path) -> Iterator[None]:
    """Says what the database says as a LedgerError; a broken constraint passes, for its writer to understand."""
    try:
        yield
    except exc.IntegrityError:
        raise
    except exc.DatabaseError as failure:
        raise failed(path, str(failure.orig)) from failure


def failed(path: Path, text: str) -> LedgerError:
    """What the database's own word means: a damaged file, or a disk that is full, read-only or not ours."""
    if "malformed" in text or "not a database" in text:
        return LedgerDamaged(f"{path} is damaged ({text}); restore a backup")
    return LedgerError(f"{path}: {text}; look at the disk and its permissions")


class Store:
    """The open database. Made on any thread; used from one event loop.

    Not `durable`, it outlives a killed process but not a power cut: for ledgers that are thrown away.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        if not path.exists():
            raise LedgerMissing(f"there is no ledger at {path}; make one with `warmup init`")
        self.path = path
        self._writer = _Hand(path, "writer", begin="BEGIN IMMEDIATE", durable=durable)
        self._reader = _Hand(path, "reader", begin="BEGIN", durable=durable)

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work` in one durable transaction. Rolled back where it raises."""
        return await self._writer.run(work, *args, **kwargs)

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work` on one snapshot."""
        return await self._reader.run(work, *args, **kwargs)

    async def aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work` on the writer's thread, outside any transaction: what must not overtake the writes before it."""
        return await self._writer.call(work, *args, **kwargs)

    async def close(self) -> None:
        """Wait for what is under way and let the file go."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """The same, where no loop runs."""
        self._reader.close()
        self._writer.close()


class _Hand:
    """One thread with one connection."""

    def __init__(self, path: Path, name: str, *, begin: str, durable: bool) -> None:
        self._path = path
        self._engine = connect(path, begin=begin, durable=durable)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"ledger-{name}")

    async def run(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        def transaction() -> T:
            with in_our_words(self._path), self._engine.begin() as connection:
                return work(connection, *args, **kwargs)

        return await self.call(transaction)

    async def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._engine.dispose()
