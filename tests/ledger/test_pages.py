"""How much of a ledger's file its connections keep in memory: little, and more while many mailboxes are at work."""

from pathlib import Path

import pytest
from sqlalchemy import Connection

from warmup.ledger import schema
from warmup.ledger.database import Database
from warmup.ledger.engines import many_pages
from warmup.ledger.store import Store


def kibibytes(connection: Connection) -> int:
    """SQLite says them below zero."""
    size: int = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
    return -size


@pytest.mark.parametrize(("mailboxes", "meanwhile"), [(10, 4096), (5000, 49152)])
async def test_a_connection_keeps_more_pages_only_while_many_are_at_work(
    tmp_path: Path, mailboxes: int, meanwhile: int
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    schema.upgrade(url)
    store = Store(Database.of(url))

    def work(connection: Connection) -> int:
        with many_pages(connection, mailboxes):
            return kibibytes(connection)

    def failing(connection: Connection) -> None:
        with many_pages(connection, mailboxes):
            raise KeyError(mailboxes)

    try:
        assert await store.write(work) == meanwhile
        assert await store.read(work) == meanwhile
        with pytest.raises(KeyError):
            await store.read(failing)
        assert await store.read(kibibytes) == await store.write(kibibytes) == 4096
    finally:
        await store.close()
