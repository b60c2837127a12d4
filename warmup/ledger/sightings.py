"""What is awaited, where it was seen, and how every look went.

A message that a server may have taken is watched until it is placed, and once more after that; the *first* sighting
is the placement. Sightings and the folder's cursor are one transaction: a message is looked at once, and what was seen
is never lost. A sighting proves delivery, so a slot that was seen never goes again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum, unique
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.columns import UtcDateTime
from warmup.ledger.cursors import Cursor, put_cursor, read_cursors
from warmup.ledger.installation import unread_of_restore
from warmup.ledger.prepared import Prepared, Row
from warmup.ledger.slots import Slot, slot_of
from warmup.ledger.standings import mark_fresh
from warmup.ledger.store import Store
from warmup.ledger.tables import attempts, due_slots, flights, looks, mailboxes, sightings, slots, watches
from warmup.ledger.tables_said import authentications, listens
from warmup.policy.attention import LISTEN_AGAIN, LISTEN_EVERY
from warmup.policy.authentication import Method
from warmup.policy.fate import Placement
from warmup.policy.mailbox import MailboxId, SlotId


@unique
class Stage(StrEnum):
    """FIRST awaits the placement; SECOND looks whether the message was moved since."""

    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A message that is awaited at a mailbox. `since` is when its outcome was known; `sender` is an address."""

    slot: Slot
    sender: str
    since: datetime
    look_at: datetime
    deadline_at: datetime
    stage: Stage

    @property
    def slot_id(self) -> SlotId:
        """The slot it is the message of."""
        return self.slot.id

    @property
    def message_id(self) -> str:
        """The id it was sent with."""
        return self.slot.message_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NextLook:
    """When to look at a message again, and by when it is given up."""

    look_at: datetime
    deadline_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSighting:
    """A message was found, or found missing, or could not be looked for.

    `delivered_at` is the server's INTERNALDATE in ledger time; `message_id` is given where the server rewrote it.
    `again` starts the second stage; None ends the watch. `vouched` is what the receiver said of its authentication.
    """

    slot_id: SlotId
    stage: Stage = Stage.FIRST
    placement: Placement
    folder: str | None = None
    uidvalidity: int | None = None
    uid: int | None = None
    delivered_at: datetime | None = None
    message_id: str | None = None
    again: NextLook | None = None
    vouched: Mapping[Method, str] = field(default_factory=dict)


class SightingWriter:
    """Writes `sightings`, `authentications`, `looks` and the folders' cursors; moves and ends watches and listens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def due(self, now: datetime) -> tuple[MailboxId, ...]:
        """The mailboxes at which a message is to be looked for, by the earliest look.

        Then those whose own messages may still be reported on, and after a restore those that have to be read before
        anything is sent again.
        """
        return await self._store.read(_due, now)

    async def next_look(self) -> datetime | None:
        """When the next look falls due; None where nothing is awaited."""
        return await self._store.read(_next_look)

    async def awaited(self, mailbox_id: MailboxId) -> tuple[Watch, ...]:
        """Everything that is awaited at a mailbox, due or not: one look serves all of it."""
        return await self._store.read_together(_awaited, mailbox_id)

    async def by_message_id(self, ids: Collection[str]) -> dict[str, Slot]:
        """The slots that were sent with these message ids, awaited or not."""
        return await self._store.read(_by_message_id, tuple(ids))

    async def record(
        self,
        mailbox_id: MailboxId,
        sightings: Sequence[NewSighting],
        *,
        now: datetime,
        cursor: Cursor | None = None,
    ) -> tuple[SlotId, ...]:
        """Keep what one look found, and how far it read, in one transaction; the slots of which it was news.

        A second sighting is news where it differs from the first: it says that the message was moved, or came late.
        """
        found = tuple(sightings)
        return await self._store.write_together(
            lambda connection: _record(connection, mailbox_id, found, cursor, now=now)
        )

    async def stop_looking(self, slot_ids: Collection[SlotId]) -> None:
        """Await these no more: a last second look found them where they were."""
        await self._store.write(_stop_looking, tuple(slot_ids))

    async def look_again(self, again: dict[SlotId, NextLook]) -> None:
        """Put off the next look at messages that were not found yet."""
        await self._store.write(_look_again, again)

    async def looked(
        self,
        mailbox_id: MailboxId,
        folder: str,
        *,
        now: datetime,
        error: str | None = None,
        cursor: Cursor | None = None,
    ) -> tuple[Watch, ...]:
        """Keep that a folder was read, or why it could not be, and how far; what is awaited at the mailbox still."""

        def work(connection: Connection) -> tuple[Watch, ...]:
            if cursor is not None:
                put_cursor(connection, mailbox_id, cursor)
            _looked(connection, mailbox_id, folder, now=now, error=error)
            return _awaited(connection, mailbox_id)

        return await self._store.write_together(work)

    async def read_since(self, mailbox_id: MailboxId, instant: datetime) -> frozenset[str]:
        """The folders that were read with success at or after `instant`."""
        return await self._store.read(_read_since, mailbox_id, instant)

    async def cursors(self, mailbox_id: MailboxId) -> dict[str, Cursor]:
        """How far each folder was read, by folder."""
        return await self._store.read_together(read_cursors, mailbox_id)

    async def set_cursor(self, mailbox_id: MailboxId, cursor: Cursor) -> None:
        """Keep how far the folder was read, where nothing was found in it."""
        await self._store.write(put_cursor, mailbox_id, cursor)


def due_query(now: datetime) -> Select[int]:
    """Where looks are due, earliest first: reads the due part of one index and nothing else (no DISTINCT: slots)."""
    return select(watches.c.recipient_id).where(watches.c.look_at <= now).order_by(watches.c.look_at)


def awaited_query() -> Select[*tuple[Any, ...]]:
    """What is awaited at a mailbox, with the slot and its sender's address."""
    watch = (watches.c.since, watches.c.look_at, watches.c.deadline_at, watches.c.stage)
    return (
        select(slots, mailboxes.c.address.label("sender"), *watch)
        .select_from(watches)
        .join(slots, slots.c.id == watches.c.slot_id)
        .join(mailboxes, mailboxes.c.id == slots.c.mailbox_id)
        .where(watches.c.recipient_id == bindparam("mailbox"))
        .order_by(watches.c.slot_id)
    )


def _due(connection: Connection, now: datetime) -> tuple[MailboxId, ...]:
    due = connection.execute(due_query(now)).scalars().all()
    listening = connection.execute(listening_query(now)).scalars().all()
    everybody = dict.fromkeys((*due, *listening, *unread_of_restore(connection)))
    return tuple(MailboxId(mailbox_id) for mailbox_id in everybody)


def listening_query(now: datetime) -> Select[int]:
    """Whose inbox is to be looked into for reports on what it sent."""
    able = (mailboxes.c.removed_at.is_(None)) & (mailboxes.c.verified_at.is_not(None))
    return (
        select(listens.c.mailbox_id)
        .join(mailboxes, mailboxes.c.id == listens.c.mailbox_id)
        .where(listens.c.look_at <= now, able)
        .order_by(listens.c.look_at)
    )


def _next_look(connection: Connection) -> datetime | None:
    query = select(watches.c.look_at).order_by(watches.c.look_at).limit(1)
    return connection.execute(query).scalar()


def _awaited(connection: Connection, mailbox_id: MailboxId) -> tuple[Watch, ...]:
    here = {"mailbox": mailbox_id}
    return (*map(_watch, _AWAITED.all(connection, here)), *map(_flight, _IN_FLIGHT.all(connection, here)))


def in_flight_query() -> Select[*tuple[Any, ...]]:
    """What is on its way to a mailbox: it may be there before its outcome is known, and is looked past only once."""
    return (
        select(slots, mailboxes.c.address.label("sender"), attempts.c.claimed_at)
        .select_from(flights)
        .join(attempts, attempts.c.id == flights.c.attempt_id)
        .join(slots, slots.c.id == flights.c.slot_id)
        .join(mailboxes, mailboxes.c.id == slots.c.mailbox_id)
        .where(slots.c.recipient_id == bindparam("mailbox"))
    )


_AWAITED: Final = Prepared(awaited_query())
_IN_FLIGHT: Final = Prepared(in_flight_query())


def _flight(row: Row) -> Watch:
    # No look is due for it yet: its watch begins with its outcome.
    never = datetime.max.replace(tzinfo=UTC)
    return Watch(
        slot=slot_of(row),
        sender=row["sender"],
        since=row["claimed_at"],
        look_at=never,
        deadline_at=never,
        stage=Stage.FIRST,
    )


def _watch(row: Row) -> Watch:
    return Watch(
        slot=slot_of(row),
        sender=row["sender"],
        since=row["since"],
        look_at=row["look_at"],
        deadline_at=row["deadline_at"],
        stage=Stage(row["stage"]),
    )


def _by_message_id(connection: Connection, ids: tuple[str, ...]) -> dict[str, Slot]:
    found: dict[str, Slot] = {}
    # SQLite binds at most 32,766 values; a folder may show more.
    for start in range(0, len(ids), 500):
        query = select(slots).where(slots.c.message_id.in_(ids[start : start + 500]))
        found |= {row["message_id"]: slot_of(row) for row in connection.execute(query).mappings()}
    return found


def _record(
    connection: Connection,
    mailbox_id: MailboxId,
    found: tuple[NewSighting, ...],
    cursor: Cursor | None,
    *,
    now: datetime,
) -> tuple[SlotId, ...]:
    new = tuple(sighting.slot_id for sighting in found if record_one(connection, sighting, now=now))
    if cursor is not None:
        put_cursor(connection, mailbox_id, cursor)
    return new


_THIS: Any = bindparam("slot")
_LANE: Final = Prepared(select(slots.c.mailbox_id, slots.c.date, slots.c.provider).where(slots.c.id == _THIS))
_WHERE_FOUND = ("folder", "uidvalidity", "uid", "delivered_at", "message_id")
_SIGHTING: Final = Prepared(
    upsert(sightings).on_conflict_do_nothing(),
    ("slot_id", "mailbox_id", "date", "provider", "at", "stage", "placement", *_WHERE_FOUND),
)
_NOT_DUE: Final = Prepared(delete(due_slots).where(due_slots.c.slot_id == _THIS))
_END_WATCH: Final = Prepared(delete(watches).where(watches.c.slot_id == _THIS))
_PUT_OFF = (
    update(watches)
    .where(watches.c.slot_id == _THIS)
    .values(look_at=bindparam("again_at"), deadline_at=bindparam("again_until"))
)
_LATER: Final = Prepared(_PUT_OFF)
_SECOND_STAGE: Final = Prepared(_PUT_OFF.values(stage=Stage.SECOND.value))
_LOOK: Final = Prepared(insert(looks), ("mailbox_id", "folder", "at", "ok", "error"))
_LISTENER: Any = listens.c.mailbox_id == bindparam("mailbox")
_LISTEN_ON: Final = Prepared(update(listens).where(_LISTENER).values(look_at=bindparam("again_at")))
_LISTENED: Final = Prepared(delete(listens).where(_LISTENER, listens.c.until < bindparam("now", type_=UtcDateTime())))


def record_one(connection: Connection, sighting: NewSighting, *, now: datetime) -> bool:
    """One sighting; False where it is no news. A removal concludes its watches with it too."""
    if sighting.stage is Stage.SECOND:
        _move_watch(connection, sighting)
        if sighting.placement is _first_placement(connection, sighting.slot_id):
            # It lies where it lay. A later second look may still find it moved.
            return False
    sent = _LANE.one(connection, {"slot": sighting.slot_id})
    row = {
        "slot_id": sighting.slot_id,
        **sent,
        "at": now,
        "stage": sighting.stage.value,
        "placement": sighting.placement.value,
        "folder": sighting.folder,
        "uidvalidity": sighting.uidvalidity,
        "uid": sighting.uid,
        "delivered_at": sighting.delivered_at,
        "message_id": sighting.message_id,
    }
    if not _SIGHTING.changed(connection, row):
        return False
    if sighting.stage is Stage.FIRST:
        _move_watch(connection, sighting)
    if sighting.vouched:
        who = {name: row[name] for name in ("slot_id", "mailbox_id", "date", "provider", "at")}
        said = {method.value: result for method, result in sighting.vouched.items()}
        connection.execute(upsert(authentications).values(**who, **said).on_conflict_do_nothing())
    mark_fresh(connection, sent["mailbox_id"])
    if sighting.placement.is_seen:
        # A server that said 4yz and delivered all the same: sent again, it would be a duplicate.
        _NOT_DUE.run(connection, {"slot": sighting.slot_id})
    return True


def _first_placement(connection: Connection, slot_id: SlotId) -> Placement | None:
    first = (sightings.c.slot_id == slot_id) & (sightings.c.stage == Stage.FIRST.value)
    placement = connection.execute(select(sightings.c.placement).where(first)).scalar()
    return None if placement is None else Placement(placement)


def _move_watch(connection: Connection, sighting: NewSighting) -> None:
    if sighting.again is None:
        _END_WATCH.run(connection, {"slot": sighting.slot_id})
        return
    again = {"again_at": sighting.again.look_at, "again_until": sighting.again.deadline_at}
    _SECOND_STAGE.run(connection, {"slot": sighting.slot_id, **again})


def _look_again(connection: Connection, again: dict[SlotId, NextLook]) -> None:
    for slot_id, look in again.items():
        later = {"again_at": look.look_at, "again_until": look.deadline_at}
        _LATER.run(connection, {"slot": slot_id, **later})


def _stop_looking(connection: Connection, slot_ids: tuple[SlotId, ...]) -> None:
    for slot_id in slot_ids:
        _END_WATCH.run(connection, {"slot": slot_id})


def _looked(connection: Connection, mailbox_id: MailboxId, folder: str, *, now: datetime, error: str | None) -> None:
    look = {"mailbox_id": mailbox_id, "folder": folder, "at": now, "ok": error is None, "error": error}
    _LOOK.run(connection, look)
    again = now + (LISTEN_EVERY if error is None else LISTEN_AGAIN)
    _LISTEN_ON.run(connection, {"mailbox": mailbox_id, "again_at": again})
    _LISTENED.run(connection, {"mailbox": mailbox_id, "now": now})


def _read_since(connection: Connection, mailbox_id: MailboxId, instant: datetime) -> frozenset[str]:
    good = (looks.c.mailbox_id == mailbox_id) & (looks.c.at >= instant) & looks.c.ok
    return frozenset(connection.execute(select(looks.c.folder).where(good).distinct()).scalars())
