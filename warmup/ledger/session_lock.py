"""Who holds a ledger on a server: an advisory lock that lives as long as a connection does.

A daemon of one machine holds it alone, the nodes of a cluster share it: either keeps the other away. The server lets go
of it the moment that connection is lost, in whatever way, and another daemon may take over. So the lock is asked after
inside every write (`guard`), before anything is read or written: a daemon that lost it takes it again or writes
nothing. A daemon that took over waits, for its first write, until ours is whole.

Nodes stamp what they do by clocks of their own. One whose clock is further from the server's than the walls' margin
allows for writes nothing until it is set.
"""

import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from warmup.ledger.database import Database
from warmup.ledger.engines import CONNECT_SECONDS, DAEMON_LOCK, PATIENCE, SERVERS_PATIENCE, failed, options_of
from warmup.ledger.errors import LedgerBusy, LedgerFailed
from warmup.ledger.lock import Holder

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection

# pg_locks shows a number of 64 bits as two of 32; objsubid 1 says so.
_LOCK = {"high": DAEMON_LOCK >> 32, "low": DAEMON_LOCK & 0xFFFFFFFF}
_HELD = """
    SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %(high)s AND objid = %(low)s
        AND objsubid = 1 AND granted AND pid = %(pid)s), clock_timestamp()
"""
_HOLDER = """
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'
        AND classid = %(high)s AND objid = %(low)s AND objsubid = 1 AND granted AND datname = current_database()
        ORDER BY backend_start LIMIT 1
"""

# An application's name has 63 bytes on a server; a host's may be longer than all of it.
_NAME = re.compile(r"warmup (daemon|node) (?P<pid>\d+) (?P<host>\S+) (?P<since>\S+) (?P<key>[cf])")
_HOST_LENGTH = 18

# A server takes a connection that ends out of its list before it lets go of what that held: nobody holds it then.
_WAITS_SECONDS = (0.0, 0.01, 0.03, 0.1, 0.3)


@unique
class Share(StrEnum):
    """How a ledger is held."""

    ALONE = "daemon"
    AMONG_NODES = "node"

    @property
    def asks(self) -> str:
        """The server's function that takes the lock."""
        return "pg_try_advisory_lock" if self is Share.ALONE else "pg_try_advisory_lock_shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timepiece:
    """This machine's clock, and how far it may be from the server's."""

    wall: Callable[[], datetime]
    tolerance: timedelta

    def trouble(self, server: datetime) -> str | None:
        """What is wrong with our clock where the server's says `server`; None: nothing."""
        ahead = self.wall() - server
        if abs(ahead) <= self.tolerance:
            return None
        apart = f"{abs(ahead).total_seconds():.0f} s {'ahead of' if ahead > timedelta() else 'behind'}"
        return f"this machine's clock is {apart} the database server's; set it, and nothing is sent before"


@dataclass(slots=True)
class SessionLock:
    """Held from `acquire` until `release`, or until the connection is lost."""

    database: Database
    name: str
    share: Share
    timepiece: Timepiece | None
    connection: "psycopg.Connection[Any]"

    @classmethod
    def acquire(
        cls,
        database: Database,
        *,
        now: datetime,
        has_credential: bool = False,
        share: Share = Share.ALONE,
        timepiece: Timepiece | None = None,
    ) -> Self:
        """The lock of the ledger; LedgerBusy naming the holder, LedgerError where the server is away."""
        host = socket.gethostname()[:_HOST_LENGTH]
        since = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        name = f"warmup {share} {os.getpid()} {host} {since} {'c' if has_credential else 'f'}"
        return cls(database, name, share, timepiece, _taken(database, name, share))

    def guard(self, connection: "Connection") -> bool:
        """Ask after the lock inside a write; True where it was lost and taken again. LedgerBusy, LedgerFailed."""
        pid = self.connection.info.backend_pid
        is_held, server = connection.exec_driver_sql(_HELD, {"pid": pid, **_LOCK}).one()
        if self.timepiece is not None and (trouble := self.timepiece.trouble(server)) is not None:
            raise LedgerFailed(f"{self.database}: {trouble}")
        if is_held:
            return False
        self.connection.close()
        self.connection = _taken(self.database, self.name, self.share)
        return True

    def release(self) -> None:
        """Let go."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder_on_server(database: Database) -> Holder | None:
    """Who holds the ledger now, or has longest; None where nobody does. LedgerError where the server is away."""
    import psycopg

    connection = _connected(database, "warmup")
    try:
        return _holder(connection)
    except psycopg.Error as failure:
        raise failed(database, str(failure)) from failure
    finally:
        connection.close()


def _taken(database: Database, name: str, share: Share) -> "psycopg.Connection[Any]":
    import psycopg

    connection = _connected(database, name)
    try:
        for wait in _WAITS_SECONDS:
            time.sleep(wait)
            (got,) = connection.execute(f"SELECT {share.asks}(%s)".encode(), [DAEMON_LOCK]).fetchone() or (False,)
            if got:
                return connection
            if (named := _holder(connection)) is not None:
                break
        busy = LedgerBusy(str(named or "unknown"))
    except psycopg.Error as failure:
        connection.close()
        raise failed(database, str(failure)) from failure
    connection.close()
    raise busy


def _connected(database: Database, name: str) -> "psycopg.Connection[Any]":
    import psycopg

    where = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return psycopg.connect(
            where,
            autocommit=True,
            application_name=name,
            connect_timeout=CONNECT_SECONDS,
            options=options_of(SERVERS_PATIENCE),
            **PATIENCE,
        )
    except psycopg.Error as failure:
        raise failed(database, str(failure)) from failure


def _holder(connection: "psycopg.Connection[Any]") -> Holder | None:
    row = connection.execute(_HOLDER, _LOCK).fetchone()
    said = _NAME.fullmatch(row[0]) if row else None
    if said is None:
        return Holder(host="unknown", pid=0, since="unknown") if row else None
    return Holder(host=said["host"], pid=int(said["pid"]), since=said["since"], has_credential=said["key"] == "c")
