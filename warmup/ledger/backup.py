"""Backups: a ledger's copy as a person keeps it, read with suspicion, and put back.

A file that comes from elsewhere is believed only after its checksum (where it has one), its revision, every page and
every reference were looked at. Putting it back brings it to this program's revision first, as a draft beside the
ledger, and gives it an *incarnation* that neither the ledger nor its high-water mark has had: whoever starts the daemon
next finds a restored ledger, draws anew and waits (installation.check_restore). Then the ledger becomes the draft in
one transaction of SQLite's, so that a verb at work on it meanwhile sees the old or the new one, and a process that is
killed leaves one of them. What the ledger was before is kept beside it.
"""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from warmup.ledger import schema
from warmup.ledger.copy import checksum_holds, copy_ledger, drafted, make_durable, opened, pour, problems_of
from warmup.ledger.database import Database
from warmup.ledger.errors import BackupUnusable, LedgerDamaged, LedgerError, LedgerNewer
from warmup.ledger.highwater import HighWater

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LATEST = """
SELECT max(at) FROM (
    SELECT created_at AS at FROM installation
    UNION ALL SELECT max(claimed_at) FROM attempts
    UNION ALL SELECT max(at) FROM outcomes
    UNION ALL SELECT max(at) FROM sightings
    UNION ALL SELECT max(at) FROM looks
    UNION ALL SELECT max(planned_at) FROM days)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a sound backup holds. `until` is the last instant recorded in it, in the ledger's own time.

    `has_checksum` is False for a ledger that was copied by other means. `identity_key_sealed` opens with the key that
    all its secrets are sealed with; None where it was never established.
    """

    path: Path
    size_bytes: int
    revision: str
    has_checksum: bool
    incarnation: int
    last_attempt: int
    mailboxes: int
    until: datetime | None
    identity_key_sealed: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """A backup is the ledger now, as `incarnation`; what was there before is at `kept`, None where nothing was."""

    incarnation: int
    kept: Path | None


def create(url: str, target: Path, *, overwrite: bool) -> Backup:
    """Back the ledger up to `target`, also while a daemon runs; what was written.

    Raises LedgerMissing, LedgerNewer, LedgerDamaged, BackupExists, BackupUnusable where `target` is the ledger's own,
    LedgerError: disk.
    """
    source = _file_of(url)
    if schema.current(url) not in schema.REVISIONS:
        schema.check(url)
    _refuse_own_files(source, target)
    copy_ledger(source, target, overwrite=overwrite)
    return read_backup(target)


def read_backup(path: Path) -> Backup:
    """What the file holds, after all of it was looked at.

    Raises BackupUnusable where it is not readable, not a ledger or damaged, LedgerNewer where this program does not
    know its revision.
    """
    try:
        checked = checksum_holds(path)
        if checked is False:
            raise BackupUnusable(f"{path} is damaged: its checksum does not hold; take another backup")
        with closing(opened(path, at_rest=True)) as connection:
            revision = _known_revision(connection, path)
            problems = problems_of(connection)
            if problems:
                raise BackupUnusable(f"{path} is damaged ({problems[0]}); take another backup")
            return _read(connection, path, revision, has_checksum=checked is True)
    except OSError as failure:
        raise BackupUnusable(f"{path} cannot be read: {failure.strerror}; name a backup of yours") from failure
    except (sqlite3.DatabaseError, LedgerDamaged) as failure:
        raise BackupUnusable(f"{path} is no backup of a ledger, or is damaged ({failure}); name another") from failure


def restore(url: str, backup: Backup, *, now: datetime) -> PutBack:
    """Make the ledger what `backup` holds. Call it under the daemon's lock; `now` is wall time and names what is kept.

    Raises LedgerError: disk, or another process that does not let go; BackupUnusable where the backup is the ledger
    itself. Then the ledger is as it was.
    """
    ledger = _file_of(url)
    _refuse_own_files(ledger, backup.path)
    there = ledger.exists()
    kept = ledger.with_name(f"{ledger.name}.before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    with drafted(ledger.with_name(f"{ledger.name}.restored")) as draft:
        pour(backup.path, draft, at_rest=True)
        schema.migrate(Database.at(draft), "upgrade", schema.HEAD)
        incarnation = 1 + max(backup.incarnation, _incarnation_at(ledger))
        _begin(draft, incarnation)
        if there and _keep(ledger, kept):
            pour(draft, ledger, at_rest=True)
        else:
            make_durable(draft)
            draft.replace(ledger)
        make_durable(ledger.parent)
    return PutBack(incarnation=incarnation, kept=kept if there else None)


def _file_of(url: str) -> Path:
    file = Database.of(url).file
    if file is None:
        raise LedgerError("a ledger on a server is backed up by its own tools; use pg_dump")
    return file


def _refuse_own_files(ledger: Path, named: Path) -> None:
    own = {ledger.with_name(ledger.name + suffix) for suffix in ("", "-wal", "-shm", ".hw", ".lock", ".http")}
    if named.resolve() in {path.resolve() for path in own}:
        raise BackupUnusable(f"{named} is the ledger's own file; name another")


def _known_revision(connection: sqlite3.Connection, path: Path) -> str:
    revision = schema.revision_in(connection, path)
    if revision is None:
        raise BackupUnusable(f"{path} is empty; name a backup of yours")
    if revision not in schema.REVISIONS:
        raise LedgerNewer(
            f"{path} has revision {revision}, which this program ({schema.HEAD}) does not know; install a newer warmup"
        )
    return revision


def _read(connection: sqlite3.Connection, path: Path, revision: str, *, has_checksum: bool) -> Backup:
    row = connection.execute("SELECT incarnation, last_attempt, identity_key_sealed FROM installation").fetchone()
    if row is None:
        raise BackupUnusable(f"{path} is a ledger that was never begun; name a backup of yours")
    (latest,) = connection.execute(_LATEST).fetchone()
    (mailboxes,) = connection.execute("SELECT count(*) FROM mailboxes WHERE removed_at IS NULL").fetchone()
    return Backup(
        path=path,
        size_bytes=path.stat().st_size,
        revision=revision,
        has_checksum=has_checksum,
        incarnation=row[0],
        last_attempt=row[1],
        mailboxes=mailboxes,
        until=None if latest is None else _EPOCH + timedelta(microseconds=latest),
        identity_key_sealed=row[2],
    )


def _incarnation_at(ledger: Path) -> int:
    """The highest incarnation that the ledger or its high-water mark has had, as far as either can be read."""
    mark = HighWater(ledger).read()
    known = 0
    if ledger.exists():
        try:
            with closing(opened(ledger, at_rest=False)) as connection:
                (known,) = connection.execute("SELECT incarnation FROM installation").fetchone() or (0,)
        except sqlite3.DatabaseError:
            # It is being replaced because it is damaged: then the mark alone tells.
            known = 0
    return max(known, mark.incarnation if mark else 0)


def _begin(draft: Path, incarnation: int) -> None:
    with closing(sqlite3.connect(draft)) as connection, connection:
        connection.execute("UPDATE installation SET incarnation = ?", (incarnation,))
        connection.commit()
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()


def _keep(ledger: Path, kept: Path) -> bool:
    """Lay the ledger aside as `kept`, as it is; False where it is no database and only fit to be replaced.

    Raises BackupExists, LedgerError.
    """
    try:
        copy_ledger(ledger, kept, overwrite=False, sound=False)
    except LedgerDamaged:
        os.link(ledger, kept)
        log = ledger.with_name(ledger.name + "-wal")
        if log.exists():
            log.replace(kept.with_name(kept.name + "-wal"))
        ledger.with_name(ledger.name + "-shm").unlink(missing_ok=True)
        return False
    return True
