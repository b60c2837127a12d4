"""Which revision a ledger has, and how it gets to the one this program needs.

The migrations are alembic's and ship inside the wheel; in a checkout they lie beside the package. A ledger from a newer
program is refused and never touched. An upgrade is one transaction: all of it, or none. Before a file with anything in
it is upgraded, a copy is laid beside it; a server's ledger is its operator's to dump.
"""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from warmup.ledger.database import Database
from warmup.ledger.engines import Hand, engine_of, failed, in_our_words
from warmup.ledger.errors import LedgerDamaged, LedgerError, LedgerMissing, LedgerNewer, LedgerOlder
from warmup.ledger.store import create_file

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

# Every revision there is, oldest first. A test holds this equal to the scripts: reading them takes alembic, and slow.
REVISIONS = ("0001", "0002", "0003", "0004", "0006")
HEAD = REVISIONS[-1]

_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false))",
}


def scripts() -> Path:
    """Where the migrations lie."""
    package = Path(__file__).parent.parent
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def current(url: str) -> str | None:
    """The ledger's revision; None where it is empty. LedgerMissing, LedgerDamaged; LedgerError: a server is away."""
    database = Database.of(url)
    if database.file is not None:
        return _revision_of_file(database, database.file)
    engine = engine_of(database, Hand.READER)
    try:
        with in_our_words(database), engine.begin() as connection:
            return _revision(database, connection)
    finally:
        engine.dispose()


def _revision(database: Database, connection: "Connection") -> str | None:
    tables = set(connection.exec_driver_sql(_TABLES[connection.dialect.name]).scalars())
    if "alembic_version" not in tables:
        _refuse_strangers(database, tables)
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return str(found) if found else None


def _revision_of_file(database: Database, path: Path) -> str | None:
    if not path.exists():
        raise LedgerMissing(f"there is no ledger at {path}; make one with `warmup init`")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            tables = {name for (name,) in connection.execute(_TABLES["sqlite"])}
            if "alembic_version" not in tables:
                _refuse_strangers(database, tables)
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as failure:
        raise failed(database, str(failure)) from failure
    return str(row[0]) if row else None


def _refuse_strangers(database: Database, tables: set[str]) -> None:
    if tables:
        raise LedgerDamaged(f"{database} is a database, but no ledger of warmup; choose another")


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
    database = Database.of(url)
    if database.file is not None:
        create_file(database.file)
    revision = current(url)
    if revision == HEAD:
        return None
    if revision is not None and revision not in REVISIONS:
        check(url)
    copy = copy_aside(database.file, revision) if revision is not None and database.file is not None else None
    _migrate(database, "upgrade", HEAD)
    return copy


def downgrade(url: str, revision: str) -> None:
    """Bring the ledger back to `revision` ("base": no table left). What later revisions held is lost."""
    _migrate(Database.of(url), "downgrade", revision)


def inspect(url: str) -> tuple[str, ...]:
    """What is wrong with the ledger, rows without their parents included; empty where all is well.

    A server looks after its own pages and parents: there it is whether the tables are this program's.
    """
    check(url)
    database = Database.of(url)
    return _inspect_file(database.file) if database.file is not None else _inspect_server(database)


def _inspect_file(path: Path) -> tuple[str, ...]:
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


def _inspect_server(database: Database) -> tuple[str, ...]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from warmup.ledger import tables_said  # noqa: F401 (the rest of the tables)
    from warmup.ledger.tables import metadata

    engine = engine_of(database, Hand.READER)
    try:
        with in_our_words(database), engine.begin() as connection:
            found = compare_metadata(MigrationContext.configure(connection), metadata)
            return tuple(f"the tables are not as this program makes them: {difference}" for difference in found)
    finally:
        engine.dispose()


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


def _migrate(database: Database, direction: str, revision: str) -> None:
    from alembic import command

    engine = engine_of(database, Hand.WRITER)
    try:
        with in_our_words(database), engine.begin() as connection:
            if direction == "upgrade" and _revision(database, connection) == revision:
                return  # another node was here first
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
