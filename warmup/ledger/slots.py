"""What is to be sent: the day plans, their slots, and which of them are due.

A date is planned once: recording it again changes nothing that is there. `due_slots` holds the slots that wait to go,
so that asking what is due costs what is due. A slot that does not go lapses, in a row of its own.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.columns import UtcDateTime
from warmup.ledger.engines import many_pages
from warmup.ledger.prepared import Prepared, Row
from warmup.ledger.store import Store
from warmup.ledger.tables import (
    attempts,
    days,
    due_slots,
    lane_days,
    lapses,
    mailboxes,
    outcomes,
    sightings,
    slots,
)
from warmup.policy.fate import Cap, Kind, Outcome
from warmup.policy.mailbox import AccountId, MailboxId, SlotId
from warmup.policy.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSlot:
    """One message to be, with the identity and the draws of its body fixed. `message_id` as on the wire, with <>."""

    number: int
    recipient_id: MailboxId
    provider: str
    kind: Kind
    thread_id: str
    in_reply_to: SlotId | None = None
    due_at: datetime
    nonce: bytes
    message_id: str
    grammar: str
    language: str
    seed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLaneDay:
    """What was planned for one lane on a date, and the standing and factor it was planned under."""

    provider: str
    level: int
    ceiling: float
    factor: float
    target: int
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDay:
    """What was planned for a mailbox on a civil date of its zone.

    `day` counts the days it was sent on, `level` is its ramp's; both from 1.
    """

    date: date
    day: int
    level: int | None = None
    ceiling: int
    target: int
    capped_by: Cap | None = None
    reason: str = ""
    lanes: tuple[NewLaneDay, ...] = ()


Plan = tuple[MailboxId, NewDay, Sequence[NewSlot]]
"""A mailbox's planned date and its slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A recorded slot. `due_at` is as planned: grace and the message's Date go by it, whatever was deferred since."""

    id: SlotId
    mailbox_id: MailboxId
    account_id: AccountId
    date: date
    number: int
    recipient_id: MailboxId
    provider: str
    kind: Kind
    thread_id: str
    in_reply_to: SlotId | None
    due_at: datetime
    nonce: bytes
    message_id: str
    grammar: str
    language: str
    seed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadMessage:
    """A message of a thread that was sent. `message_id` is the one it arrived with, where a server rewrote it."""

    slot: Slot
    message_id: str


ROWS: Final = 2_000
"""So many slots are handed to the database at once: a row to be is larger than its slot."""


class SlotWriter:
    """Writes `days`, `lane_days`, `slots`, `due_slots` and `lapses`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(self, mailbox_id: MailboxId, day: NewDay, slots: Sequence[NewSlot], *, now: datetime) -> bool:
        """Record a planned date with its slots, which wait to go from then on; False, and no change, where it is."""
        return await self.record_all([(mailbox_id, day, slots)], now=now) == 1

    async def record_all(self, plans: Iterable[Plan], *, now: datetime) -> int:
        """Record the dates of many mailboxes in one transaction; how many were not recorded before."""
        return await self._store.write(_record_all, tuple(plans), now=now)

    async def shrink(self, mailbox_id: MailboxId, date: date, *, target: int, now: datetime, reason: str) -> int:
        """Lower a recorded date's target: its latest slots lapse until at most `target` are left or went. The number.

        The rest is neither moved nor redrawn; slots that were attempted stay.
        """
        return await self._store.write(_shrink, mailbox_id, date, target=target, now=now, reason=reason)

    async def due(self, now: datetime) -> tuple[MailboxId, ...]:
        """The mailboxes that have slots due, by their earliest."""
        return await self._store.read(_due, now)

    async def next_due(self) -> datetime | None:
        """When the next waiting slot falls due; None where none waits."""
        return await self._store.read(_next_due)

    async def last_due(self, ids: Collection[MailboxId]) -> dict[MailboxId, datetime]:
        """When the last of each mailbox's waiting slots falls due; those that have none are left out."""
        return await self._store.read(_last_due, tuple(ids))

    async def get(self, slot_id: SlotId) -> Slot:
        """One slot; KeyError."""
        return await self._store.read(_get, slot_id)

    async def lapse(self, slot_id: SlotId, reason: str, *, now: datetime) -> bool:
        """Let a waiting slot lapse; False where it does not wait (it went, or lapsed before)."""
        return await self._store.write(lapse_slot, slot_id, now=now, reason=reason)

    async def thread(self, thread_id: str) -> tuple[ThreadMessage, ...]:
        """The messages of a thread that a server may have taken, oldest first."""
        return await self._store.read_together(_thread, thread_id)


def slot_of(row: Row) -> Slot:
    """The value of a row of `slots`."""
    return Slot(
        id=SlotId(row["id"]),
        mailbox_id=MailboxId(row["mailbox_id"]),
        account_id=AccountId(row["account_id"]),
        date=row["date"],
        number=row["number"],
        recipient_id=MailboxId(row["recipient_id"]),
        provider=row["provider"],
        kind=Kind(row["kind"]),
        thread_id=row["thread_id"],
        in_reply_to=None if row["in_reply_to"] is None else SlotId(row["in_reply_to"]),
        due_at=row["due_at"],
        nonce=row["nonce"],
        message_id=row["message_id"],
        grammar=row["grammar"],
        language=row["language"],
        seed=row["seed"],
    )


def warms(slot_id: Any) -> ColumnElement[bool]:
    """True where a slot is of the circle. A test is not: the walls count it, and it is evidence of nothing."""
    each = slots.alias("each_slot")
    return ~exists().where(each.c.id == slot_id, each.c.kind == Kind.TEST.value)


def lapse_slot(connection: Connection, slot_id: SlotId, *, now: datetime, reason: str) -> bool:
    """See `SlotWriter.lapse`; the claim and a removal lapse inside their own transactions."""
    waited = connection.execute(delete(due_slots).where(due_slots.c.slot_id == slot_id)).rowcount > 0
    if waited:
        connection.execute(insert(lapses).values(slot_id=slot_id, at=now, reason=reason))
    return waited


def lapse_everything(connection: Connection, *, now: datetime, reason: str) -> int:
    """Let every waiting slot lapse, as after a restore; the number."""
    return _lapse_where(connection, select(due_slots.c.slot_id), now=now, reason=reason)


def lapse_of_mailbox(connection: Connection, mailbox_id: MailboxId, *, now: datetime, reason: str) -> int:
    """Let every waiting slot from a mailbox or to it lapse; the number."""
    theirs = (
        select(due_slots.c.slot_id)
        .join(slots, slots.c.id == due_slots.c.slot_id)
        .where((slots.c.mailbox_id == mailbox_id) | (slots.c.recipient_id == mailbox_id))
    )
    return _lapse_where(connection, theirs, now=now, reason=reason)


def _lapse_where(connection: Connection, waiting: Select[int], *, now: datetime, reason: str) -> int:
    ids = connection.execute(waiting).scalars().all()
    if ids:
        connection.execute(insert(lapses), [{"slot_id": slot_id, "at": now, "reason": reason} for slot_id in ids])
        connection.execute(delete(due_slots).where(due_slots.c.slot_id.in_(waiting)))
    return len(ids)


def _record_all(connection: Connection, plans: tuple[Plan, ...], *, now: datetime) -> int:
    with many_pages(connection, len(plans)):
        return _record_each(connection, plans, now)


def _record_each(connection: Connection, plans: tuple[Plan, ...], now: datetime) -> int:
    # A day at a time: of many rows in one statement a driver tells how many were new, and not which.
    fresh = [plan for plan in plans if connection.execute(_NEW_DAY, _day_columns(plan, now)).rowcount > 0]
    lanes = [_lane_columns(mailbox_id, day.date, lane) for mailbox_id, day, _ in fresh for lane in day.lanes]
    if lanes:
        _NEW_LANE_DAY.run_all(connection, lanes)
    of = _accounts(connection, [mailbox_id for mailbox_id, _, _ in fresh])
    rows = (
        _slot_columns(slot, mailbox_id, of[mailbox_id], day.date, now)
        for mailbox_id, day, planned in fresh
        for slot in planned
    )
    while some := list(islice(rows, ROWS)):
        _NEW_SLOT.run_all(connection, some)
    for on in sorted({day.date for _, day, _ in fresh}):
        connection.execute(_WAITING, {"ids": [mailbox for mailbox, day, _ in fresh if day.date == on], "on": on})
    return len(fresh)


_NEW_DAY: Final = upsert(days).on_conflict_do_nothing()
_NEW_LANE_DAY: Final = Prepared(insert(lane_days), ("mailbox_id", "date", *(each.name for each in fields(NewLaneDay))))
_NEW_SLOT: Final = Prepared(
    insert(slots), ("mailbox_id", "account_id", "date", "planned_at", *(each.name for each in fields(NewSlot)))
)
# Of a date that was new a moment ago every numbered slot is new; tests have numbers below 0 (ledger/errands).
_WAITING: Final = insert(due_slots).from_select(
    ["slot_id", "mailbox_id", "due_at"],
    select(slots.c.id, slots.c.mailbox_id, slots.c.due_at).where(
        slots.c.mailbox_id.in_(bindparam("ids", expanding=True)),
        slots.c.date == bindparam("on", type_=slots.c.date.type),
        slots.c.number > 0,
    ),
)


def _day_columns(plan: Plan, now: datetime) -> dict[str, object]:
    mailbox_id, day, _ = plan
    return {
        "mailbox_id": mailbox_id,
        "date": day.date,
        "day": day.day,
        "level": day.level,
        "ceiling": day.ceiling,
        "target": day.target,
        "capped_by": day.capped_by.value if day.capped_by else None,
        "reason": day.reason,
        "planned_at": now,
    }


def _accounts(connection: Connection, ids: Sequence[MailboxId]) -> dict[int, int]:
    query = select(mailboxes.c.id, mailboxes.c.account_id).where(mailboxes.c.id.in_(ids))
    return {row.id: row.account_id for row in connection.execute(query)}


def _slot_columns(slot: NewSlot, mailbox_id: MailboxId, account_id: int, on: date, now: datetime) -> dict[str, object]:
    return {
        "mailbox_id": mailbox_id,
        "account_id": account_id,
        "date": on,
        "planned_at": now,
        **_drawn(slot),
    }


def _drawn(slot: NewSlot) -> dict[str, object]:
    return {
        "number": slot.number,
        "recipient_id": slot.recipient_id,
        "provider": slot.provider,
        "kind": slot.kind.value,
        "thread_id": slot.thread_id,
        "in_reply_to": slot.in_reply_to,
        "due_at": slot.due_at,
        "nonce": slot.nonce,
        "message_id": slot.message_id,
        "grammar": slot.grammar,
        "language": slot.language,
        "seed": slot.seed,
    }


def insert_one(connection: Connection, slot: NewSlot, fixed: dict[str, object]) -> SlotId:
    """Record one slot, which waits to go from then on. `fixed` are the columns of whose it is, and of which date."""
    added = connection.execute(insert(slots).values(**fixed, **_drawn(slot)))
    (slot_id,) = added.inserted_primary_key or (0,)
    waiting = {"slot_id": slot_id, "mailbox_id": fixed["mailbox_id"], "due_at": slot.due_at}
    connection.execute(insert(due_slots).values(**waiting))
    return SlotId(slot_id)


def _lane_columns(mailbox_id: MailboxId, date: date, lane: NewLaneDay) -> dict[str, object]:
    return {
        "mailbox_id": mailbox_id,
        "date": date,
        "provider": lane.provider,
        "level": lane.level,
        "ceiling": lane.ceiling,
        "factor": lane.factor,
        "target": lane.target,
        "standing": lane.standing.value,
    }


def _shrink(
    connection: Connection, mailbox_id: MailboxId, date: date, *, target: int, now: datetime, reason: str
) -> int:
    mine = (days.c.mailbox_id == mailbox_id) & (days.c.date == date) & (days.c.target > target)
    connection.execute(update(days).where(mine).values(target=target))
    on_date = (slots.c.mailbox_id == mailbox_id) & (slots.c.date == date) & (slots.c.kind != Kind.TEST.value)
    went = select(func.count()).where(on_date, exists().where(attempts.c.slot_id == slots.c.id))
    room = max(0, target - connection.execute(went).scalar_one())
    waiting = (
        select(due_slots.c.slot_id)
        .join(slots, slots.c.id == due_slots.c.slot_id)
        .where(on_date, ~exists().where(attempts.c.slot_id == slots.c.id))
        .order_by(slots.c.number)
    )
    surplus = list(islice(connection.execute(waiting).scalars(), room, None))
    return sum(lapse_slot(connection, SlotId(slot_id), now=now, reason=reason) for slot_id in surplus)


def due_query(now: datetime) -> Select[int]:
    """Whose slots are due, earliest first: reads the due part of one index and nothing else.

    A DISTINCT here would make SQLite walk the whole index by mailbox.
    """
    return select(due_slots.c.mailbox_id).where(due_slots.c.due_at <= now).order_by(due_slots.c.due_at)


def _due(connection: Connection, now: datetime) -> tuple[MailboxId, ...]:
    return tuple(MailboxId(mailbox_id) for mailbox_id in dict.fromkeys(connection.execute(due_query(now)).scalars()))


def _last_due(connection: Connection, ids: tuple[MailboxId, ...]) -> dict[MailboxId, datetime]:
    last = select(due_slots.c.mailbox_id, func.max(due_slots.c.due_at).label("last"))
    query = last.where(due_slots.c.mailbox_id.in_(ids)).group_by(due_slots.c.mailbox_id)
    return {MailboxId(row.mailbox_id): row.last for row in connection.execute(query)}


def due_of_query(mailbox_id: Any, now: Any) -> Select[*tuple[Any, ...]]:
    """A mailbox's due slots, earliest first."""
    return (
        select(slots)
        .join(due_slots, due_slots.c.slot_id == slots.c.id)
        .where(due_slots.c.mailbox_id == mailbox_id, due_slots.c.due_at <= now)
        .order_by(due_slots.c.due_at, slots.c.number)
    )


_DUE_OF: Final = Prepared(due_of_query(bindparam("mailbox"), bindparam("now", type_=UtcDateTime())))


def read_due_of(connection: Connection, mailbox_id: MailboxId, now: datetime) -> tuple[Slot, ...]:
    """The mailbox's slots that are due, earliest first."""
    return _slots(_DUE_OF.all(connection, {"mailbox": mailbox_id, "now": now}))


def _next_due(connection: Connection) -> datetime | None:
    return connection.execute(select(func.min(due_slots.c.due_at))).scalar()


def _get(connection: Connection, slot_id: SlotId) -> Slot:
    row = connection.execute(select(slots).where(slots.c.id == slot_id)).mappings().one_or_none()
    if row is None:
        raise KeyError(slot_id)
    return slot_of(row)


def _thread(connection: Connection, thread_id: str) -> tuple[ThreadMessage, ...]:
    taken = exists().where(
        outcomes.c.slot_id == slots.c.id,
        outcomes.c.outcome.in_([outcome.value for outcome in Outcome if outcome.counts]),
    )
    arrived_as = (
        select(sightings.c.message_id)
        .where(sightings.c.slot_id == slots.c.id, sightings.c.message_id.is_not(None))
        .order_by(sightings.c.id)
        .limit(1)
        .scalar_subquery()
        .label("arrived_as")
    )
    query = select(slots, arrived_as).where(slots.c.thread_id == thread_id, taken).order_by(slots.c.id)
    rows = connection.execute(query).mappings().all()
    return tuple(ThreadMessage(slot=slot_of(row), message_id=row["arrived_as"] or row["message_id"]) for row in rows)


def _slots(rows: Iterable[Row]) -> tuple[Slot, ...]:
    return tuple(slot_of(row) for row in rows)
