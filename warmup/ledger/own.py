"""The operator's own traffic: when each mailbox was read for it, and the instants of what it sent."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.cursors import Cursor, put_cursor, read_cursors
from warmup.ledger.prepared import Prepared
from warmup.ledger.store import Store
from warmup.ledger.tables import mailboxes, own_messages, own_readings
from warmup.policy.mailbox import MailboxId


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMessage:
    """A message in Sent that is none of ours: its UID and when it was filed. Nothing else of it is kept."""

    uid: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReading:
    """One attempt to read a mailbox's own traffic."""

    at: datetime
    ok: bool
    error: str | None


class OwnWriter:
    """Writes `own_readings` and `own_messages`, and the cursor of the folder read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(
        self, mailbox_id: MailboxId, messages: Sequence[OwnMessage], *, cursor: Cursor, now: datetime
    ) -> int:
        """Keep a good reading of `cursor.folder` with what it found, in one transaction; the number of new messages."""
        return await self._store.write(_record, mailbox_id, tuple(messages), cursor, now=now)

    async def none_to_read(self, mailbox_id: MailboxId, *, now: datetime) -> None:
        """Keep that there is no folder to read: the server files no copies of what is sent."""
        await self._store.write(_reading, mailbox_id, now=now, error=None)

    async def failed(self, mailbox_id: MailboxId, error: str, *, now: datetime) -> None:
        """Keep that a reading failed: after a while it holds the mailbox."""
        await self._store.write(_reading, mailbox_id, now=now, error=error)

    async def cursor(self, mailbox_id: MailboxId, folder: str) -> Cursor | None:
        """How far the folder was read."""
        return (await self._store.read_together(read_cursors, mailbox_id)).get(folder)

    async def last_good(self, mailbox_id: MailboxId) -> datetime | None:
        """When the mailbox was last read for its own traffic with success."""
        return await self._store.read_together(read_last_good, mailbox_id)

    async def last(self, mailbox_id: MailboxId) -> OwnReading | None:
        """The last reading, good or not."""
        return await self._store.read(_last, mailbox_id)

    async def counts(self, ids: Collection[MailboxId], *, since: datetime) -> dict[MailboxId, int]:
        """Own messages sent after `since`, of those of the mailboxes that were ever read with success."""
        return await self._store.read(_counts, tuple(ids), since)

    async def instants(
        self, ids: Collection[MailboxId], *, since: datetime, until: datetime
    ) -> dict[MailboxId, tuple[datetime, ...]]:
        """When each of the mailboxes sent its own messages, after `since` and before `until`, in order."""
        return await self._store.read(_instants, tuple(ids), since, until)

    async def count(self, mailbox_id: MailboxId, *, since: datetime) -> int:
        """Own messages sent after `since`."""
        return await self._store.read(_count, mailbox_id, since)


def _record(
    connection: Connection, mailbox_id: MailboxId, messages: tuple[OwnMessage, ...], cursor: Cursor, *, now: datetime
) -> int:
    who = connection.execute(
        select(mailboxes.c.account_id, mailboxes.c.domain).where(mailboxes.c.id == mailbox_id)
    ).one()
    _forget_renumbered(connection, mailbox_id, messages, cursor)
    place = {"mailbox_id": mailbox_id, "folder": cursor.folder, "uidvalidity": cursor.uidvalidity}
    added = 0
    for message in messages:
        row = upsert(own_messages).values(
            uid=message.uid, at=message.at, account_id=who.account_id, domain=who.domain, **place
        )
        added += connection.execute(row.on_conflict_do_nothing()).rowcount
    put_cursor(connection, mailbox_id, cursor)
    _reading(connection, mailbox_id, now=now, error=None)
    return added


def _forget_renumbered(
    connection: Connection, mailbox_id: MailboxId, messages: tuple[OwnMessage, ...], cursor: Cursor
) -> None:
    # A new UIDVALIDITY numbers the same messages anew: those read again would count twice.
    if messages:
        connection.execute(
            delete(own_messages).where(
                own_messages.c.mailbox_id == mailbox_id,
                own_messages.c.folder == cursor.folder,
                own_messages.c.uidvalidity != cursor.uidvalidity,
                own_messages.c.at >= min(message.at for message in messages),
            )
        )


def _reading(connection: Connection, mailbox_id: MailboxId, *, now: datetime, error: str | None) -> None:
    connection.execute(insert(own_readings).values(mailbox_id=mailbox_id, at=now, ok=error is None, error=error))


_LAST_GOOD: Final = Prepared(
    select(own_readings.c.at)
    .where(own_readings.c.mailbox_id == bindparam("mailbox"), own_readings.c.ok)
    .order_by(own_readings.c.at.desc())
    .limit(1)
)


def read_last_good(connection: Connection, mailbox_id: MailboxId) -> datetime | None:
    """When the mailbox was last read with success."""
    found = _LAST_GOOD.first(connection, {"mailbox": mailbox_id})
    return None if found is None else found["at"]


def _last(connection: Connection, mailbox_id: MailboxId) -> OwnReading | None:
    query = (
        select(own_readings)
        .where(own_readings.c.mailbox_id == mailbox_id)
        .order_by(own_readings.c.at.desc(), own_readings.c.id.desc())
    )
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else OwnReading(at=row.at, ok=row.ok, error=row.error)


def _count(connection: Connection, mailbox_id: MailboxId, since: datetime) -> int:
    recent = (own_messages.c.mailbox_id == mailbox_id) & (own_messages.c.at > since)
    return connection.execute(select(func.count()).select_from(own_messages).where(recent)).scalar_one()


def _counts(connection: Connection, ids: tuple[MailboxId, ...], since: datetime) -> dict[MailboxId, int]:
    well = exists().where(own_readings.c.mailbox_id == mailboxes.c.id, own_readings.c.ok)
    read = connection.execute(select(mailboxes.c.id).where(mailboxes.c.id.in_(ids), well)).scalars().all()
    recent = own_messages.c.mailbox_id.in_(ids) & (own_messages.c.at > since)
    query = select(own_messages.c.mailbox_id, func.count().label("n")).where(recent).group_by(own_messages.c.mailbox_id)
    found = {row.mailbox_id: row.n for row in connection.execute(query)}
    return {MailboxId(mailbox_id): found.get(mailbox_id, 0) for mailbox_id in read}


def _instants(
    connection: Connection, ids: tuple[MailboxId, ...], since: datetime, until: datetime
) -> dict[MailboxId, tuple[datetime, ...]]:
    between = (own_messages.c.at > since) & (own_messages.c.at < until)
    query = (
        select(own_messages.c.mailbox_id, own_messages.c.at)
        .where(own_messages.c.mailbox_id.in_(ids), between)
        .order_by(own_messages.c.mailbox_id, own_messages.c.at)
    )
    found: dict[MailboxId, list[datetime]] = {}
    for row in connection.execute(query):
        found.setdefault(MailboxId(row.mailbox_id), []).append(row.at)
    return {mailbox_id: tuple(instants) for mailbox_id, instants in found.items()}
