"""Counts over the whole history, forgotten messages included: what is shown as ever growing never goes down.

What messages come to is folded from their rows. Before retention deletes the rows of some, their fold is kept in
`bygones`; so the sum of both is the same on the day before and the day after.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, exists, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.believed import SEEN, Fate, fate
from warmup.ledger.reports import ReportTotals, read_report_totals
from warmup.ledger.sightings import Stage
from warmup.ledger.slots import warms
from warmup.ledger.tables import (
    due_slots,
    engagement_ends,
    engagements,
    flights,
    lapses,
    mailboxes,
    outcomes,
    sightings,
    slots,
)
from warmup.ledger.tables_kept import bygones
from warmup.mail.answer import Reply
from warmup.policy.blame import blame, cause_of
from warmup.policy.fate import Action, Kind, Outcome, Placement, Source

Lane = tuple[int, str, str]
Which = Callable[[Any], ColumnElement[bool]]
"""Whose slot id a column holds: all of them, or some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts over the whole history. Slots are counted by how they ended, those still open not at all.

    Keys: `messages` (address, provider, outcome), `placements` (address, provider, first placement), `replies` and
    `rescues` address (the sender of what was answered or rescued), `rebuffs` (provider, reply of a refusal), `bounces`
    (provider, reply in a delivery report, its action), `complaints` (address, provider); `causes` (provider, cause)
    counts refusals and bounces whose words are forgotten.
    """

    messages: Mapping[tuple[str, str, str], int]
    placements: Mapping[tuple[str, str, str], int]
    replies: Mapping[str, int]
    rescues: Mapping[str, int]
    rebuffs: Mapping[tuple[str, Reply], int]
    bounces: Mapping[tuple[str, Reply, str], int] = field(default_factory=dict)
    complaints: Mapping[tuple[str, str], int] = field(default_factory=dict)
    causes: Mapping[tuple[str, str], int] = field(default_factory=dict)


@unique
class Count(StrEnum):
    """What is counted by lane: mailbox, receiving provider and a word, the last two empty where there is none."""

    MESSAGES = "messages"
    PLACEMENTS = "placements"
    REPLIES = "replies"
    RESCUES = "rescues"
    COMPLAINTS = "complaints"
    CAUSES = "causes"


def read_totals(connection: Connection) -> Totals:
    """See `Totals`."""
    named = {row.id: row.address for row in connection.execute(select(mailboxes.c.id, mailboxes.c.address))}
    reported = read_report_totals(connection)
    counts = _lanes(connection, _all, reported)
    for row in connection.execute(select(bygones)):
        counts[Count(row.kind)][row.mailbox_id, row.provider, row.word] += row.n

    def by_lane(kind: Count) -> Counter[tuple[str, str, str]]:
        # One address may have been two mailboxes: removed, and enrolled again.
        found: Counter[tuple[str, str, str]] = Counter()
        for (who, provider, word), n in counts[kind].items():
            found[named.get(who, ""), provider, word] += n
        return +found

    return Totals(
        messages=by_lane(Count.MESSAGES),
        placements=by_lane(Count.PLACEMENTS),
        replies={who: n for (who, _, _), n in by_lane(Count.REPLIES).items()},
        rescues={who: n for (who, _, _), n in by_lane(Count.RESCUES).items()},
        rebuffs=_rebuffs(connection, _all),
        bounces=reported.bounces,
        complaints={(who, provider): n for (who, provider, _), n in by_lane(Count.COMPLAINTS).items()},
        causes={(provider, cause): n for (_, provider, cause), n in by_lane(Count.CAUSES).items()},
    )


def keep_totals(connection: Connection, slot_ids: Collection[int]) -> None:
    """Add to `bygones` what these slots come to: they are deleted next, in the same transaction."""

    def which(column: Any) -> ColumnElement[bool]:
        found: ColumnElement[bool] = column.in_(slot_ids)
        return found

    reported = read_report_totals(connection, which)
    counts = _lanes(connection, which, reported)
    for (provider, reply), n in _rebuffs(connection, which).items():
        counts[Count.CAUSES][_NOBODY, provider, cause_of(reply)] += n
    for (provider, reply, action), n in reported.bounces.items():
        counts[Count.CAUSES][_NOBODY, provider, blame(reply, action=action or None).cause.value] += n
    rows = [
        {"kind": kind.value, "mailbox_id": who, "provider": provider, "word": word, "n": n}
        for kind, counted in counts.items()
        for (who, provider, word), n in counted.items()
        if n
    ]
    if rows:
        add = upsert(bygones)
        more = {"n": bygones.c.n + add.excluded.n}
        key = ["kind", "mailbox_id", "provider", "word"]
        connection.execute(add.on_conflict_do_update(index_elements=key, set_=more), rows)


_NOBODY = 0


def _all(_: Any) -> ColumnElement[bool]:
    return true()


def _lanes(connection: Connection, which: Which, reported: ReportTotals) -> dict[Count, Counter[Lane]]:
    answers = Counter({(who, "", ""): n for who, n in reported.answers.items()})
    return {
        Count.MESSAGES: _messages(connection, which),
        Count.PLACEMENTS: _placements(connection, which),
        Count.REPLIES: Counter({(who, "", ""): n for who, n in _replies(connection, which).items()}) + answers,
        Count.RESCUES: Counter({(who, "", ""): n for who, n in _rescues(connection, which).items()}),
        Count.COMPLAINTS: Counter({(who, provider, ""): n for (who, provider), n in reported.complaints.items()}),
        Count.CAUSES: Counter(),
    }


def _messages(connection: Connection, which: Which) -> Counter[Lane]:
    """Slots by how they ended. What was accepted at once is counted, only the rest is folded slot by slot."""
    counts: Counter[Lane] = Counter()
    lane = (outcomes.c.mailbox_id, outcomes.c.provider)
    accepted = outcomes.c.outcome == Outcome.ACCEPTED.value
    taken = select(*lane, func.count().label("n")).where(accepted, which(outcomes.c.slot_id))
    for row in connection.execute(taken.group_by(*lane)):
        counts[row.mailbox_id, row.provider, Fate.ACCEPTED.value] += row.n
    tried = exists().where(outcomes.c.slot_id == lapses.c.slot_id)
    query = select(slots.c.mailbox_id, slots.c.provider, func.count().label("n"))
    never_tried = query.join(lapses, lapses.c.slot_id == slots.c.id).where(~tried, which(slots.c.id))
    for row in connection.execute(never_tried.group_by(slots.c.mailbox_id, slots.c.provider)):
        counts[row.mailbox_id, row.provider, Fate.LAPSED.value] += row.n
    for unclear in connection.execute(_unclear_query(which)).mappings():
        counts[unclear["mailbox_id"], unclear["provider"], _unclear_fate(unclear).value] += 1
    return counts


def _unclear_query(which: Which) -> Select[*tuple[Any, ...]]:
    """The last outcome of every slot that was tried, is not accepted by SMTP and does not go again."""
    other = outcomes.alias("other")
    superseded = exists().where(
        other.c.slot_id == outcomes.c.slot_id,
        or_(other.c.attempt_id > outcomes.c.attempt_id, other.c.outcome == Outcome.ACCEPTED.value),
    )
    waits = exists().where(due_slots.c.slot_id == outcomes.c.slot_id)
    flies = exists().where(flights.c.slot_id == outcomes.c.slot_id)
    seen = exists().where(sightings.c.slot_id == outcomes.c.slot_id, sightings.c.placement.in_(SEEN))
    lapsed = exists().where(lapses.c.slot_id == outcomes.c.slot_id)
    return select(
        outcomes.c.mailbox_id,
        outcomes.c.provider,
        outcomes.c.outcome,
        outcomes.c.source,
        seen.label("seen"),
        lapsed.label("lapsed"),
    ).where(outcomes.c.outcome != Outcome.ACCEPTED.value, ~superseded, ~waits, ~flies, which(outcomes.c.slot_id))


def _unclear_fate(row: RowMapping) -> Fate:
    if row["seen"]:
        return Fate.ACCEPTED
    last = (Outcome(row["outcome"]), Source(row["source"]))
    return fate(last, None, in_flight=False, lapsed=row["lapsed"])[0]


def _placements(connection: Connection, which: Which) -> Counter[Lane]:
    """First placements, tests' left out; late arrivals count where they arrived, and what nobody had is not missing."""
    counts: Counter[Lane] = Counter()
    first, second = sightings.alias("first_one"), sightings.alias("second_one")

    def add(columns: Any, such: ColumnElement[bool], sign: int) -> None:
        lane = (columns.mailbox_id, columns.provider, columns.placement)
        for row in connection.execute(
            select(*lane, func.count().label("n"))
            .where(such, which(first.c.slot_id), warms(columns.slot_id))
            .group_by(*lane)
        ):
            counts[row.mailbox_id, row.provider, row.placement] += sign * row.n

    add(first.c, first.c.stage == Stage.FIRST.value, 1)
    late = and_(
        first.c.stage == Stage.FIRST.value,
        first.c.placement.not_in(SEEN),
        second.c.slot_id == first.c.slot_id,
        second.c.stage == Stage.SECOND.value,
        second.c.placement.in_(SEEN),
    )
    add(first.c, late, -1)
    add(second.c, late, 1)
    took = exists().where(outcomes.c.slot_id == first.c.slot_id, outcomes.c.outcome == Outcome.ACCEPTED.value)
    arrived = exists().where(second.c.slot_id == first.c.slot_id, second.c.placement.in_(SEEN))
    never = and_(first.c.stage == Stage.FIRST.value, first.c.placement == Placement.MISSING.value, ~took, ~arrived)
    add(first.c, never, -1)
    return counts


def _replies(connection: Connection, which: Which) -> Counter[int]:
    """Answers that arrived, by whom they answer."""
    arrived = exists().where(sightings.c.slot_id == slots.c.id, sightings.c.placement.in_(SEEN))
    query = (
        select(slots.c.recipient_id, func.count().label("n"))
        .where(slots.c.in_reply_to.is_not(None), slots.c.kind == Kind.REPLY.value, arrived, which(slots.c.id))
        .group_by(slots.c.recipient_id)
    )
    return Counter({row.recipient_id: row.n for row in connection.execute(query)})


def _rescues(connection: Connection, which: Which) -> Counter[int]:
    query = (
        select(slots.c.mailbox_id, func.count().label("n"))
        .join(engagements, engagements.c.slot_id == slots.c.id)
        .join(engagement_ends, engagement_ends.c.engagement_id == engagements.c.id)
        .where(engagements.c.action == Action.RESCUE.value, engagement_ends.c.result == "done", which(slots.c.id))
        .group_by(slots.c.mailbox_id)
    )
    return Counter({row.mailbox_id: row.n for row in connection.execute(query)})


def _rebuffs(connection: Connection, which: Which) -> Counter[tuple[str, Reply]]:
    said = (outcomes.c.provider, outcomes.c.reply_code, outcomes.c.status, outcomes.c.reply)
    query = (
        select(*said, func.count().label("n"))
        .where(
            outcomes.c.outcome == Outcome.REFUSED.value, outcomes.c.reply_code.is_not(None), which(outcomes.c.slot_id)
        )
        .group_by(*said)
    )
    return Counter(
        {
            (row.provider, Reply(code=row.reply_code, status=row.status, text=row.reply)): row.n
            for row in connection.execute(query)
        }
    )
