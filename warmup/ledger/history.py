"""What was planned and what came of it, for the plan to build on: levels, contacts and threads to answer.

All of it is about dates before the one being planned, so that the order in which mailboxes are planned changes
nothing.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, RowMapping, and_, exists, func, or_, select

from warmup.ledger.believed import taken
from warmup.ledger.reports import answered_by_others
from warmup.ledger.slots import Slot, slot_of, warms
from warmup.ledger.store import Store
from warmup.ledger.sums import SENT, kept_sums
from warmup.ledger.tables import (
    days,
    engagement_ends,
    engagements,
    lane_days,
    mailboxes,
    outcomes,
    sightings,
    slots,
)
from warmup.policy.fate import Action, Cap, Kind, Placement
from warmup.policy.mailbox import MailboxId
from warmup.policy.standing import Standing

_READABLE = tuple(place.value for place in Placement if place.is_seen and place is not Placement.SPAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDay:
    """One lane on a planned date; `accepted` is what is believed to have been taken."""

    provider: str
    level: int
    ceiling: float
    factor: float
    target: int
    standing: Standing
    accepted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One planned date of a mailbox."""

    date: date
    day: int
    ceiling: int
    target: int
    capped_by: Cap | None
    reason: str
    accepted: int
    lanes: tuple[LaneDay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerable:
    """A message that this mailbox received where it may read it, and that nobody has answered or plans to.

    `receiver` is the provider an answer would land at; `length` is how many messages its thread has.
    """

    slot: Slot
    receiver: str
    seen_at: datetime
    length: int


class HistoryReader:
    """Reads what the plan is made from."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(
        self, mailbox_id: MailboxId, *, since: date | None = None, until: date | None = None
    ) -> tuple[Day, ...]:
        """The planned dates of a mailbox, oldest first, from `since` on and before `until`."""
        return await self._store.read(_of, mailbox_id, since=since or date.min, until=until or date.max)

    async def day(self, mailbox_id: MailboxId, date: date) -> Day | None:
        """One planned date; None where it was not planned."""
        found = await self._store.read(_of, mailbox_id, since=date, until=date.fromordinal(date.toordinal() + 1))
        return found[0] if found else None

    async def planned(self, date: date) -> frozenset[MailboxId]:
        """The mailboxes that have this date planned."""
        return await self._store.read(_planned, date)

    async def last_planned(self) -> dict[MailboxId, date]:
        """The last planned date of every enrolled mailbox that has one."""
        return await self._store.read(_last_planned)

    async def contacts(self, mailbox_id: MailboxId, *, since: date, until: date) -> dict[MailboxId, int]:
        """How many messages of dates from `since` on and before `until` were planned to each recipient."""
        return await self._store.read(_contacts, mailbox_id, since, until)

    async def load(self, *, since: date, until: date) -> dict[MailboxId, int]:
        """The same from all mailboxes together: what every seed was given to receive."""
        return await self._store.read(_load, since, until)

    async def answerable(self, mailbox_id: MailboxId, *, since: datetime, until: datetime) -> tuple[Answerable, ...]:
        """What the mailbox may answer, seen at or after `since` and before `until`, oldest first.

        Never from Junk, unless the message was rescued (DESIGN, Promises 5).
        """
        return await self._store.read(_answerable, mailbox_id, since, until)

    async def replies(self, mailbox_id: MailboxId, *, since: date) -> dict[str, int]:
        """Answers to this mailbox that arrived, of dates from `since` on, by the provider of who answered."""
        return await self._store.read(_replies, mailbox_id, since)


def _of(connection: Connection, mailbox_id: MailboxId, *, since: date, until: date) -> tuple[Day, ...]:
    accepted = _accepted(connection, mailbox_id, since, until)
    lanes: dict[date, list[LaneDay]] = {}
    mine = (lane_days.c.mailbox_id == mailbox_id) & (lane_days.c.date >= since) & (lane_days.c.date < until)
    for row in connection.execute(select(lane_days).where(mine).order_by(lane_days.c.provider)).mappings():
        lanes.setdefault(row["date"], []).append(_lane(row, accepted.get((row["date"], row["provider"]), 0)))
    whole: dict[date, int] = {}
    for (on, _), n in accepted.items():
        whole[on] = whole.get(on, 0) + n
    mine = (days.c.mailbox_id == mailbox_id) & (days.c.date >= since) & (days.c.date < until)
    rows = connection.execute(select(days).where(mine).order_by(days.c.date)).mappings()
    return tuple(_day(row, whole.get(row["date"], 0), tuple(lanes.get(row["date"], ()))) for row in rows)


def _accepted(connection: Connection, mailbox_id: MailboxId, since: date, until: date) -> dict[tuple[date, str], int]:
    mine = (outcomes.c.mailbox_id == mailbox_id) & (outcomes.c.date >= since) & (outcomes.c.date < until)
    query = (
        select(outcomes.c.date, outcomes.c.provider, func.count(outcomes.c.slot_id.distinct()).label("n"))
        .where(mine, taken(), warms(outcomes.c.slot_id))
        .group_by(outcomes.c.date, outcomes.c.provider)
    )
    found = Counter({(row.date, row.provider): row.n for row in connection.execute(query)})
    for ((_, on, provider), word), n in kept_sums(connection, mailbox_id, since, until).items():
        if word == SENT and provider:
            found[on, provider] += n
    return found


def _lane(row: RowMapping, accepted: int) -> LaneDay:
    return LaneDay(
        provider=row["provider"],
        level=row["level"],
        ceiling=row["ceiling"],
        factor=row["factor"],
        target=row["target"],
        standing=Standing(row["standing"]),
        accepted=accepted,
    )


def _day(row: RowMapping, accepted: int, lanes: tuple[LaneDay, ...]) -> Day:
    return Day(
        date=row["date"],
        day=row["day"],
        ceiling=row["ceiling"],
        target=row["target"],
        capped_by=None if row["capped_by"] is None else Cap(row["capped_by"]),
        reason=row["reason"],
        accepted=accepted,
        lanes=lanes,
    )


def _planned(connection: Connection, on: date) -> frozenset[MailboxId]:
    query = select(days.c.mailbox_id).where(days.c.date == on)
    return frozenset(MailboxId(mailbox_id) for mailbox_id in connection.execute(query).scalars())


def _last_planned(connection: Connection) -> dict[MailboxId, date]:
    last = select(func.max(days.c.date)).where(days.c.mailbox_id == mailboxes.c.id).scalar_subquery()
    query = select(mailboxes.c.id, last.label("last")).where(mailboxes.c.removed_at.is_(None))
    return {MailboxId(row.id): row.last for row in connection.execute(query) if row.last is not None}


def _contacts(connection: Connection, mailbox_id: MailboxId, since: date, until: date) -> dict[MailboxId, int]:
    mine = (slots.c.mailbox_id == mailbox_id) & (slots.c.date >= since) & (slots.c.date < until)
    mine &= slots.c.kind != Kind.TEST.value
    query = select(slots.c.recipient_id, func.count().label("n")).where(mine).group_by(slots.c.recipient_id)
    return {MailboxId(row.recipient_id): row.n for row in connection.execute(query)}


def _load(connection: Connection, since: date, until: date) -> dict[MailboxId, int]:
    between = (slots.c.date >= since) & (slots.c.date < until) & (slots.c.kind != Kind.TEST.value)
    query = select(slots.c.recipient_id, func.count().label("n")).where(between).group_by(slots.c.recipient_id)
    return {MailboxId(row.recipient_id): row.n for row in connection.execute(query)}


def _answerable(
    connection: Connection, mailbox_id: MailboxId, since: datetime, until: datetime
) -> tuple[Answerable, ...]:
    answer, other = slots.alias("answer"), slots.alias("other")
    length = select(func.count()).where(other.c.thread_id == slots.c.thread_id).scalar_subquery()
    rescued = exists().where(
        engagements.c.slot_id == slots.c.id,
        engagements.c.action == Action.RESCUE.value,
        engagement_ends.c.engagement_id == engagements.c.id,
        engagement_ends.c.result == "done",
    )
    junked = sightings.alias("junked")
    in_junk = exists().where(junked.c.slot_id == slots.c.id, junked.c.placement == Placement.SPAM.value)
    query = (
        select(
            slots,
            mailboxes.c.receiver,
            func.min(sightings.c.at).label("seen_at"),
            length.label("length"),
        )
        .join(sightings, sightings.c.slot_id == slots.c.id)
        .join(mailboxes, mailboxes.c.id == slots.c.mailbox_id)
        .where(
            slots.c.recipient_id == mailbox_id,
            slots.c.kind != Kind.TEST.value,
            # A message is seen days after its date at the most, and no earlier than the day before it in any zone.
            slots.c.date >= date.fromordinal(since.date().toordinal() - 7),
            mailboxes.c.removed_at.is_(None),
            sightings.c.placement.in_((*_READABLE, Placement.SPAM.value)),
            or_(rescued, and_(sightings.c.placement.in_(_READABLE), ~in_junk)),
            ~exists().where(answer.c.in_reply_to == slots.c.id),
            ~answered_by_others(slots.c.id),
        )
        .group_by(slots.c.id, mailboxes.c.id)
        .having(func.min(sightings.c.at) >= since, func.min(sightings.c.at) < until)
        .order_by(slots.c.id)
    )
    return tuple(_answer(row) for row in connection.execute(query).mappings())


def _answer(row: RowMapping) -> Answerable:
    return Answerable(slot=slot_of(row), receiver=row["receiver"], seen_at=row["seen_at"], length=row["length"])


def _replies(connection: Connection, mailbox_id: MailboxId, since: date) -> dict[str, int]:
    seen = [place.value for place in Placement if place.is_seen]
    arrived = exists().where(sightings.c.slot_id == slots.c.id, sightings.c.placement.in_(seen))
    query = (
        select(mailboxes.c.receiver, func.count().label("n"))
        .join(mailboxes, mailboxes.c.id == slots.c.mailbox_id)
        .where(slots.c.recipient_id == mailbox_id, slots.c.date >= since, slots.c.kind == Kind.REPLY.value, arrived)
        .group_by(mailboxes.c.receiver)
    )
    return {row.receiver: row.n for row in connection.execute(query)}
