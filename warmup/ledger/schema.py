"""Which revision a ledger has, and how it gets to the one this program needs.

The migrations are alembic's and ship inside the wheel; in a checkout they lie beside the package. A ledger from a newer
program is refused and never touched. An upgrade is one transaction: all of it, or none, also where the process is
killed. Before a file with anything in it is upgraded, a backup is laid beside it; a server's ledger is its operator's
to dump.
"""

import glob
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from warmup.ledger.copy import copy_ledger, opened, problems_of
from warmup.ledger.database import Database
from warmup.ledger.engines import Hand, engine_of, failed, in_our_words
from warmup.ledger.errors import LedgerDamaged, LedgerMissing, LedgerNewer, LedgerOlder
from warmup.ledger.store import create_file

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

# Every revision there is, oldest first. A test holds this equal to the scripts: reading them takes alembic, and slow.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
HEAD = REVISIONS[-1]

KEPT_COPIES = 3
"""How many of the copies that upgrades made are kept, the newest."""

QUEUE_PREFIX = "procrastinate_"
"""What the names of a cluster's queue begin with, on a server: tables and functions that are Procrastinate's own."""

QUEUE_PARTS = frozenset(
    f"{QUEUE_PREFIX}{part}"
    for part in ("jobs", "events", "workers", "defer_jobs_v1", "fetch_job_v2", "finish_job_v1", "retry_job_v2")
)
"""What of it the program cannot do without."""

_QUEUE_PARTS = """
    SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false))
    UNION SELECT proname FROM pg_proc WHERE pronamespace::regnamespace::text = ANY (current_schemas(false))
"""
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
        with closing(opened(path, at_rest=False)) as connection:
            return revision_in(connection, path)
    except sqlite3.DatabaseError as failure:
        raise failed(database, str(failure)) from failure


def revision_in(connection: sqlite3.Connection, path: Path) -> str | None:
    """The revision of the open file at `path`; None where it is empty. LedgerDamaged, sqlite3.DatabaseError."""
    tables = {name for (name,) in connection.execute(_TABLES["sqlite"])}
    if "alembic_version" not in tables:
        _refuse_strangers(Database.at(path), tables)
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
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
    """Bring the ledger, made if need be, to HEAD. The path of the backup made before; None where none was needed.

    Raises LedgerNewer, LedgerDamaged, or LedgerError where the backup cannot be made; then nothing is changed.
    """
    database = Database.of(url)
    if database.file is not None:
        create_file(database.file)
        refuse_a_mixture(database.file)
    revision = current(url)
    if revision == HEAD:
        return None
    if revision is not None and revision not in REVISIONS:
        check(url)
    copy = copy_aside(database.file, revision) if revision is not None and database.file is not None else None
    migrate(database, "upgrade", HEAD)
    return copy


def downgrade(url: str, revision: str) -> None:
    """Bring the ledger back to `revision` ("base": no table left). What later revisions held is lost."""
    migrate(Database.of(url), "downgrade", revision)


def inspect(url: str) -> tuple[str, ...]:
    """What is wrong with the ledger, rows without their parents included; empty where all is well.

    A server looks after its own pages and parents: there it is whether the tables are this program's.
    """
    check(url)
    database = Database.of(url)
    if database.file is None:
        return _inspect_server(database)
    with closing(opened(database.file, at_rest=False)) as connection:
        return problems_of(connection)


def refuse_a_mixture(path: Path) -> None:
    """LedgerDamaged where a copy was put over a ledger whose write-ahead log was left, and the two do not agree.

    SQLite would mend the one with the pages of the other. The log is written last, unless the writer had just folded
    it into the file or the file was put there since: only then every page is looked at.
    """
    log = path.with_name(path.name + "-wal")
    try:
        # The time of the last change, which a copy that keeps times cannot keep.
        if log.stat().st_size == 0 or path.stat().st_ctime_ns < log.stat().st_ctime_ns:
            return
    except FileNotFoundError:
        return
    with closing(opened(path, at_rest=False)) as connection:
        problems = (*_size_by_the_log(connection, path), *problems_of(connection))
    if problems:
        raise LedgerDamaged(
            f"{path} and {log} do not belong together ({problems[0]}): a copy was put over a ledger that had not been "
            "closed; put a backup back with `warmup backup restore FILE`"
        )


def _size_by_the_log(connection: sqlite3.Connection, path: Path) -> Iterator[str]:
    """A problem where the log's last commit says another number of pages than the file's own header does."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    # https://sqlite.org/walformat.html: the index SQLite has just made of the log begins with how many valid frames
    # there are and how many pages the last of them says, at 16 and 20.
    with path.with_name(path.name + "-shm").open("rb") as index:
        frames, said = struct.unpack("=II", index.read(24)[16:])
    if frames and said != pages:
        yield f"{pages} pages, and {said} by the log"


def _inspect_server(database: Database) -> tuple[str, ...]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from warmup.ledger import tables_said  # noqa: F401 (the rest of the tables)
    from warmup.ledger.tables import metadata

    engine = engine_of(database, Hand.READER)
    try:
        with in_our_words(database), engine.begin() as connection:
            ours = {"include_name": _is_ours}
            found = compare_metadata(MigrationContext.configure(connection, opts=ours), metadata)
            made = set(connection.exec_driver_sql(_QUEUE_PARTS).scalars())
            return (
                *(f"the tables are not as this program makes them: {difference}" for difference in found),
                *(f"the queue of a cluster lacks {part}" for part in sorted(QUEUE_PARTS - made)),
            )
    finally:
        engine.dispose()


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or name is None or not name.startswith(QUEUE_PREFIX)


def copy_aside(path: Path, revision: str) -> Path:
    """A copy of the ledger beside it, named for the `revision` it has; of earlier ones the newest few stay.

    LedgerDamaged, LedgerError: disk.
    """
    copy = path.with_name(f"{path.name}.before-{HEAD}-was-{revision}")
    copy_ledger(path, copy, overwrite=True)
    copies = path.parent.glob(f"{glob.escape(path.name)}.before-*-was-*[0-9]")
    for old in sorted(copies, key=lambda each: each.stat().st_mtime_ns, reverse=True)[KEPT_COPIES:]:
        old.unlink(missing_ok=True)
    return copy


def migrate(database: Database, direction: str, revision: str) -> None:
    """Run the scripts "upgrade" or "downgrade" to `revision`, in one transaction. LedgerError."""
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
