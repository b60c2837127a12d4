"""A copy of a ledger in one file: consistent whoever writes meanwhile, whole or not there, and with a checksum.

SQLite's backup API reads one snapshot, write-ahead log included. The copy is filled under another name, looked
through, sealed with a last line that says its size and SHA-256, made durable, and only then takes its name. SQLite
minds what its own header counts and not that line, so the copy is a database as it stands. Sealed secrets go along
sealed; the key is in no ledger and so in no copy.
"""

import fcntl
import glob
import hashlib
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from warmup.ledger.database import Database
from warmup.ledger.engines import failed
from warmup.ledger.errors import BackupExists, LedgerDamaged, LedgerError

_BUSY_TURNS = 120
"""How often a locked database is asked again, a quarter of a second apart (sqlite3.Connection.backup)."""

_LONGEST_SEAL = 200
_SEAL = re.compile(rb"\nwarmup-copy/1 size=([0-9]{1,19}) sha256=([0-9a-f]{64})\n\Z")


def copy_ledger(source: Path, target: Path, *, overwrite: bool, sound: bool = True) -> None:
    """Copy the ledger at `source` to `target`, mode 0600, durable.

    Raises BackupExists where `target` is there and `overwrite` is not said, LedgerDamaged where the ledger is not
    `sound` (unless that is no matter), LedgerError where the disk refuses. Then `target` is as it was.
    """
    if target.exists() and not overwrite:
        raise BackupExists(target)
    with filled(target, overwrite=overwrite) as part:
        pour(source, part)
        if sound:
            _refuse_damage(source, part)
        _seal(part)


def pour(source: Path, target: Path, *, at_rest: bool = False) -> None:
    """Make `target` the database that `source` is now, in one transaction of `target`; readers see old or new.

    A `source` `at_rest` is one that nobody writes to. Raises LedgerDamaged, LedgerError.
    """
    turns = 0

    def patience(_status: int, _remaining: int, _total: int) -> None:
        nonlocal turns
        turns += 1
        if turns > _BUSY_TURNS:
            raise LedgerError(f"{target} stays locked; end the verbs that are at work on it and try again")

    is_new = not target.exists() or target.stat().st_size == 0
    try:
        with (
            closing(opened(source, at_rest=at_rest)) as read,
            closing(sqlite3.connect(target, isolation_level=None)) as written,
        ):
            written.execute("PRAGMA synchronous=FULL")
            read.backup(written, progress=patience)
            # A file that stands alone needs no log beside it; one that is in use keeps what it has.
            written.execute(f"PRAGMA {'journal_mode=DELETE' if is_new else 'wal_checkpoint(TRUNCATE)'}").fetchall()
    except sqlite3.DatabaseError as failure:
        raise _said(source, target, str(failure)) from failure


def opened(path: Path, *, at_rest: bool) -> sqlite3.Connection:
    """A connection that only reads. What lies in the log beside the file is read too."""
    log = path.with_name(path.name + "-wal")
    alone = at_rest and (not log.exists() or log.stat().st_size == 0)
    # A file in WAL mode wants its companions made even by a reader: not on a disk that is read-only.
    mode = "mode=ro&immutable=1" if alone else "mode=ro"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)


def problems_of(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Pages that do not add up and rows without their parents; empty where all is well."""
    try:
        pages = [str(text) for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        rows = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.DatabaseError as failure:
        return (str(failure),)
    return (*pages, *(f"{row[0]} row {row[1]} lacks its {row[2]}" for row in rows))


def checksum_holds(path: Path) -> bool | None:
    """True where the copy's last line agrees with the rest, False where not, None where there is none; OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _LONGEST_SEAL)
        file.seek(start)
        seal = _SEAL.search(file.read())
        if seal is None:
            return None
        covered = start + seal.start()
        said = (int(seal[1]), seal[2].decode("ascii"))
        return said == (covered, _digest(path, covered))


@contextmanager
def filled(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """A draft of `target` that takes its name at the end, durably; where the block raises, nothing has changed.

    Raises BackupExists, LedgerError.
    """
    with drafted(target) as part:
        yield part
        try:
            make_durable(part)
            _take_name(part, target, overwrite=overwrite)
            make_durable(target.parent)
        except OSError as failure:
            raise _refused(target, failure) from failure


@contextmanager
def drafted(target: Path) -> Iterator[Path]:
    """An empty file beside `target`, for its owner alone, gone at the end unless it was given a name. LedgerError.

    It is locked while its maker lives, so that what killed processes left is known, and cleared away.
    """
    _clear(target)
    try:
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    except OSError as failure:
        raise _refused(target, failure) from failure
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield Path(name)
    except OSError as failure:
        raise _refused(target, failure) from failure
    finally:
        os.close(handle)
        _remove(Path(name))


def make_durable(path: Path) -> None:
    """Wait until what a file or folder holds is on the disk; OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_name(part: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        part.replace(target)
        return
    try:
        # A link refuses a name that is taken, where a rename would not.
        os.link(part, target)
    except FileExistsError:
        raise BackupExists(target) from None
    except OSError:
        # A file system without links.
        part.replace(target)


def _clear(target: Path) -> None:
    """Remove unfinished copies whose makers have died: a living one holds a lock on its own."""
    for part in target.parent.glob(f"{glob.escape(target.name)}.*.part"):
        with suppress(OSError):
            handle = os.open(part, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(part)
            finally:
                os.close(handle)


def _remove(part: Path) -> None:
    for leftover in (part, *(part.with_name(part.name + suffix) for suffix in ("-journal", "-wal", "-shm"))):
        leftover.unlink(missing_ok=True)


def _refuse_damage(source: Path, part: Path) -> None:
    with closing(opened(part, at_rest=True)) as copy:
        problems = problems_of(copy)
    if problems:
        raise LedgerDamaged(f"{source} is damaged ({problems[0]}); restore a backup")


def _seal(part: Path) -> None:
    size = part.stat().st_size
    line = f"\nwarmup-copy/1 size={size} sha256={_digest(part, size)}\n"
    with part.open("ab") as file:
        file.write(line.encode("ascii"))


def _digest(path: Path, size: int) -> str:
    """SHA-256 of the first `size` bytes, in hexadecimal."""
    digest, left = hashlib.sha256(), size
    with path.open("rb") as file:
        while left and (piece := file.read(min(left, 1 << 20))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def _said(source: Path, target: Path, text: str) -> LedgerError:
    damaged = failed(Database.at(source), text)
    return damaged if isinstance(damaged, LedgerDamaged) else failed(Database.at(target), text)


def _refused(target: Path, failure: OSError) -> LedgerError:
    return LedgerError(f"cannot write {target}: {failure.strerror or failure}; look at the disk and its permissions")
