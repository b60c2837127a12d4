"""Which revision a ledger has, and how it gets to the one this program needs.

The migrations are alembic's and ship inside the wheel; in a checkout they lie beside the package. A ledger from a newer
program is refused and never touched. Before a ledger with anything in it is upgraded, a copy is laid beside it.
"""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from warmup.ledger.errors import LedgerDamaged, LedgerError, LedgerMissing, LedgerNewer, LedgerOlder
from warmup.ledger.store import connect, create_file, failed, in_our_words, path_of

if TYPE_CHECKING:
    from alembic.config import Config

# Every revision there is, oldest first. A test holds this equal to the scripts: reading them takes alembic, and slow.
REVISIONS = ("0001", "0002", "0003", "0004", "0007")
HEAD = REVISIONS[-1]


def scripts() -> Path:
    """Where the migrations lie."""
    package = Path(__file__).parent.parent
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def current(url: str) -> str | None:
    """The ledger's revision; None where the file is empty. LedgerMissing, LedgerDamaged."""
    path = path_of(url)
    if not path.exists():
        raise LedgerMissing(f"there is no ledger at {path}; make one with `warmup init`")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "alembic_version" not in tables:
                _refuse_strangers(path, tables)
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as failure:
        raise failed(path, str(failure)) from failure
    return str(row[0]) if row else None


def _refuse_strangers(path: Path, tables: set[str]) -> None:
    if tables:
        raise LedgerDamaged(f"{path} is a database, but no ledger of warmup; choose another file")


def check(url: str) -> None:
    """Nothing where the ledger is this program's revision; LedgerNewer or LedgerOlder where it is not."""
    revision = current(url)
    if revision == HEAD:
        return
    if revision is None or revision in REVISIONS:
        raise LedgerOlder(
            f"the ledger has revision {revision or 'none'}, this program needs {HEAD}; run `warmup db upgrade`"
        )
    raise LedgerNewer(
        f"the ledger has revision {revision}, which this program ({HEAD}) does not know; install a newer warmup"
    )


def upgrade(url: str) -> Path | None:
    """Bring the ledger, made if need be, to HEAD. The path of the copy made before; None where none was needed."""
    path = path_of(url)
    create_file(path)
    revision = current(url)
    if revision == HEAD:
        return None
    if revision is not None and revision not in REVISIONS:
        check(url)
    copy = copy_aside(path, revision) if revision is not None else None
    _migrate(path, "upgrade", HEAD)
    return copy


def downgrade(url: str, revision: str) -> None:
    """Bring the ledger back to `revision` ("base": no table left). What later revisions held is lost."""
    _migrate(path_of(url), "downgrade", revision)


def inspect(url: str) -> tuple[str, ...]:
    """What SQLite finds wrong with the file, rows without their parents included; empty where all is well."""
    check(url)
    path = path_of(url)
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        pages = [str(text) for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        orphans = [
            f"{row[0]} row {row[1]} lacks its {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")
        ]
    except sqlite3.DatabaseError as failure:
        return (str(failure),)
    finally:
        connection.close()
    return (*pages, *orphans)


def copy_aside(path: Path, revision: str) -> Path:
    """A copy of the ledger beside it, named for the `revision` it has, journal included; LedgerError: disk."""
    copy = path.with_name(f"{path.name}.before-{HEAD}-was-{revision}")
    copy.unlink(missing_ok=True)
    create_file(copy)
    try:
        source, target = sqlite3.connect(path), sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            target.close()
            source.close()
    except sqlite3.Error as failure:
        copy.unlink(missing_ok=True)
        raise LedgerError(f"cannot copy {path} before its upgrade: {failure}; make room on the disk") from failure
    return copy


def _migrate(path: Path, direction: str, revision: str) -> None:
    from alembic import command

    engine = connect(path, begin="BEGIN IMMEDIATE")
    try:
        with in_our_words(path), engine.begin() as connection:
            config = _config()
            config.attributes["connection"] = connection
            getattr(command, direction)(config, revision)
    finally:
        engine.dispose()


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return config
