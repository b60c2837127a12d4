"""The open database and the two threads that may touch it: one writes, one reads.

Every write is one transaction that takes the writers' lock at its start, so what it reads cannot change under it, and
is durable when it returns; every read sees one snapshot (`warmup.ledger.engines`). Work is a function of a
connection; it runs on the store's thread and returns values, never rows. A caller that is cancelled leaves its
transaction to end by itself, whole. A write that fails is remembered as `trouble` until one succeeds.

Small works that many ask for at once share a transaction (`write_together`, `read_together`, `warmup.ledger.batch`): a
commit waits for the disk, and while one does, the next ones gather; and two threads that hand each other a look at a
row cost more than the look.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from warmup.ledger.batch import Batch
from warmup.ledger.database import Database
from warmup.ledger.engines import Hand, engine_of, in_our_words
from warmup.ledger.errors import LedgerBusy, LedgerError, LedgerFailed, LedgerMissing
from warmup.ledger.worker import Worker

P = ParamSpec("P")
T = TypeVar("T")

Guard = Callable[[Connection], bool]
"""Asked inside every write before anything else: True where the ledger was lost meanwhile and taken again.

Raises LedgerBusy where another daemon has it, and then nothing is written.
"""


def create_file(path: Path) -> None:
    """An empty file only its owner may read; the journal beside it inherits that. An existing one is left alone."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as failure:
        raise LedgerError(f"cannot create {path}: {failure.strerror}; is the folder there and yours?") from failure


class Store:
    """The open database. Made on any thread; used from one event loop.

    Not `durable`, it outlives a killed process but not a power cut: for ledgers that are thrown away.
    """

    def __init__(self, database: Database, *, durable: bool = True, guard: Guard | None = None) -> None:
        if database.file is not None and not database.file.exists():
            raise LedgerMissing(f"there is no ledger at {database}; make one with `warmup init`")
        self.database = database
        self.trouble: LedgerFailed | LedgerBusy | None = None
        self._writer = _Thread(database, Hand.WRITER, durable=durable, guard=guard)
        self._reader = _Thread(database, Hand.READER, durable=durable)

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work` in one durable transaction. Rolled back where it raises."""
        with self._minded():
            return await self._writer.run(work, *args, **kwargs)

    async def write_together(self, work: Callable[[Connection], T], *, then: Callable[[T], None] | None = None) -> T:
        """The same, in a transaction that others may share: it is as durable, and costs a share of a commit.

        `work` may be run twice, the first time rolled back: it does nothing but read and write by its connection.
        `then` is done with its result once that is durable, on the writer's thread; what it raises is raised.
        """
        with self._minded():
            return await self._writer.run_together(work, then)

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work` on one snapshot."""
        return await self._reader.run(work, *args, **kwargs)

    async def read_together(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same, for a look at a few rows: those who ask at once share a snapshot, and a way to the thread."""
        return await self._reader.run_together(lambda connection: work(connection, *args, **kwargs), None)

    async def aside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work` on the writer's thread, outside any transaction: what must not overtake the writes before it."""
        with self._minded():
            return await self._writer.call(work, *args, **kwargs)

    @contextmanager
    def _minded(self) -> Iterator[None]:
        """Remember how the last write ended: work that refuses in its own words wrote as well as any."""
        try:
            yield
        except (LedgerFailed, LedgerBusy) as failure:
            self.trouble = failure
            raise
        self.trouble = None

    @property
    def was_lost(self) -> bool:
        """True, once, after the ledger was lost to nobody or to somebody and taken again."""
        lost, self._writer.was_lost = self._writer.was_lost, False
        return lost

    async def close(self) -> None:
        """Wait for what is under way and let the file go."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """The same, where no loop runs."""
        self._reader.close()
        self._writer.close()


class _Thread:
    """One thread with one connection."""

    def __init__(self, database: Database, hand: Hand, *, durable: bool, guard: Guard | None = None) -> None:
        self._database = database
        self._engine = engine_of(database, hand, durable=durable)
        self._connection: Connection | None = None
        self._guard = guard
        self._batch = Batch(self._alone)
        self.was_lost = False
        self._worker = Worker(f"ledger-{hand}")

    async def run(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.call(self._alone, lambda connection: work(connection, *args, **kwargs))

    async def run_together(self, work: Callable[[Connection], T], then: Callable[[T], None] | None) -> T:
        outcome, is_first = self._batch.add(work, then)
        if is_first:
            self._worker.give(self._batch.run)
        result: T = await outcome
        return result

    def _alone(self, work: Callable[[Connection], T]) -> T:
        """`work` in a transaction of its own."""
        with in_our_words(self._database), self._transaction() as connection:
            if self._guard is not None and self._guard(connection):
                self.was_lost = True
            return work(connection)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self._database.file is None:
            # Each asks first whether the server is still there.
            with self._engine.begin() as connection:
                yield connection
            return
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with self._connection.begin():
                yield self._connection
        except BaseException:
            # Whatever it was, nothing of its transaction is carried over into the next.
            self._let_go()
            raise

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._worker.ask(lambda: work(*args, **kwargs))

    def close(self) -> None:
        self._worker.close()
        self._let_go()
        self._engine.dispose()
