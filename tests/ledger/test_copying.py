"""A ledger goes to a server and back, row by row, and gives no number twice."""

from pathlib import Path

import pytest

from tests.ledger.conftest import HOUR, NOW, OK, World
from tests.postgres import Server
from warmup.ledger import Ledger, schema
from warmup.ledger.copying import Copied, copy_ledger
from warmup.ledger.database import Database
from warmup.ledger.errors import LedgerError
from warmup.ledger.highwater import HighWater
from warmup.policy.fate import Placement

pytestmark = pytest.mark.lab


async def lived(world: World) -> None:
    """Some history, and numbers whose rows are gone."""
    first, second, third = await world.plan(3)
    await world.send(first)
    await world.see(first, Placement.INBOX, NOW + HOUR)
    await world.claim(second)
    await world.send(third, OK)
    await world.ledger.mailboxes.remove(world.seeds[1].id, now=NOW + HOUR, purge=True)


def rows(copied: tuple[Copied, ...]) -> dict[str, tuple[int, str]]:
    return {table.table: (table.rows, table.sha256) for table in copied}


async def test_a_ledger_goes_to_a_server_and_back_unchanged(
    file_world: World, postgres: Server, tmp_path: Path
) -> None:
    world = file_world
    await lived(world)
    exported = [row async for row in world.ledger.export.messages()]
    attempts = await world.rows("SELECT max(id) FROM attempts")
    await world.ledger.close()
    file, name = world.ledger.database, postgres.database()
    server = Database.of(postgres.url(name), beside=tmp_path / "server")
    back = Database.of(f"sqlite:///{tmp_path / 'back.db'}")

    there, again = copy_ledger(file, server), copy_ledger(server, back)
    assert rows(there) == rows(again)
    assert rows(there)["slots"][0] == len(exported) > 0
    for database in (server, back):
        assert schema.inspect(database.spelled) == ()
        opened = Ledger.open(database.spelled, beside=database.beside)
        assert [row async for row in opened.export.messages()] == exported
        world.ledger = opened
        if database is back:
            # What was copied back is this program's to go on with: nothing about it says that it was restored.
            assert await opened.installation.check_restore(now=NOW) is None
            await world.recover(NOW + HOUR)
            await world.read_own(NOW + 24 * HOUR)
            (slot,) = await world.plan(1, at=NOW + 24 * HOUR)
            claimed = await world.send(slot)
            assert claimed.id > attempts[0][0]
        await opened.close()
    postgres.drop(name)


async def test_the_ledger_that_was_copied_holds_when_it_is_started_again(file_world: World, tmp_path: Path) -> None:
    await lived(file_world)
    await file_world.ledger.close()
    copy_ledger(file_world.ledger.database, Database.of(f"sqlite:///{tmp_path / 'other.db'}"))
    file_world.ledger = file_world.reopened()
    restored = await file_world.ledger.installation.check_restore(now=NOW)
    assert restored is not None
    assert restored.held_until == NOW + 24 * HOUR


async def test_a_ledger_with_rows_is_not_copied_into(file_world: World, tmp_path: Path) -> None:
    other = Database.of(f"sqlite:///{tmp_path / 'other.db'}")
    copy_ledger(file_world.ledger.database, other)
    with pytest.raises(LedgerError, match="empty one"):
        copy_ledger(file_world.ledger.database, other)


async def test_a_copy_that_fails_leaves_no_file(file_world: World, tmp_path: Path) -> None:
    await file_world.ledger.close()
    other = Database.of(f"sqlite:///{tmp_path / 'other.db'}")
    # The mark of what is copied cannot be raised: its folder may not be written.
    marked = HighWater(file_world.ledger.database.mark).path
    marked.unlink(missing_ok=True)
    marked.mkdir()
    with pytest.raises(LedgerError, match="cannot write"):
        copy_ledger(file_world.ledger.database, other)
    assert other.file is not None
    assert not other.file.exists()
    marked.rmdir()
