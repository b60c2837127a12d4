"""The ledger that a configuration names: opened, and held by the one daemon or shared by a cluster's nodes."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta

from warmup.config import Settings
from warmup.ledger.database import Database
from warmup.ledger.ledger import Ledger
from warmup.ledger.lock import DaemonLock, Holder, holder
from warmup.ledger.session_lock import SessionLock, Share, Timepiece, holder_on_server
from warmup.ledger.store import Guard


def database_of(settings: Settings) -> Database:
    """Where the ledger lies; LedgerError for a URL that is none."""
    return Database.of(settings.ledger.url, beside=settings.beside_ledger(""))


def ledger_of(settings: Settings, *, guard: Guard | None = None) -> Ledger:
    """The open ledger. Raises what `Ledger.open` raises."""
    return Ledger.open(settings.ledger.url, beside=settings.beside_ledger(""), guard=guard)


def hold(settings: Settings, *, now: datetime, has_credential: bool = False) -> DaemonLock | SessionLock:
    """The one daemon's lock; LedgerBusy naming who has it, LedgerError where it cannot be believed or reached."""
    return hold_database(database_of(settings), now=now, has_credential=has_credential)


def hold_database(database: Database, *, now: datetime, has_credential: bool = False) -> DaemonLock | SessionLock:
    """The same, for a ledger that no configuration names."""
    if database.file is None:
        return SessionLock.acquire(database, now=now, has_credential=has_credential)
    return DaemonLock.acquire(database.file, now=now, has_credential=has_credential)


LEAST_TOLERANCE = timedelta(seconds=2)
"""An answer of the server takes so long at times, and says nothing about clocks then."""


def hold_among_nodes(
    settings: Settings, held: ExitStack, *, wall: Callable[[], datetime], has_credential: bool = False
) -> SessionLock:
    """A node's share of the ledger, for as long as `held`; LedgerBusy naming a daemon that has it alone.

    Its folder is its own: what lies beside the ledger (the high-water mark, how its clock ran) is one node's.
    """
    database, now = database_of(settings), wall()
    held.enter_context(DaemonLock.acquire(database.beside, now=now, has_credential=has_credential))
    # Two clocks may each be so far from the server's, and are then still within the walls' margin of each other.
    tolerance = timedelta(seconds=settings.limits.margin_seconds) / 2 / settings.rehearsal.speed
    timepiece = Timepiece(wall=wall, tolerance=max(tolerance, LEAST_TOLERANCE))
    lock = SessionLock.acquire(
        database, now=now, has_credential=has_credential, share=Share.AMONG_NODES, timepiece=timepiece
    )
    held.callback(lock.release)
    return lock


def guard_of(lock: DaemonLock | SessionLock) -> Guard | None:
    """What each write asks of the lock: a file's is held as long as the process, a server's while it is connected."""
    return lock.guard if isinstance(lock, SessionLock) else None


def holder_of(settings: Settings) -> Holder | None:
    """The daemon that holds the ledger now; None where none does."""
    database = database_of(settings)
    return holder_on_server(database) if database.file is None else holder(database.file)
