"""How a ledger's database is opened, and what it means when it says no.

Both databases keep the same promises. A *writer's* transaction is the only one there is: SQLite takes the file's lock
at its start (BEGIN IMMEDIATE), PostgreSQL an advisory lock of the database, so what a transaction reads cannot change
under it, and counting before inserting is safe. It is durable once it is committed (synchronous=FULL,
synchronous_commit=on). A *reader's* sees one snapshot and writes nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, exc

from warmup.ledger.database import Database
from warmup.ledger.errors import LedgerDamaged, LedgerError, LedgerFailed

# How long a write waits for another process (a verb beside the daemon) before it gives up.
BUSY_SECONDS = 30.0
CONNECT_SECONDS = 10

# A peer that is gone without a word is noticed within a minute, by us and by the server: it holds the locks of whoever
# was cut off from it, and would keep them for hours.
PATIENCE: dict[str, Any] = {
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
SERVERS_PATIENCE = {
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}

# Nobody else can write while a transaction is open: one whose program was stopped or cut off in its midst is ended
# before the others give up waiting for it.
IDLE_SECONDS = 20.0

# Advisory locks are numbers of a database: whoever writes, and the daemons.
WRITER_LOCK = 0x7761_726D_0001
DAEMON_LOCK = 0x7761_726D_0002


class Hand(StrEnum):
    """What a connection is for."""

    WRITER = "writer"
    READER = "reader"


def engine_of(database: Database, hand: Hand, *, durable: bool = True) -> Engine:
    """An engine of one connection; not `durable`, it outlives a killed process but not a power cut."""
    return (
        _sqlite(database, hand, durable=durable)
        if database.file is not None
        else _postgres(database, hand, durable=durable)
    )


# 4 MiB of pages for each of the two connections; the rest of a ledger that grows is the kernel's to keep.
CACHE = "cache_size=-4096"

_ROOM = "cache_size=-49152"
_MANY = 1000


@contextmanager
def many_pages(connection: Connection, mailboxes: int) -> Iterator[None]:
    """48 MiB of pages meanwhile where the work is about many mailboxes.

    A large fleet's plans are read and inserted all over the indexes: with few pages the same ones are read again and
    again.
    """
    if mailboxes < _MANY or connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql(f"PRAGMA {_ROOM}").close()
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA {CACHE}").close()


def _sqlite(database: Database, hand: Hand, *, durable: bool) -> Engine:
    engine = create_engine(
        database.url,
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None},
    )
    begin = "BEGIN IMMEDIATE" if hand is Hand.WRITER else "BEGIN"

    @event.listens_for(engine, "connect")
    def _prepare(connection, _record) -> None:  # type: ignore[no-untyped-def]
        synchronous = f"synchronous={'FULL' if durable else 'OFF'}"
        for pragma in ("journal_mode=WAL", synchronous, "foreign_keys=ON", "temp_store=MEMORY", CACHE):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgres(database: Database, hand: Hand, *, durable: bool) -> Engine:
    settings = {
        "lock_timeout": f"{BUSY_SECONDS:g}s",
        "synchronous_commit": "on" if durable else "off",
        "application_name": f"warmup {hand}",
        **SERVERS_PATIENCE,
    }
    if hand is Hand.WRITER:
        settings["idle_in_transaction_session_timeout"] = f"{IDLE_SECONDS:g}s"
    engine = create_engine(
        database.url,
        isolation_level="READ COMMITTED" if hand is Hand.WRITER else "REPEATABLE READ",
        pool_size=1,
        max_overflow=0,
        # A server that was restarted costs a connection, not a failed transaction.
        pool_pre_ping=True,
        # An insert gives its row's number back, and still has to say whether there was one.
        execution_options={"preserve_rowcount": True},
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "options": options_of(settings),
            **PATIENCE,
        },
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if hand is Hand.WRITER:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
        else:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _storable(_connection, _cursor, statement, parameters, _context, executemany):  # type: ignore[no-untyped-def]
        return statement, [_whole(row) for row in parameters] if executemany else _whole(parameters)

    return engine


def options_of(settings: Mapping[str, str]) -> str:
    """Settings of a session as libpq takes them."""
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())


def _whole(row: Any) -> Any:
    """A row without NUL, which text of PostgreSQL cannot hold and hostile servers send."""
    if not any(isinstance(value, str) and "\0" in value for value in row.values()):
        return row
    return {
        key: value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
        for key, value in row.items()
    }


@contextmanager
def in_our_words(database: Database) -> Iterator[None]:
    """Says what the database says as a LedgerError; a broken constraint passes, for its writer to understand."""
    try:
        yield
    except exc.IntegrityError:
        raise
    except exc.DatabaseError as failure:
        raise failed(database, str(failure.orig)) from failure


def failed(database: Database, text: str) -> LedgerError:
    """What the database's own word means: a damaged file, a disk that is full or not ours, a server that is away."""
    if "malformed" in text or "not a database" in text:
        return LedgerDamaged(f"{database} is damaged ({text}); restore a backup")
    if database.file is not None:
        return LedgerFailed(f"{database}: {text}; look at the disk and its permissions")
    said = " ".join(text.split())
    if "password authentication failed" in said or "does not exist" in said:
        return LedgerFailed(f"{database}: {said}; look at user, password and name in ledger.url")
    return LedgerFailed(f"{database}: {said}; is the server up, and reachable from here?")
