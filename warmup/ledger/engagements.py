"""What `--engage` means to do with our own messages, and what came of it.

Every action is an intent first, then an end: after a crash it is done again only where its end state is absent.
Messages of a mailbox that was removed are left alone from then on: its ids are nobody's any more.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum, unique
from typing import Any, Final, NewType

from sqlalchemy import Connection, FromClause, RowMapping, Select, exists, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.slots import Slot, slot_of
from warmup.ledger.store import Store
from warmup.ledger.tables import engagement_ends, engagements, mailboxes, sightings, slots
from warmup.policy.fate import Action, Placement
from warmup.policy.mailbox import MailboxId, SlotId

EngagementId = NewType("EngagementId", int)


@unique
class Result(StrEnum):
    """How an action ended. GONE: the message was not there any more."""

    DONE = "done"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message was seen last."""

    folder: str
    uidvalidity: int
    uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An action that is meant and has no end yet. `place` None: the message has to be looked for by its id."""

    id: EngagementId
    slot: Slot
    mailbox_id: MailboxId
    action: Action
    intended_at: datetime
    place: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A message of ours that lies in a mailbox, and how it was placed at first."""

    slot: Slot
    placement: Placement
    seen_at: datetime
    place: Place | None


class EngagementWriter:
    """Writes `engagements` and `engagement_ends`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def intend(
        self, slot_id: SlotId, action: Action, *, mailbox_id: MailboxId, now: datetime
    ) -> EngagementId | None:
        """Mean to do `action` on the slot's message in `mailbox_id`; None where it is meant or done already."""
        return await self._store.write(_intend, slot_id, action, mailbox_id, now=now)

    async def pending(self, mailbox_id: MailboxId) -> tuple[Intent, ...]:
        """What is meant in a mailbox and has not ended, oldest first."""
        return await self._store.read(_pending, mailbox_id)

    async def end(self, engagement_id: EngagementId, result: Result, *, now: datetime) -> bool:
        """Keep how an action ended; False where its end is kept already."""
        return await self._store.write(_end, engagement_id, result, now=now)

    async def lacking(
        self, mailbox_id: MailboxId, action: Action, *, since: datetime, until: datetime
    ) -> tuple[Held, ...]:
        """The messages of ours seen in the mailbox at or after `since` and before `until` without this action meant."""
        return await self._store.read(_lacking, mailbox_id, action, since, until)


_SENDER_STAYS: Final = exists().where(mailboxes.c.id == slots.c.mailbox_id, mailboxes.c.removed_at.is_(None))


def _intend(
    connection: Connection, slot_id: SlotId, action: Action, mailbox_id: MailboxId, *, now: datetime
) -> EngagementId | None:
    intent = upsert(engagements).values(slot_id=slot_id, mailbox_id=mailbox_id, action=action.value, intended_at=now)
    added = connection.execute(intent.on_conflict_do_nothing().returning(engagements.c.id)).scalar()
    return None if added is None else EngagementId(added)


def _with_place(messages: FromClause, *columns: Any) -> Select[*tuple[Any, ...]]:
    """The slots of `messages` with the last place they were seen at, and `columns` besides."""
    later, last = sightings.alias("later"), sightings.alias("last")
    newest = (
        select(func.max(later.c.id)).where(later.c.slot_id == slots.c.id, later.c.uid.is_not(None)).scalar_subquery()
    )
    return select(slots, last.c.folder, last.c.uidvalidity, last.c.uid, *columns).select_from(
        messages.outerjoin(last, last.c.id == newest)
    )


def _place(row: RowMapping) -> Place | None:
    if row["folder"] is None or row["uidvalidity"] is None or row["uid"] is None:
        return None
    return Place(folder=row["folder"], uidvalidity=row["uidvalidity"], uid=row["uid"])


def _pending(connection: Connection, mailbox_id: MailboxId) -> tuple[Intent, ...]:
    ended = exists().where(engagement_ends.c.engagement_id == engagements.c.id)
    query = (
        _with_place(
            slots.join(engagements, engagements.c.slot_id == slots.c.id),
            engagements.c.id.label("engagement_id"),
            engagements.c.action,
            engagements.c.intended_at,
        )
        .where(engagements.c.mailbox_id == mailbox_id, ~ended, _SENDER_STAYS)
        .order_by(engagements.c.id)
    )
    return tuple(
        Intent(
            id=EngagementId(row["engagement_id"]),
            slot=slot_of(row),
            mailbox_id=mailbox_id,
            action=Action(row["action"]),
            intended_at=row["intended_at"],
            place=_place(row),
        )
        for row in connection.execute(query).mappings()
    )


def _end(connection: Connection, engagement_id: EngagementId, result: Result, *, now: datetime) -> bool:
    end = upsert(engagement_ends).values(engagement_id=engagement_id, at=now, result=result.value)
    return connection.execute(end.on_conflict_do_nothing()).rowcount > 0


def _lacking(
    connection: Connection, mailbox_id: MailboxId, action: Action, since: datetime, until: datetime
) -> tuple[Held, ...]:
    first, found = sightings.alias("first_seen"), sightings.alias("found")
    seen = [placement.value for placement in Placement if placement.is_seen]
    earliest = (
        select(func.min(first.c.id)).where(first.c.slot_id == slots.c.id, first.c.placement.in_(seen)).scalar_subquery()
    )
    meant = exists().where(
        engagements.c.slot_id == slots.c.id,
        engagements.c.mailbox_id == mailbox_id,
        engagements.c.action == action.value,
    )
    query = (
        _with_place(slots.join(found, found.c.id == earliest), found.c.placement, found.c.at.label("seen_at"))
        .where(
            slots.c.recipient_id == mailbox_id,
            # A message is seen days after its date at the most: the index need not be read from its beginning.
            slots.c.date >= date.fromordinal(since.date().toordinal() - 7),
            found.c.at >= since,
            found.c.at < until,
            ~meant,
            _SENDER_STAYS,
        )
        .order_by(slots.c.id)
    )
    return tuple(
        Held(slot=slot_of(row), placement=Placement(row["placement"]), seen_at=row["seen_at"], place=_place(row))
        for row in connection.execute(query).mappings()
    )
