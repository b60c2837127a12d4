"""Who this ledger is: its token and incarnation, the sealed identity key, the rehearsal's anchor, and a restore's hold.

Everything seeded is seeded by `Installation.seed`, so that a ledger put back from a backup draws anew. A restored
ledger sends nothing for 24 hours and until every mailbox that receives was read once: what was sent after the backup
is then out of every window, and what landed is known.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, exists, func, insert, select, update

from warmup.clock import NO_LEAPS, Leaps
from warmup.ledger.errors import LedgerDamaged, LedgerFailed
from warmup.ledger.highwater import HighWater, Mark
from warmup.ledger.resealing import leave_no_trace
from warmup.ledger.room import prove_room
from warmup.ledger.slots import lapse_everything
from warmup.ledger.store import Store
from warmup.ledger.tables import (
    attempts,
    installation,
    lapses,
    looks,
    mailboxes,
    outcomes,
    sightings,
    slots,
    standings,
)
from warmup.policy.mailbox import MailboxId, Role

RESTORE_HOLD = timedelta(hours=24)
_ASK_AGAIN = timedelta(minutes=1)
_RESTORED = "restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Where a rehearsal's clock hangs: at real instant `wall` it was `ledger` in the ledger's time, at `speed`."""

    wall: datetime
    ledger: datetime
    speed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The ledger's own facts. `restored_at` and `held_until` are None where no restore holds sending."""

    token: str
    incarnation: int
    identity_key_sealed: bytes | None
    anchor: Anchor | None
    created_at: datetime
    last_attempt: int
    restored_at: datetime | None
    held_until: datetime | None

    @property
    def seed(self) -> str:
        """What every seeded draw starts from."""
        return f"{self.token}.{self.incarnation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A restore was found: the new incarnation, how many due slots lapsed, and until when nothing is sent at least."""

    incarnation: int
    lapsed: int
    held_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A restore noticed at `since` holds sending: `until` at least, and until `unread` more mailboxes were read."""

    since: datetime
    until: datetime
    unread: int


class InstallationWriter:
    """Writes the one row of `installation`."""

    def __init__(self, store: Store, high_water: HighWater) -> None:
        self._store = store
        self._high_water = high_water

    async def establish(self, *, now: datetime, token: str, identity_key_sealed: bytes | None = None) -> Installation:
        """The installation, made with `token` (unguessable text) where the ledger is new; else as it is."""
        return await self._store.write(_establish, now=now, token=token, key=identity_key_sealed)

    async def get(self) -> Installation:
        """The installation; LedgerDamaged where it was never established."""
        return await self._store.read(read_installation)

    async def set_identity_key(self, sealed: bytes) -> None:
        """Keep the sealed key that signs message ids."""
        await self._store.write(_set, identity_key_sealed=sealed)

    async def reseal_identity_key(self, before: bytes, after: bytes) -> bool:
        """Put `after` in the place of `before`; False, and nothing done, where another is kept by now."""
        return await self._store.write(_reseal_identity_key, before, after)

    async def set_anchor(self, anchor: Anchor | None) -> None:
        """Keep where the rehearsal's clock hangs; None: the ledger lives in wall time."""
        await self._store.write(
            _set,
            anchor_wall=anchor.wall if anchor else None,
            anchor_ledger=anchor.ledger if anchor else None,
            speed=anchor.speed if anchor else 1.0,
        )

    async def latest(self) -> datetime | None:
        """The latest instant the ledger recorded: the clock must not go before it. None in a new ledger."""
        return await self._store.read(_latest)

    async def check_restore(self, *, now: datetime) -> Restored | None:
        """Look whether the ledger went back behind its high-water mark, and if so lapse what is due and hold sending.

        Asked once at start, under the daemon's lock and before recovery. A missing or unreadable mark beside a ledger
        that has attempts is taken for a restore: doubt brakes. A server's ledger is shared by many machines, each with
        a mark of its own: there a mark that is missing or behind says that others went on.
        """
        mark = await self._store.aside(self._high_water.read)
        restored = await self._store.write(_check_restore, mark, now=now)
        await self._raise_mark()
        return restored

    @property
    def trouble(self) -> str | None:
        """Why the last write failed; None where it did not."""
        return None if self._store.trouble is None else str(self._store.trouble)

    async def still_in_trouble(self) -> str | None:
        """Why nothing can be written now, or None. After a write that failed it is tried again, durably."""
        if self._store.trouble is None:
            return None
        try:
            await self._store.aside(prove_room, self._store.database.beside)
            await self._store.write(_write_again)
            await self._raise_mark()
        except LedgerFailed as failure:
            return str(failure)
        return None

    async def _raise_mark(self) -> None:
        known = await self.get()
        await self._store.aside(self._high_water.raise_to, Mark(known.incarnation, known.last_attempt))

    async def never_tried(self, message_ids: Collection[str]) -> bool:
        """True where one of them is a slot's that this incarnation might still send, or let lapse, and never tried."""
        return await self._store.read(_never_tried, frozenset(message_ids))

    async def begin_again(self, *, now: datetime) -> Restored:
        """Take the ledger for restored, as `check_restore` does where the high-water mark says so."""
        restored = await self._store.write(_begin_again, now=now)
        await self._raise_mark()
        return restored

    async def restore_to_come(self) -> bool:
        """True where the ledger went back and `check_restore` has not been asked since; changes nothing."""
        # The mark first: it never gets ahead of the ledger, so one read earlier is not ahead of one read later.
        mark = await asyncio.to_thread(self._high_water.read)
        return not is_behind(mark, await self.get(), shared=self._store.database.file is None)

    async def restored(self, *, now: datetime) -> Hold | None:
        """What a restore holds sending for, or None; unlike `hold` it changes nothing."""
        return await self._store.read(_hold_of_restore, now=now, leaps=NO_LEAPS)

    async def accept_restore(self) -> bool:
        """Lift a restore's hold at once, by the operator's word; False where there was none."""
        return await self._store.write(_accept)

    async def hold(self, *, now: datetime) -> Hold | None:
        """What a restore still holds sending for, or None. Lifts it for good once its time and its looks are done."""
        return await self._store.write(hold_of_restore, now=now)


def read_installation(connection: Connection) -> Installation:
    """The installation as this transaction sees it."""
    row = connection.execute(select(installation)).mappings().one_or_none()
    if row is None:
        raise LedgerDamaged("the ledger was never established; run `warmup init`")
    return _value(row)


def hold_of_restore(connection: Connection, *, now: datetime, leaps: Leaps = NO_LEAPS) -> Hold | None:
    """See `InstallationWriter.hold`; the claim asks it inside its own transaction."""
    hold = _hold_of_restore(connection, now=now, leaps=leaps)
    if hold is None:
        _set(connection, restored_at=None, held_until=None)
    return hold


def _hold_of_restore(connection: Connection, *, now: datetime, leaps: Leaps) -> Hold | None:
    row = connection.execute(select(installation.c.restored_at, installation.c.held_until)).one_or_none()
    if row is None or row.restored_at is None:
        return None
    unread = len(_unread_since(connection, row.restored_at))
    # What was sent after the backup leaves the servers' 24 hours by elapsed time.
    until = leaps.after(row.restored_at, row.held_until - row.restored_at)
    if now < until:
        return Hold(since=row.restored_at, until=until, unread=unread)
    if unread:
        return Hold(since=row.restored_at, until=now + _ASK_AGAIN, unread=unread)
    return None


def unread_of_restore(connection: Connection) -> tuple[MailboxId, ...]:
    """The mailboxes a restore's hold waits for: they receive and were not read since. None where nothing is held."""
    restored_at = connection.execute(select(installation.c.restored_at)).scalar()
    return () if restored_at is None else _unread_since(connection, restored_at)


def _unread_since(connection: Connection, instant: datetime) -> tuple[MailboxId, ...]:
    receives = [role.value for role in Role if role.receives]
    seen = exists().where(looks.c.mailbox_id == mailboxes.c.id, looks.c.at >= instant, looks.c.ok)
    query = select(mailboxes.c.id).where(
        mailboxes.c.removed_at.is_(None),
        mailboxes.c.paused_by.is_(None),
        mailboxes.c.verified_at.is_not(None),
        mailboxes.c.role.in_(receives),
        ~seen,
    )
    return tuple(MailboxId(mailbox_id) for mailbox_id in connection.execute(query).scalars())


def _establish(connection: Connection, *, now: datetime, token: str, key: bytes | None) -> Installation:
    if connection.execute(select(installation.c.id)).first() is None:
        connection.execute(
            insert(installation).values(
                id=1,
                token=token,
                incarnation=1,
                identity_key_sealed=key,
                speed=1.0,
                created_at=now,
                last_attempt=0,
            )
        )
    return read_installation(connection)


def _write_again(connection: Connection) -> None:
    _set(connection, last_attempt=installation.c.last_attempt)


def _set(connection: Connection, /, **columns: object) -> None:
    connection.execute(update(installation).values(**columns))


def _reseal_identity_key(connection: Connection, before: bytes, after: bytes) -> bool:
    leave_no_trace(connection)
    changed = update(installation).where(installation.c.identity_key_sealed == before).values(identity_key_sealed=after)
    return connection.execute(changed).rowcount > 0


def _check_restore(connection: Connection, mark: Mark | None, *, now: datetime) -> Restored | None:
    known = read_installation(connection)
    if is_behind(mark, known, shared=is_shared(connection)):
        return None
    return _begin_again(connection, now=now, at_least=mark.incarnation if mark else 0)


def _begin_again(connection: Connection, *, now: datetime, at_least: int = 0) -> Restored:
    incarnation = max(read_installation(connection).incarnation, at_least) + 1
    lapsed = lapse_everything(connection, now=now, reason=_RESTORED)
    held_until = now + RESTORE_HOLD
    _set(connection, incarnation=incarnation, restored_at=now, held_until=held_until)
    return Restored(incarnation=incarnation, lapsed=lapsed, held_until=held_until)


def _never_tried(connection: Connection, message_ids: frozenset[str]) -> bool:
    tried = exists().where(attempts.c.slot_id == slots.c.id)
    # What an earlier return let lapse is known to have been sent in the time that was lost.
    known = exists().where(lapses.c.slot_id == slots.c.id, lapses.c.reason == _RESTORED)
    query = select(slots.c.id).where(slots.c.message_id.in_(message_ids), ~tried, ~known).limit(1)
    return connection.execute(query).first() is not None


def is_shared(connection: Connection) -> bool:
    """True for a server's ledger: many machines know it, each with a mark of its own."""
    return connection.dialect.name == "postgresql"


def is_behind(mark: Mark | None, known: Installation, *, shared: bool) -> bool:
    """True where the ledger may be ahead of its mark: a crash between the two writes, or a ledger never used."""
    if shared:
        return mark is None or mark <= Mark(known.incarnation, known.last_attempt)
    if mark is None:
        return known.last_attempt == 0 and known.incarnation == 1
    return mark.incarnation == known.incarnation and mark.attempt <= known.last_attempt


def _accept(connection: Connection) -> bool:
    lifted = connection.execute(
        update(installation).where(installation.c.restored_at.is_not(None)).values(restored_at=None, held_until=None)
    )
    return lifted.rowcount > 0


def _latest(connection: Connection) -> datetime | None:
    queries = (
        select(installation.c.created_at),
        select(func.max(attempts.c.claimed_at)),
        select(func.max(outcomes.c.at)),
        select(func.max(sightings.c.at)),
        select(func.max(standings.c.at)),
        *(select(column).order_by(column.table.c.id.desc()).limit(1) for column in (slots.c.planned_at, looks.c.at)),
    )
    instants = [connection.execute(query).scalar() for query in queries]
    return max((instant for instant in instants if instant is not None), default=None)


def _value(row: RowMapping) -> Installation:
    anchor = None
    if row["anchor_wall"] is not None and row["anchor_ledger"] is not None:
        anchor = Anchor(wall=row["anchor_wall"], ledger=row["anchor_ledger"], speed=row["speed"])
    return Installation(
        token=row["token"],
        incarnation=row["incarnation"],
        identity_key_sealed=row["identity_key_sealed"],
        anchor=anchor,
        created_at=row["created_at"],
        last_attempt=row["last_attempt"],
        restored_at=row["restored_at"],
        held_until=row["held_until"],
    )
