"""What was planned and what came of it, for the plan to build on: levels, contacts and threads to answer.

All of it is about dates before the one being planned, so that the order in which mailboxes are planned changes
nothing. What a plan asks is read for many mailboxes at once: a query each would cost more than what it reads.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, String, case, cast, exists, func, or_, select

from warmup.ledger.believed import taken
from warmup.ledger.collector import collector_at_rest
from warmup.ledger.engines import many_pages
from warmup.ledger.reports import answered_by_others
from warmup.ledger.slots import warms
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
from warmup.policy.mailbox import MailboxId, SlotId
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
    """One planned date of a mailbox. `level` is its ramp's; None where it was planned before levels were kept."""

    date: date
    day: int
    level: int | None = None
    ceiling: int
    target: int
    capped_by: Cap | None
    reason: str
    accepted: int
    lanes: tuple[LaneDay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerable:
    """A message that a mailbox received where it may read it, and that nobody has answered or plans to.

    `sender_id` wrote it to `recipient_id`; `length` is how many messages its thread has.
    """

    slot_id: SlotId
    sender_id: MailboxId
    recipient_id: MailboxId
    thread_id: str
    grammar: str
    language: str
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
        found = await self.of_many([mailbox_id], since=since, until=until)
        return found.get(mailbox_id, ())

    async def of_many(
        self, ids: Collection[MailboxId], *, since: date | None = None, until: date | None = None
    ) -> dict[MailboxId, tuple[Day, ...]]:
        """The same of several; those that have none are left out."""
        return await self._store.read(_of, tuple(ids), since=since or date.min, until=until or date.max)

    async def day(self, mailbox_id: MailboxId, date: date) -> Day | None:
        """One planned date; None where it was not planned."""
        found = await self.of(mailbox_id, since=date, until=date.fromordinal(date.toordinal() + 1))
        return found[0] if found else None

    async def planned(self, date: date) -> frozenset[MailboxId]:
        """The mailboxes that have this date planned."""
        return await self._store.read(_planned, date)

    async def last_planned(self) -> dict[MailboxId, date]:
        """The last planned date of every enrolled mailbox that has one."""
        return await self._store.read(_last_planned)

    async def contacts(
        self, ids: Collection[MailboxId], *, since: date, until: date
    ) -> dict[MailboxId, dict[MailboxId, int]]:
        """How many messages of dates from `since` on and before `until` each of `ids` has planned to each recipient."""
        return await self._store.read(_contacts, tuple(ids), since, until)

    async def load(self, *, since: date, until: date) -> dict[MailboxId, int]:
        """The same from all mailboxes together: what every seed was given to receive."""
        return await self._store.read(_load, since, until)

    async def planned_by(self, *, since: date, until: date) -> dict[MailboxId, int]:
        """How many messages every mailbox had planned on those dates."""
        return await self._store.read(_planned_by, since, until)

    async def answerable(
        self, ids: Collection[MailboxId], *, since: datetime, until: datetime, part: tuple[int, int] = (0, 1)
    ) -> tuple[Answerable, ...]:
        """What the mailboxes may answer, seen at or after `since` and before `until`, oldest first.

        Never from Junk, unless the message was rescued (DESIGN, Promises 5). Where a mailbox receives far more than it
        answers, `part` (k, n) looks at every n-th message only, from the k-th on.
        """
        return await self._store.read(_answerable, tuple(ids), since, until, part)

    async def replies(self, mailbox_id: MailboxId, *, since: date) -> dict[str, int]:
        """Answers to this mailbox that arrived, of dates from `since` on, by the provider of who answered."""
        return await self._store.read(_replies, mailbox_id, since)


def _of(
    connection: Connection, ids: tuple[MailboxId, ...], *, since: date, until: date
) -> dict[MailboxId, tuple[Day, ...]]:
    with collector_at_rest(), many_pages(connection, len(ids)):
        return _days_of(connection, ids, since, until)


def _days_of(
    connection: Connection, ids: tuple[MailboxId, ...], since: date, until: date
) -> dict[MailboxId, tuple[Day, ...]]:
    accepted = _accepted(connection, ids, since, until)
    lanes: dict[tuple[int, date], list[LaneDay]] = {}
    whole: Counter[tuple[int, date]] = Counter()
    for (mailbox_id, on, _), n in accepted.items():
        whole[mailbox_id, on] += n
    theirs = lane_days.c.mailbox_id.in_(ids) & (lane_days.c.date >= since) & (lane_days.c.date < until)
    by_key = (lane_days.c.mailbox_id, lane_days.c.date, lane_days.c.provider)
    rows = connection.execute(select(*(lane_days.c[name] for name in _LANE)).where(theirs).order_by(*by_key))
    # Taken apart by place: there are hundreds of these for every mailbox, and names cost more than the rest.
    for mailbox_id, on, provider, level, ceiling, factor, target, standing in rows:
        lane = LaneDay(
            provider=provider,
            level=level,
            ceiling=ceiling,
            factor=factor,
            target=target,
            standing=Standing(standing),
            accepted=accepted.get((mailbox_id, on, provider), 0),
        )
        lanes.setdefault((mailbox_id, on), []).append(lane)
    theirs = days.c.mailbox_id.in_(ids) & (days.c.date >= since) & (days.c.date < until)
    found: dict[MailboxId, list[Day]] = {}
    for row in connection.execute(select(*days.c).where(theirs).order_by(days.c.mailbox_id, days.c.date)):
        key = (row.mailbox_id, row.date)
        found.setdefault(MailboxId(row.mailbox_id), []).append(_day(row, whole[key], tuple(lanes.get(key, ()))))
    return {mailbox_id: tuple(planned) for mailbox_id, planned in found.items()}


_LANE: Final = ("mailbox_id", "date", "provider", "level", "ceiling", "factor", "target", "standing")


def _accepted(
    connection: Connection, ids: tuple[MailboxId, ...], since: date, until: date
) -> dict[tuple[int, date, str], int]:
    theirs = outcomes.c.mailbox_id.in_(ids) & (outcomes.c.date >= since) & (outcomes.c.date < until)
    key = (outcomes.c.mailbox_id, outcomes.c.date, outcomes.c.provider)
    counted = func.count(outcomes.c.slot_id.distinct()).label("n")
    query = select(*key, counted).where(theirs, taken(), warms(outcomes.c.slot_id)).group_by(*key)
    found = Counter({(row.mailbox_id, row.date, row.provider): row.n for row in connection.execute(query)})
    for (lane, word), n in kept_sums(connection, ids, since, until).items():
        if word == SENT and lane[2]:
            found[lane] += n
    return found


def _day(row: Row[*tuple[Any, ...]], accepted: int, lanes: tuple[LaneDay, ...]) -> Day:
    return Day(
        date=row.date,
        day=row.day,
        level=row.level,
        ceiling=row.ceiling,
        target=row.target,
        capped_by=None if row.capped_by is None else Cap(row.capped_by),
        reason=row.reason,
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


def _contacts(
    connection: Connection, ids: tuple[MailboxId, ...], since: date, until: date
) -> dict[MailboxId, dict[MailboxId, int]]:
    # One row a mailbox, counted here: a row for every pair would be half a thousand of them each.
    theirs = slots.c.mailbox_id.in_(ids) & (slots.c.date >= since) & (slots.c.date < until)
    theirs &= slots.c.kind != Kind.TEST.value
    recipients = func.aggregate_strings(cast(slots.c.recipient_id, String), ",").label("recipients")
    query = select(slots.c.mailbox_id, recipients).where(theirs).group_by(slots.c.mailbox_id)
    return {
        MailboxId(row.mailbox_id): {MailboxId(int(to)): n for to, n in Counter(row.recipients.split(",")).items()}
        for row in connection.execute(query)
    }


def _load(connection: Connection, since: date, until: date) -> dict[MailboxId, int]:
    between = (slots.c.date >= since) & (slots.c.date < until) & (slots.c.kind != Kind.TEST.value)
    query = select(slots.c.recipient_id, func.count().label("n")).where(between).group_by(slots.c.recipient_id)
    return {MailboxId(row.recipient_id): row.n for row in connection.execute(query)}


def _planned_by(connection: Connection, since: date, until: date) -> dict[MailboxId, int]:
    between = (days.c.date >= since) & (days.c.date < until)
    query = select(days.c.mailbox_id, func.sum(days.c.target).label("n")).where(between).group_by(days.c.mailbox_id)
    return {MailboxId(row.mailbox_id): int(row.n) for row in connection.execute(query)}


def _answerable(
    connection: Connection, ids: tuple[MailboxId, ...], since: datetime, until: datetime, part: tuple[int, int]
) -> tuple[Answerable, ...]:
    with collector_at_rest(), many_pages(connection, len(ids)):
        return _seen_between(connection, ids, since, until, part)


def _seen_between(
    connection: Connection, ids: tuple[MailboxId, ...], since: datetime, until: datetime, part: tuple[int, int]
) -> tuple[Answerable, ...]:
    first_seen = func.min(sightings.c.at)
    query = _received(ids, since, part).having(first_seen >= since, first_seen < until)
    # Sorted here: the database would carry every row's texts through the sort.
    return tuple(
        Answerable(
            slot_id=slot_id,
            sender_id=sender_id,
            recipient_id=recipient_id,
            thread_id=thread_id,
            grammar=grammar,
            language=language,
            seen_at=seen_at,
            length=n,
        )
        for slot_id, sender_id, recipient_id, thread_id, grammar, language, seen_at, n in sorted(
            connection.execute(query), key=itemgetter(0)
        )
    )


def _received(ids: tuple[MailboxId, ...], since: datetime, part: tuple[int, int]) -> Select[*tuple[Any, ...]]:
    """What the mailboxes received where they may read it and nobody answered, and when each was first seen."""
    which, every = part
    shown = (slots.c.id, slots.c.mailbox_id, slots.c.recipient_id, slots.c.thread_id, slots.c.grammar, slots.c.language)
    answer = slots.alias("answer")
    return (
        select(*shown, func.min(sightings.c.at), _LENGTH)
        .join(sightings, sightings.c.slot_id == slots.c.id)
        .join(mailboxes, mailboxes.c.id == slots.c.mailbox_id)
        .where(
            slots.c.recipient_id.in_(ids),
            slots.c.kind != Kind.TEST.value,
            # A message is seen days after its date at the most, and no earlier than the day before it in any zone.
            slots.c.date >= date.fromordinal(since.date().toordinal() - 7),
            slots.c.id % every == which,
            mailboxes.c.removed_at.is_(None),
            sightings.c.placement.in_((*_READABLE, Placement.SPAM.value)),
            ~exists().where(answer.c.in_reply_to == slots.c.id),
            ~answered_by_others(slots.c.id),
        )
        .group_by(slots.c.id)
        .having(or_(func.sum(_IN_JUNK) == 0, _RESCUED))
    )


_IN_JUNK: Final = case((sightings.c.placement == Placement.SPAM.value, 1), else_=0)
_RESCUED: Final = exists().where(
    engagements.c.slot_id == slots.c.id,
    engagements.c.action == Action.RESCUE.value,
    engagement_ends.c.engagement_id == engagements.c.id,
    engagement_ends.c.result == "done",
)
_OTHER: Final = slots.alias("other")
# What opened a thread and was not answered is the whole of it: only answers have others to be looked for, at random.
_LENGTH: Final = case(
    (slots.c.in_reply_to.is_(None), 1),
    else_=select(func.count()).where(_OTHER.c.thread_id == slots.c.thread_id).scalar_subquery(),
)


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
