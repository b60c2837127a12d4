"""The ledger's revision: made, upgraded with a copy beside it, refused where it is another program's."""

import os
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.ledger.conftest import World, new_mailbox
from warmup.ledger import Ledger, schema
from warmup.ledger.database import Database
from warmup.ledger.engines import Hand, engine_of, failed
from warmup.ledger.errors import LedgerDamaged, LedgerError, LedgerMissing, LedgerNewer, LedgerOlder
from warmup.ledger.tables import metadata
from warmup.policy.mailbox import SmtpAuth


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def stamp(path: Path, revision: str) -> None:
    """Make the file say another revision."""
    stored = sqlite3.connect(path)
    stored.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    stored.commit()
    stored.close()


def test_the_migrations_make_exactly_the_tables(place: Path) -> None:
    engine = engine_of(Database.of(url_of(place)), Hand.READER)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_program_names_every_revision_there_is() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.scripts()))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == schema.REVISIONS


def test_a_ledger_goes_down_to_nothing_and_up_again(place: Path) -> None:
    schema.downgrade(url_of(place), "base")
    stored = sqlite3.connect(place)
    left = {name for (name,) in stored.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")}
    stored.close()
    assert left == {"alembic_version"}
    assert schema.current(url_of(place)) is None
    schema.upgrade(url_of(place))
    assert schema.current(url_of(place)) == schema.HEAD
    assert schema.inspect(url_of(place)) == ()


def test_a_new_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    assert schema.upgrade(url_of(path)) is None
    assert schema.upgrade(url_of(path)) is None
    Ledger.open(url_of(path)).store.close_now()
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file.name


async def test_the_journal_of_an_open_ledger_is_for_its_owner_alone(file_world: World) -> None:
    world = file_world
    files = list(world.ledger.path.parent.glob("warmup.db-*"))
    assert files
    for file in files:
        assert file.stat().st_mode & 0o077 == 0, file.name


async def test_writes_are_durable_and_rows_cannot_lose_their_parents(file_world: World) -> None:
    world = file_world
    for hand in ("write", "read"):
        run = getattr(world.ledger.store, hand)
        said = await run(
            lambda connection: [
                connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
                for pragma in ("journal_mode", "synchronous", "foreign_keys")
            ]
        )
        assert said == ["wal", 2, 1]


def test_a_newer_ledger_is_refused_and_not_touched(place: Path) -> None:
    stamp(place, "9999")
    before = place.read_bytes()
    for attempt in (schema.check, schema.upgrade, Ledger.open):
        with pytest.raises(LedgerNewer, match="newer warmup"):
            attempt(url_of(place))
    assert place.read_bytes() == before


def test_an_empty_ledger_has_to_be_upgraded_first(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(LedgerOlder, match="warmup db upgrade"):
        Ledger.open(url_of(path))


def test_a_missing_ledger_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(LedgerMissing, match="warmup init"):
        Ledger.open(url_of(tmp_path / "none.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("This is a shopping list, and a long one. " * 100)
    with pytest.raises(LedgerDamaged):
        Ledger.open(url_of(text))
    foreign = tmp_path / "foreign.db"
    stored = sqlite3.connect(foreign)
    stored.execute("CREATE TABLE shopping (item)")
    stored.close()
    with pytest.raises(LedgerDamaged, match="no ledger"):
        schema.upgrade(url_of(foreign))


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "warmup.db", "://"])
def test_other_urls_are_refused_with_the_way_to_write_one(url: str) -> None:
    with pytest.raises(LedgerError, match="sqlite:///FILE"):
        Ledger.open(url)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot create"):
        schema.upgrade(url_of(tmp_path / "none" / "warmup.db"))


async def test_the_copy_before_an_upgrade_holds_what_was_not_written_back_yet(file_world: World) -> None:
    world = file_world
    slots = await world.plan(2)
    copy = schema.copy_aside(world.ledger.path, "0000")
    assert copy.stat().st_mode & 0o777 == 0o600
    copied = Ledger.open(url_of(copy))
    assert (await copied.turns.to_send(world.sender.id, slots[1].due_at)).due == slots
    await copied.close()


async def test_damage_is_said_and_not_hidden(file_world: World) -> None:
    world = file_world
    await world.ledger.close()
    stored = sqlite3.connect(world.ledger.path)
    stored.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page,) = stored.execute("SELECT rootpage FROM sqlite_master WHERE name = 'mailboxes'").fetchone()
    (size,) = stored.execute("PRAGMA page_size").fetchone()
    stored.close()
    whole = bytearray(world.ledger.path.read_bytes())
    whole[(page - 1) * size : page * size] = b"\x5a" * size
    world.ledger.path.write_bytes(whole)
    opened = Ledger.open(url_of(world.ledger.path))
    with pytest.raises(LedgerDamaged, match="restore a backup"):
        await opened.mailboxes.list()
    await opened.close()
    assert schema.inspect(url_of(world.ledger.path))


async def test_mailboxes_of_before_the_relays_have_a_password(place: Path) -> None:
    ledger = Ledger.open(url_of(place))
    await ledger.mailboxes.add(new_mailbox("ann@send.test", smtp_auth=SmtpAuth.NONE))
    await ledger.close()
    schema.downgrade(url_of(place), "0001")
    schema.upgrade(url_of(place))
    ledger = Ledger.open(url_of(place))
    assert (await ledger.mailboxes.get("ann@send.test")).smtp_auth is SmtpAuth.PASSWORD
    await ledger.close()


@pytest.mark.parametrize("text", ["disk I/O error", "unable to open database file", "database or disk is full"])
def test_a_full_or_closed_disk_is_no_reason_to_restore_a_backup(text: str) -> None:
    said = failed(Database.of("sqlite:///w.db"), text)
    assert not isinstance(said, LedgerDamaged)
    assert "look at the disk" in str(said)


async def test_a_folder_that_is_shut_is_not_called_damage(file_world: World) -> None:
    world = file_world
    await world.ledger.close()
    world.ledger.path.unlink()
    world.ledger.path.mkdir()
    with pytest.raises(LedgerError, match="look at the disk"):
        schema.current(url_of(world.ledger.path))


def test_of_the_copies_that_upgrades_made_the_newest_few_stay(place: Path) -> None:
    for n, revision in enumerate(("0007", "0008", "0009", "0010", "0011")):
        copy = schema.copy_aside(place, revision)
        os.utime(copy, (n, n))
        place.with_name("warmup.db.before-restore-20260302T090000Z").touch()
    left = sorted(path.name for path in place.parent.glob("warmup.db.before-*-was-*"))
    assert left == [f"warmup.db.before-{schema.HEAD}-was-{revision}" for revision in ("0009", "0010", "0011")]
    assert place.with_name("warmup.db.before-restore-20260302T090000Z").exists()
