"""How history leaves: a small batch a transaction, so that nobody waits for it, and nothing that is still asked for.

A message goes with all its rows, and with its whole thread, so that an answer never lacks what it answers. A thread
stays while any of it is young, due, in flight or awaited. What its messages came to is added to `lane_totals` and
`bygones` in the transaction that deletes them. The last row of a kind stays where somebody asks for the last. Accounts,
mailboxes and suppressions are never touched. Deleted rows leave pages that the file uses again: it stops growing, and
is not cut.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, false, func, or_, select, tuple_

from warmup.ledger.belongings import forget_messages
from warmup.ledger.store import Store
from warmup.ledger.sums import keep_own, keep_sums
from warmup.ledger.tables import (
    days,
    due_slots,
    flights,
    holds,
    installation,
    kept_uses,
    lane_days,
    looks,
    mailboxes,
    own_messages,
    own_readings,
    retirements,
    slots,
    standing_heads,
    standings,
    watches,
)
from warmup.ledger.tables_kept import lane_totals
from warmup.ledger.totals import keep_totals
from warmup.policy.retention import Horizons

BATCH = 200
"""Rows, or messages, a transaction."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows of a table one transaction deleted; `messages` counts slots, whose other rows went with them."""

    table: str
    rows: int


class RetentionWriter:
    """Deletes what is past its horizon; writes `lane_totals` and `bygones`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def forget(self, beyond: Horizons, *, batch: int = BATCH) -> AsyncIterator[Forgotten]:
        """Delete everything that is past its horizon, one transaction after the other: each says what it deleted."""
        for table, before, spared in await self._store.read(_by_id, beyond):
            after = 0
            while (page := await self._store.write(_rows, table, before, spared, after, batch)) is not None:
                after, rows = page
                yield Forgotten(table.name, rows)
        async for told in self._own(beyond.upkeep, batch):
            yield told
        place = (date.min, 0)
        while (found := await self._store.write(_messages, beyond.messages, place, batch)) is not None:
            place, rows = found
            yield Forgotten("messages", rows)
        for table in (lane_days, days, lane_totals):
            while rows := await self._store.write(_dates, table, beyond.sums, batch):
                yield Forgotten(table.name, rows)

    async def _own(self, before: datetime, batch: int) -> AsyncIterator[Forgotten]:
        for mailbox_id, zone in await self._store.read(_with_own, before):
            while rows := await self._store.write(_own_messages, mailbox_id, zone, before, batch):
                yield Forgotten(own_messages.name, rows)


def _by_id(connection: Connection, beyond: Horizons) -> tuple[tuple[Table, datetime, ColumnElement[bool]], ...]:
    """The tables whose ids rise with their instants, before when their rows may go, and which of those stay."""
    before, judged = beyond.upkeep, datetime.combine(beyond.messages, time(), tzinfo=UTC)
    restored_at = connection.execute(select(installation.c.restored_at)).scalar()
    last = select(func.max(looks.c.id)).scalar_subquery()
    same_hold = ("account_id", "provider", "domain", "server")
    return (
        # A restore waits until everybody was read since: those looks stay as long as it does.
        (looks, min(before, restored_at or before), looks.c.id == last),
        (own_readings, before, ~_is_succeeded()),
        (
            holds,
            before,
            or_(holds.c.until >= before, ~_is_followed(holds, *same_hold)),
        ),
        (kept_uses, before, false()),
        (standings, judged, exists().where(standing_heads.c.standing_id == standings.c.id)),
        (retirements, judged, ~_is_followed(retirements, "kind", "name", before=judged)),
    )


def _is_followed(table: Table, *whose: str, before: datetime | None = None) -> ColumnElement[bool]:
    """True where a later row is about the same: it is not the last, or not the last before an instant."""
    later = table.alias("later")
    found = exists().where(later.c.id > table.c.id, *(later.c[name] == table.c[name] for name in whose))
    return found if before is None else found.where(later.c.at < before)


def _is_succeeded() -> ColumnElement[bool]:
    """True for a reading that is neither its mailbox's last nor its last good one."""
    later = own_readings.alias("later")
    whose = and_(later.c.mailbox_id == own_readings.c.mailbox_id, later.c.id > own_readings.c.id)
    return or_(exists().where(whose, later.c.ok), and_(~own_readings.c.ok, exists().where(whose)))


def _rows(
    connection: Connection, table: Table, before: datetime, spared: ColumnElement[bool], after: int, batch: int
) -> tuple[int, int] | None:
    """Delete the old ones of the next rows by id: how far it came, and how many went; None where the old ones end."""
    page = connection.execute(
        select(table.c.id, table.c.at).where(table.c.id > after).order_by(table.c.id).limit(batch)
    ).all()
    old = [row.id for row in page if row.at < before]
    if not old:
        return None
    gone = connection.execute(delete(table).where(table.c.id.in_(old), ~spared)).rowcount
    return old[-1], gone


def _with_own(connection: Connection, before: datetime) -> tuple[tuple[int, str], ...]:
    old = exists().where(own_messages.c.mailbox_id == mailboxes.c.id, own_messages.c.at < before)
    query = select(mailboxes.c.id, mailboxes.c.timezone).where(old).order_by(mailboxes.c.id)
    return tuple((row.id, row.timezone) for row in connection.execute(query))


def _own_messages(connection: Connection, mailbox_id: int, zone: str, before: datetime, batch: int) -> int:
    key = (own_messages.c.folder, own_messages.c.uidvalidity, own_messages.c.uid)
    mine = own_messages.c.mailbox_id == mailbox_id
    old = select(*key, own_messages.c.at).where(mine, own_messages.c.at < before).limit(batch)
    page = connection.execute(old).all()
    if page:
        keep_own(connection, mailbox_id, [row.at.astimezone(ZoneInfo(zone)).date() for row in page])
        connection.execute(delete(own_messages).where(mine, tuple_(*key).in_([tuple(row[:3]) for row in page])))
    return len(page)


def _messages(
    connection: Connection, before: date, after: tuple[date, int], batch: int
) -> tuple[tuple[date, int], int] | None:
    """Delete the threads of the next old slots by date, where they are at rest; None where the old ones end."""
    later = or_(slots.c.date > after[0], and_(slots.c.date == after[0], slots.c.id > after[1]))
    query = select(slots.c.id, slots.c.date, slots.c.thread_id).where(slots.c.date < before, later)
    page = connection.execute(query.order_by(slots.c.date, slots.c.id).limit(batch)).all()
    if not page:
        return None
    threads = {row.thread_id for row in page}
    alive = select(slots.c.thread_id).where(slots.c.thread_id.in_(threads), or_(slots.c.date >= before, _is_awaited()))
    threads -= set(connection.execute(alive).scalars())
    ids = connection.execute(select(slots.c.id).where(slots.c.thread_id.in_(threads))).scalars().all()
    if ids:
        keep_sums(connection, ids)
        keep_totals(connection, ids)
        forget_messages(connection, ids)
    return (page[-1].date, page[-1].id), len(ids)


def _is_awaited() -> ColumnElement[bool]:
    """True for a slot that is due, in flight, or whose message is looked for."""
    return or_(*(exists().where(table.c.slot_id == slots.c.id) for table in (due_slots, flights, watches)))


def _dates(connection: Connection, table: Table, before: date, batch: int) -> int:
    key: tuple[Any, ...] = tuple(table.primary_key.columns)
    page = connection.execute(select(*key).where(table.c.date < before).limit(batch)).all()
    if page:
        connection.execute(delete(table).where(tuple_(*key).in_([tuple(row) for row in page])))
    return len(page)
