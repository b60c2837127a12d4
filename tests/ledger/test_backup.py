"""A backup is one sound file whoever writes meanwhile, and put back it is a ledger that knows it went back."""

import os
import shutil
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from tests.ledger.conftest import HOUR, NOW, World
from warmup.ledger import Ledger, backup, schema
from warmup.ledger.copy import checksum_holds, copy_ledger, pour
from warmup.ledger.errors import BackupExists, BackupUnusable, LedgerDamaged, LedgerError, LedgerNewer
from warmup.ledger.highwater import HighWater, Mark

DAY = 24 * HOUR


@pytest.fixture
def url(place: Path) -> str:
    """A file: what is backed up here is one, and a server has tools of its own."""
    return url_of(place)


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def parts(folder: Path) -> list[str]:
    """What was left half done."""
    return [path.name for path in folder.iterdir() if ".part" in path.name]


async def begun_again(world: World) -> World:
    """The same fleet in the ledger that lies there now."""
    return World(ledger=Ledger.open(url_of(world.ledger.path)), sender=world.sender, seeds=world.seeds, numbers=100)


async def test_a_backup_holds_what_was_committed_and_is_for_its_owner_alone(world: World, tmp_path: Path) -> None:
    first, second = await world.plan(2)
    await world.send(first)
    target = tmp_path / "w.backup"
    made = backup.create(url_of(world.ledger.path), target, overwrite=False)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (made.revision, made.incarnation, made.last_attempt, made.mailboxes) == (schema.HEAD, 1, 1, 3)
    assert (made.has_checksum, made.until) == (True, first.due_at)
    assert backup.read_backup(target) == made
    assert parts(tmp_path) == []
    copied = Ledger.open(url_of(target))
    assert (await copied.turns.to_send(world.sender.id, second.due_at)).due == (second,)
    await copied.close()


async def test_a_backup_beside_a_writer_is_one_instant_and_whole(world: World, tmp_path: Path) -> None:
    path, ended = world.ledger.path, threading.Event()
    with sqlite3.connect(path) as before:
        before.execute("CREATE TABLE pairs (a, b)")

    def write() -> None:
        writer = sqlite3.connect(path, timeout=30)
        for n in range(100_000):
            if ended.is_set():
                break
            # Two rows in one transaction: a copy that is no snapshot would have one without the other.
            with writer:
                writer.execute("INSERT INTO pairs VALUES (?, 1)", (n,))
                writer.execute("INSERT INTO pairs VALUES (?, 2)", (n,))
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for n in range(10):
            backup.create(url_of(path), tmp_path / f"{n}.backup", overwrite=False)
    finally:
        ended.set()
        thread.join()
    counts = []
    for n in range(10):
        with sqlite3.connect(tmp_path / f"{n}.backup") as copy:
            rows = copy.execute("SELECT count(*) FROM pairs GROUP BY b ORDER BY b").fetchall()
        assert len({count for (count,) in rows}) <= 1
        counts.append(rows[0][0] if rows else 0)
    assert counts == sorted(counts)
    assert counts[-1] > 0


def test_a_backup_takes_the_place_of_no_other_unasked(ledger: Ledger, tmp_path: Path) -> None:
    target = tmp_path / "w.backup"
    target.write_text("something dear")
    with pytest.raises(BackupExists, match="--force"):
        backup.create(url_of(ledger.path), target, overwrite=False)
    assert target.read_text() == "something dear"
    backup.create(url_of(ledger.path), target, overwrite=True)
    assert checksum_holds(target)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", ".hw", ".lock", ".http"])
def test_a_backup_is_never_written_over_the_ledgers_own_files(ledger: Ledger, suffix: str) -> None:
    with pytest.raises(BackupUnusable, match="own file"):
        backup.create(url_of(ledger.path), ledger.path.parent / "." / (ledger.path.name + suffix), overwrite=True)


def test_a_backup_that_cannot_be_finished_leaves_what_was_there(ledger: Ledger, tmp_path: Path) -> None:
    import resource

    target = tmp_path / "w.backup"
    backup.create(url_of(ledger.path), target, overwrite=False)
    before = target.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        with pytest.raises(LedgerError, match="look at the disk"):
            backup.create(url_of(ledger.path), target, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == before
    assert parts(tmp_path) == []


def test_what_a_killed_backup_left_is_cleared_away_and_a_living_ones_is_not(ledger: Ledger, tmp_path: Path) -> None:
    import fcntl

    dead, living = tmp_path / "w.backup.dead.part", tmp_path / "w.backup.living.part"
    dead.touch()
    dead.with_name(dead.name + "-journal").touch()
    with living.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        backup.create(url_of(ledger.path), tmp_path / "w.backup", overwrite=False)
    assert parts(tmp_path) == [living.name]


async def test_one_changed_byte_anywhere_is_noticed(world: World, tmp_path: Path) -> None:
    target = tmp_path / "w.backup"
    backup.create(url_of(world.ledger.path), target, overwrite=False)
    whole = target.read_bytes()
    for place in (100, len(whole) // 2, len(whole) - 500):
        spoiled = bytearray(whole)
        spoiled[place] ^= 1
        target.write_bytes(spoiled)
        with pytest.raises(BackupUnusable, match="checksum"):
            backup.read_backup(target)


@pytest.mark.parametrize("left", [0, 50, 5000, 100_000])
def test_a_backup_that_was_cut_off_is_refused(ledger: Ledger, tmp_path: Path, left: int) -> None:
    target = tmp_path / "w.backup"
    backup.create(url_of(ledger.path), target, overwrite=False)
    target.write_bytes(target.read_bytes()[:left])
    with pytest.raises(BackupUnusable):
        backup.read_backup(target)


def test_other_files_are_no_backups(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("a shopping list " * 1000)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as stored:
        stored.execute("CREATE TABLE shopping (item)")
    for path in (text, foreign, tmp_path, tmp_path / "none"):
        with pytest.raises(BackupUnusable):
            backup.read_backup(path)


def test_a_newer_backup_is_refused(place: Path) -> None:
    with sqlite3.connect(place) as stored:
        stored.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerNewer, match="newer warmup"):
        backup.read_backup(place)


async def test_a_damaged_ledger_is_not_backed_up_as_if_it_were_sound(world: World, tmp_path: Path) -> None:
    await world.ledger.close()
    spoil(world.ledger.path)
    with pytest.raises(LedgerDamaged):
        backup.create(url_of(world.ledger.path), tmp_path / "w.backup", overwrite=False)
    assert not (tmp_path / "w.backup").exists()


def spoil(path: Path) -> None:
    """Write rubbish over the table of mailboxes."""
    with sqlite3.connect(path) as stored:
        (page,) = stored.execute("SELECT rootpage FROM sqlite_master WHERE name = 'mailboxes'").fetchone()
        (size,) = stored.execute("PRAGMA page_size").fetchone()
    stored.close()
    whole = bytearray(path.read_bytes())
    whole[(page - 1) * size : page * size] = b"\x5a" * size
    path.write_bytes(whole)


async def test_a_restore_puts_back_what_was_and_keeps_what_is(world: World, tmp_path: Path) -> None:
    path, target = world.ledger.path, tmp_path / "w.backup"
    first, second, _ = await world.plan(3)
    await world.send(first)
    made = backup.create(url_of(path), target, overwrite=False)
    await world.send(second)
    await world.ledger.close()
    done = backup.restore(url_of(path), made, now=NOW)
    assert done == backup.PutBack(incarnation=2, kept=path.with_name("warmup.db.before-restore-20260302T090000Z"))
    assert done.kept is not None
    assert backup.read_backup(done.kept).last_attempt == 2
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(done.kept.stat().st_mode) == 0o600
    assert parts(tmp_path) == []

    back = await begun_again(world)
    assert await back.ledger.installation.restore_to_come()
    found = await back.ledger.installation.check_restore(now=NOW + HOUR)
    assert found is not None
    assert (found.incarnation, found.lapsed) == (3, 2)
    assert not await back.ledger.installation.restore_to_come()
    held = await back.ledger.installation.restored(now=NOW + 2 * HOUR)
    assert held is not None
    assert (held.since, held.until, held.unread) == (NOW + HOUR, NOW + HOUR + DAY, 3)
    await back.ledger.close()


@pytest.mark.parametrize("lost", [(".hw",), ("", "-wal", "-shm"), ("", "-wal", "-shm", ".hw")])
async def test_a_restore_is_noticed_whatever_was_lost(world: World, tmp_path: Path, lost: tuple[str, ...]) -> None:
    made = backup.create(url_of(world.ledger.path), tmp_path / "w.backup", overwrite=False)
    assert made.last_attempt == 0
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.ledger.close()
    for suffix in lost:
        world.ledger.path.with_name(world.ledger.path.name + suffix).unlink(missing_ok=True)
    backup.restore(url_of(world.ledger.path), made, now=NOW)
    back = await begun_again(world)
    assert await back.ledger.installation.check_restore(now=NOW) is not None
    await back.ledger.close()


async def test_two_restores_of_one_backup_never_share_an_incarnation(world: World, tmp_path: Path) -> None:
    made = backup.create(url_of(world.ledger.path), tmp_path / "w.backup", overwrite=False)
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.ledger.close()
    seeds = set()
    for n in range(3):
        backup.restore(url_of(world.ledger.path), made, now=NOW + n * HOUR)
        back = await begun_again(world)
        assert await back.ledger.installation.check_restore(now=NOW) is not None
        seeds.add((await back.ledger.installation.get()).seed)
        await back.ledger.close()
    assert len(seeds) == 3


async def test_a_ledger_that_is_damaged_or_no_database_is_kept_and_replaced(world: World, tmp_path: Path) -> None:
    path = world.ledger.path
    made = backup.create(url_of(path), tmp_path / "w.backup", overwrite=False)
    await world.ledger.close()
    spoil(path)
    damaged = path.read_bytes()
    kept = backup.restore(url_of(path), made, now=NOW).kept
    assert kept is not None
    # SQLite's header of 100 bytes says how the file is written to; all else is as it was.
    assert kept.read_bytes()[100 : len(damaged)] == damaged[100:]
    assert schema.inspect(url_of(path)) == ()

    path.write_bytes(b"no database at all" * 1000)
    path.with_name("warmup.db-wal").write_bytes(b"nor this")
    kept = backup.restore(url_of(path), made, now=NOW + HOUR).kept
    assert kept is not None
    assert kept.read_bytes() == b"no database at all" * 1000
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"nor this"
    assert schema.inspect(url_of(path)) == ()


async def test_who_reads_during_a_restore_sees_the_old_ledger_or_the_new(world: World, tmp_path: Path) -> None:
    made = backup.create(url_of(world.ledger.path), tmp_path / "w.backup", overwrite=False)
    (slot,) = await world.plan(1)
    reader = sqlite3.connect(world.ledger.path)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM slots").fetchone() == (1,)
    backup.restore(url_of(world.ledger.path), made, now=NOW)
    assert reader.execute("SELECT count(*) FROM slots").fetchone() == (1,)
    reader.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM slots").fetchone() == (0,)
    reader.close()
    assert slot.number == 1
    assert schema.inspect(url_of(world.ledger.path)) == ()


def test_a_backup_of_an_earlier_revision_is_brought_up_to_date(ledger: Ledger, tmp_path: Path) -> None:
    path = ledger.path
    ledger.store.close_now()
    schema.downgrade(url_of(path), schema.REVISIONS[0])
    made = backup.create(url_of(path), tmp_path / "w.backup", overwrite=False)
    assert made.revision == schema.REVISIONS[0]
    backup.restore(url_of(path), made, now=NOW)
    assert schema.current(url_of(path)) == schema.HEAD


def test_a_ledger_is_not_restored_from_itself(ledger: Ledger) -> None:
    found = backup.read_backup(ledger.path)
    with pytest.raises(BackupUnusable, match="own file"):
        backup.restore(url_of(ledger.path), found, now=NOW)


async def test_a_copy_put_over_a_log_that_was_left_is_refused(world: World, tmp_path: Path) -> None:
    path, old = world.ledger.path, tmp_path / "old.db"
    log_path = path.with_name("warmup.db-wal")
    copy_ledger(path, old, overwrite=False)
    await world.plan(300)
    # What the log held is folded into the file; the next write begins the log anew.
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    other.close()
    await world.plan(3, at=NOW + DAY)
    log = log_path.read_bytes()
    await world.ledger.close()
    log_path.write_bytes(log)
    path.write_bytes(old.read_bytes())
    with pytest.raises(LedgerDamaged, match="do not belong together"):
        schema.upgrade(url_of(path))
    with pytest.raises(LedgerDamaged, match="do not belong together"):
        Ledger.open(url_of(path))
    assert log_path.read_bytes() == log


async def test_a_log_of_a_crash_is_read_as_ever(world: World, tmp_path: Path) -> None:
    await world.plan(2)
    crashed = tmp_path / "crashed.db"
    shutil.copy(world.ledger.path, crashed)
    shutil.copy(world.ledger.path.with_name("warmup.db-wal"), tmp_path / "crashed.db-wal")
    os.utime(crashed)
    opened = Ledger.open(url_of(crashed))
    assert await opened.slots.next_due() == NOW
    await opened.close()


async def test_a_locked_ledger_is_waited_for_and_not_for_ever(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmup.ledger.copy._BUSY_TURNS", 2)
    other = tmp_path / "other.db"
    copy_ledger(world.ledger.path, other, overwrite=False)
    holder = sqlite3.connect(world.ledger.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="stays locked"):
        pour(other, world.ledger.path, at_rest=True)
    holder.execute("ROLLBACK")
    pour(other, world.ledger.path, at_rest=True)
    holder.close()


async def test_the_mark_is_untouched_by_a_restore_until_the_daemon_looks(world: World, tmp_path: Path) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    made = backup.create(url_of(world.ledger.path), tmp_path / "w.backup", overwrite=False)
    await world.ledger.close()
    backup.restore(url_of(world.ledger.path), made, now=NOW)
    assert HighWater(world.ledger.path).read() == Mark(1, 1)
