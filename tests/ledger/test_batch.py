"""Writes that share a transaction: durable for all or run again for each, and nobody pays for another's failure."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from warmup.ledger import schema
from warmup.ledger.database import Database
from warmup.ledger.errors import LedgerFailed
from warmup.ledger.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    schema.upgrade(url)
    store = Store(Database.of(url))
    await store.write(lambda connection: connection.exec_driver_sql("CREATE TABLE words (word TEXT UNIQUE)").close())
    yield store
    await store.close()


def commits(store: Store) -> list[None]:
    """One entry for every commit from now on."""
    counted: list[None] = []
    event.listen(store._writer._engine, "commit", lambda _connection: counted.append(None))
    return counted


def keep(word: str) -> "Work":
    return Work(word)


class Work:
    """Insert a word; fails where it is there, or is "bad"."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __call__(self, connection: Connection) -> str:
        connection.exec_driver_sql("INSERT INTO words VALUES (?)", (self.word,))
        if self.word == "bad":
            raise ValueError(self.word)
        return self.word


async def words(store: Store) -> list[str]:
    def read(connection: Connection) -> list[str]:
        return list(connection.exec_driver_sql("SELECT word FROM words ORDER BY rowid").scalars())

    return await store.read(read)


async def test_those_who_come_while_the_writer_is_busy_share_a_commit(store: Store) -> None:
    counted = commits(store)
    assert await asyncio.gather(*(store.write_together(keep(f"w{n}")) for n in range(40))) == [
        f"w{n}" for n in range(40)
    ]
    assert await words(store) == [f"w{n}" for n in range(40)]
    assert len(counted) < 40


async def test_one_that_fails_fails_alone(store: Store) -> None:
    ended = await asyncio.gather(
        *(store.write_together(keep(word)) for word in ("a", "bad", "b", "c")), return_exceptions=True
    )
    assert [str(each) for each in ended] == ["a", "bad", "b", "c"]
    assert isinstance(ended[1], ValueError)
    assert await words(store) == ["a", "b", "c"]


async def test_a_commit_that_fails_has_failed_for_all_and_none_is_tried_again(store: Store) -> None:
    tried: list[str] = []

    def work(word: str) -> Work:
        class Counted(Work):
            def __call__(self, connection: Connection) -> str:
                tried.append(self.word)
                return super().__call__(connection)

        return Counted(word)

    await store.write(
        lambda connection: connection.exec_driver_sql(
            "CREATE TABLE children (parent TEXT REFERENCES words (word) DEFERRABLE INITIALLY DEFERRED)"
        ).close()
    )

    def orphan(connection: Connection) -> None:
        # Found at the commit alone.
        tried.append("orphan")
        connection.exec_driver_sql("INSERT INTO children VALUES ('nobody')")

    ended = await asyncio.gather(
        store.write_together(work("a")), store.write_together(orphan), store.write_together(work("b")),
        return_exceptions=True,
    )  # fmt: skip
    # The first may have gone alone, before the others came.
    assert [isinstance(each, BaseException) for each in ended[1:]] == [True, True]
    assert len(tried) == 3
    assert await words(store) == [each for each in ended if isinstance(each, str)]


async def test_what_is_to_follow_a_commit_follows_it_and_its_failure_is_the_askers(store: Store) -> None:
    seen: list[tuple[str, list[str]]] = []

    def then(word: str) -> None:
        if word == "b":
            raise LedgerFailed("no mark")
        seen.append((word, []))

    ended = await asyncio.gather(
        *(store.write_together(keep(word), then=then) for word in ("a", "b", "c")), return_exceptions=True
    )
    assert ended[0] == "a"
    assert ended[2] == "c"
    assert isinstance(ended[1], LedgerFailed)
    assert await words(store) == ["a", "b", "c"]
    assert sorted(word for word, _ in seen) == ["a", "c"]


async def test_one_who_stopped_waiting_takes_nothing_from_the_others(store: Store) -> None:
    gone = asyncio.ensure_future(store.write_together(keep("gone")))
    await asyncio.sleep(0)
    gone.cancel()
    assert await store.write_together(keep("here")) == "here"
    assert await words(store) == ["gone", "here"]


async def test_small_reads_that_come_together_share_a_snapshot_and_fail_alone(store: Store) -> None:
    await store.write(keep("a"))
    began: list[None] = []
    event.listen(store._reader._engine, "begin", lambda _connection: began.append(None))

    def look(connection: Connection, at: int) -> str:
        (word,) = connection.exec_driver_sql("SELECT word FROM words").scalars()
        if at == 7:
            raise KeyError(at)
        return f"{word}{at}"

    ended = await asyncio.gather(*(store.read_together(look, n) for n in range(6)))
    assert ended == [f"a{n}" for n in range(6)]
    assert len(began) < 6
    mixed = await asyncio.gather(*(store.read_together(look, n) for n in (6, 7, 8)), return_exceptions=True)
    assert [mixed[0], mixed[2]] == ["a6", "a8"]
    assert isinstance(mixed[1], KeyError)


async def test_a_small_read_sees_what_was_written_before_it_was_asked(store: Store) -> None:
    for number in range(20):
        written = keep(f"w{number}")
        (_, seen) = await asyncio.gather(store.read_together(lambda _connection: None), _after(store, written))
        assert seen == number + 1


async def _after(store: Store, work: Work) -> int:
    await store.write_together(work)
    count: int = await store.read_together(
        lambda connection: connection.exec_driver_sql("SELECT count(*) FROM words").scalar_one()
    )
    return count
