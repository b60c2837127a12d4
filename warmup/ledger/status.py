"""The fleet at a glance, and its totals: one pass over what is current, whatever the number of mailboxes."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, exists, func, or_, select

from warmup.ledger.authentications import read_shares
from warmup.ledger.believed import SEEN, Fate, fate, taken
from warmup.ledger.enrolled import account_name, mailbox_of
from warmup.ledger.reports import read_report_totals
from warmup.ledger.sightings import Stage
from warmup.ledger.situation import COUNTED
from warmup.ledger.slots import warms
from warmup.ledger.standings import Judged, read_all_standings
from warmup.ledger.store import Store
from warmup.ledger.tables import (
    accounts,
    days,
    due_slots,
    engagement_ends,
    engagements,
    flights,
    holds,
    kept_uses,
    lapses,
    mailboxes,
    outcomes,
    own_messages,
    sightings,
    slots,
    suppressions,
)
from warmup.mail.answer import Reply
from warmup.policy.authentication import Method, Share
from warmup.policy.fate import Action, Cap, Kind, Outcome, Placement, Source
from warmup.policy.mailbox import Mailbox
from warmup.policy.quota import DAY
from warmup.policy.standing import Standing, worst


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Nothing is sent until then, to anybody or to one receiving `provider`; `reason` is the server's word."""

    provider: str | None
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One mailbox now. Today is its own civil date; where that is not planned yet, target and sent are 0.

    `day` is the last planned day of its ramp, 0 of none. `sent_24h` counts accepted, uncertain and in flight of the
    account, `own_24h` the operator's own besides. `standing` is the worst of its lanes, itself and its domain.
    `suppressed` is why nobody writes to it, `holds` what holds its sending now, `authentication` how its messages fared
    lately, by receiving provider.
    """

    mailbox: Mailbox
    account: str
    day: int
    target_today: int
    sent_today: int
    capped_by: Cap | None
    reason: str
    sent_24h: int
    own_24h: int
    judged: Judged
    problem_at: datetime | None
    suppressed: str | None = None
    holds: tuple[Held, ...] = ()
    authentication: Mapping[str, Mapping[Method, Share]] = field(default_factory=dict)

    @property
    def standing(self) -> Standing | None:
        """The worst of what was judged; None where nothing was. Of whom nothing is known is no better than watched."""
        mine = [one.standing for one in (*self.judged.lanes.values(), self.judged.mailbox) if one]
        house = [self.judged.domain.standing] if self.judged.domain else []
        return worst((*mine, *house, *(() if mine else (Standing.WATCHED,)))) if mine or house else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts over the whole history. Slots are counted by how they ended, those still open not at all.

    Keys: `messages` (address, provider, outcome), `placements` (address, provider, first placement), `replies` and
    `rescues` address (the sender of what was answered or rescued), `rebuffs` (provider, reply of a refusal), `bounces`
    (provider, reply in a delivery report, its action), `complaints` (address, provider).
    """

    messages: Mapping[tuple[str, str, str], int]
    placements: Mapping[tuple[str, str, str], int]
    replies: Mapping[str, int]
    rescues: Mapping[str, int]
    rebuffs: Mapping[tuple[str, Reply], int]
    bounces: Mapping[tuple[str, Reply, str], int] = field(default_factory=dict)
    complaints: Mapping[tuple[str, str], int] = field(default_factory=dict)


class StatusReader:
    """Reads the fleet as it stands."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def fleet(self, *, now: datetime) -> tuple[Overview, ...]:
        """Every enrolled mailbox, by address."""
        return await self._store.read(_fleet, now=now)

    async def totals(self) -> Totals:
        """Counts over the whole history."""
        return await self._store.read(_totals)


def _fleet(connection: Connection, *, now: datetime) -> tuple[Overview, ...]:
    uses = _Uses.read(connection, now)
    judged = read_all_standings(connection)
    sent = _sent_by_date(connection, now)
    held = _holds(connection, now)
    vouched: defaultdict[int, dict[str, Mapping[Method, Share]]] = defaultdict(dict)
    for (mailbox_id, provider), found_shares in read_shares(connection, now).items():
        vouched[mailbox_id][provider] = found_shares
    found = []
    for row in connection.execute(fleet_query(now)).mappings():
        mailbox = mailbox_of(row)
        today = now.astimezone(mailbox.zone).date()
        is_today = row["plan_date"] == today
        found.append(
            Overview(
                mailbox=mailbox,
                account=account_name(row["account_host"], row["account_user"]),
                day=row["plan_day"] or 0,
                target_today=row["plan_target"] if is_today else 0,
                sent_today=sent[mailbox.id, today],
                capped_by=Cap(row["capped_by"]) if is_today and row["capped_by"] else None,
                reason=row["plan_reason"] if is_today else "",
                sent_24h=uses.ours[mailbox.account_id],
                own_24h=uses.own[mailbox.account_id],
                judged=judged.of(mailbox.id, mailbox.domain),
                problem_at=row["problem_at"],
                suppressed=row["suppressed"],
                holds=held.get(mailbox.account_id, ()),
                authentication=vouched[mailbox.id],
            )
        )
    return tuple(sorted(found, key=lambda overview: overview.mailbox.address))


def fleet_query(now: datetime) -> Select[*tuple[Any, ...]]:
    """Enrolled mailboxes with their last planned day."""
    # No zone is more than a day ahead of UTC.
    planned = days.alias("planned")
    last = (
        select(func.max(planned.c.date))
        .where(planned.c.mailbox_id == mailboxes.c.id, planned.c.date <= (now + timedelta(days=1)).date())
        .scalar_subquery()
    )
    return (
        select(
            mailboxes,
            accounts.c.smtp_host.label("account_host"),
            accounts.c.username.label("account_user"),
            days.c.date.label("plan_date"),
            days.c.day.label("plan_day"),
            days.c.target.label("plan_target"),
            days.c.capped_by,
            days.c.reason.label("plan_reason"),
            suppressions.c.reason.label("suppressed"),
        )
        .join(accounts, accounts.c.id == mailboxes.c.account_id)
        .outerjoin(days, and_(days.c.mailbox_id == mailboxes.c.id, days.c.date == last))
        .outerjoin(suppressions, suppressions.c.address == mailboxes.c.address_key)
        .where(mailboxes.c.removed_at.is_(None))
    )


def _holds(connection: Connection, now: datetime) -> dict[int, tuple[Held, ...]]:
    """The longest hold of each account and of each of its lanes, by account."""
    found: defaultdict[int, dict[str, Held]] = defaultdict(dict)
    for row in connection.execute(select(holds).where(holds.c.until > now).order_by(holds.c.until)):
        found[row.account_id][row.provider] = Held(provider=row.provider or None, until=row.until, reason=row.reason)
    return {account: tuple(by[lane] for lane in sorted(by)) for account, by in found.items()}


def _sent_by_date(connection: Connection, now: datetime) -> Counter[tuple[int, date]]:
    """Messages believed accepted of the dates that are today somewhere, by mailbox and date."""
    around = [(now + timedelta(days=shift)).date() for shift in (-1, 0, 1)]
    query = (
        select(outcomes.c.mailbox_id, outcomes.c.date, func.count(outcomes.c.slot_id.distinct()).label("n"))
        .where(outcomes.c.date.in_(around), taken(), warms(outcomes.c.slot_id))
        .group_by(outcomes.c.mailbox_id, outcomes.c.date)
    )
    return Counter({(row.mailbox_id, row.date): row.n for row in connection.execute(query)})


@dataclass(frozen=True, slots=True)
class _Uses:
    """What every account used in the last 24 hours."""

    ours: Counter[int]
    own: Counter[int]

    @classmethod
    def read(cls, connection: Connection, now: datetime) -> "_Uses":
        counted = and_(outcomes.c.at > now - DAY, outcomes.c.outcome.in_(COUNTED))
        ours = _by_account(connection, outcomes.c.account_id, counted)
        ours += _by_account(connection, flights.c.account_id, None)
        ours += _by_account(connection, kept_uses.c.account_id, kept_uses.c.at > now - DAY)
        return cls(ours, _by_account(connection, own_messages.c.account_id, own_messages.c.at > now - DAY))


def _by_account(connection: Connection, account: Any, which: ColumnElement[bool] | None) -> Counter[int]:
    query = select(account.label("account"), func.count().label("n")).group_by(account)
    rows = connection.execute(query if which is None else query.where(which))
    return Counter({row.account: row.n for row in rows})


def _totals(connection: Connection) -> Totals:
    named = {row.id: row.address for row in connection.execute(select(mailboxes.c.id, mailboxes.c.address))}
    messages = _messages(connection)
    placements = _placements(connection)
    reported = read_report_totals(connection)
    replies = Counter(_replies(connection)) + reported.answers
    return Totals(
        messages={(named[who], provider, word): n for (who, provider, word), n in messages.items() if n},
        placements={(named[who], provider, word): n for (who, provider, word), n in placements.items() if n},
        replies={named[who]: n for who, n in replies.items()},
        rescues={named[who]: n for who, n in _rescues(connection).items()},
        rebuffs=_rebuffs(connection),
        bounces=reported.bounces,
        complaints={(named[who], provider): n for (who, provider), n in reported.complaints.items()},
    )


Lane = tuple[int, str, str]


def _messages(connection: Connection) -> Counter[Lane]:
    """Slots by how they ended. What was accepted at once is counted, only the rest is folded slot by slot."""
    counts: Counter[Lane] = Counter()
    lane = (outcomes.c.mailbox_id, outcomes.c.provider)
    accepted = outcomes.c.outcome == Outcome.ACCEPTED.value
    for row in connection.execute(select(*lane, func.count().label("n")).where(accepted).group_by(*lane)):
        counts[row.mailbox_id, row.provider, Fate.ACCEPTED.value] += row.n
    tried = exists().where(outcomes.c.slot_id == lapses.c.slot_id)
    query = select(slots.c.mailbox_id, slots.c.provider, func.count().label("n"))
    never_tried = query.join(lapses, lapses.c.slot_id == slots.c.id).where(~tried)
    for row in connection.execute(never_tried.group_by(slots.c.mailbox_id, slots.c.provider)):
        counts[row.mailbox_id, row.provider, Fate.LAPSED.value] += row.n
    for unclear in connection.execute(_unclear_query()).mappings():
        counts[unclear["mailbox_id"], unclear["provider"], _unclear_fate(unclear).value] += 1
    return counts


def _unclear_query() -> Select[*tuple[Any, ...]]:
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
    ).where(outcomes.c.outcome != Outcome.ACCEPTED.value, ~superseded, ~waits, ~flies)


def _unclear_fate(row: RowMapping) -> Fate:
    if row["seen"]:
        return Fate.ACCEPTED
    last = (Outcome(row["outcome"]), Source(row["source"]))
    return fate(last, None, in_flight=False, lapsed=row["lapsed"])[0]


def _placements(connection: Connection) -> Counter[Lane]:
    """First placements, tests' left out; late arrivals count where they arrived, and what nobody had is not missing."""
    counts: Counter[Lane] = Counter()
    first, second = sightings.alias("first_one"), sightings.alias("second_one")

    def add(columns: Any, which: ColumnElement[bool], sign: int) -> None:
        lane = (columns.mailbox_id, columns.provider, columns.placement)
        counted = select(*lane, func.count().label("n")).where(which, warms(columns.slot_id)).group_by(*lane)
        for row in connection.execute(counted):
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


def _replies(connection: Connection) -> dict[int, int]:
    """Answers that arrived, by whom they answer."""
    arrived = exists().where(sightings.c.slot_id == slots.c.id, sightings.c.placement.in_(SEEN))
    query = (
        select(slots.c.recipient_id, func.count().label("n"))
        .where(slots.c.in_reply_to.is_not(None), slots.c.kind == Kind.REPLY.value, arrived)
        .group_by(slots.c.recipient_id)
    )
    return {row.recipient_id: row.n for row in connection.execute(query)}


def _rescues(connection: Connection) -> dict[int, int]:
    query = (
        select(slots.c.mailbox_id, func.count().label("n"))
        .join(engagements, engagements.c.slot_id == slots.c.id)
        .join(engagement_ends, engagement_ends.c.engagement_id == engagements.c.id)
        .where(engagements.c.action == Action.RESCUE.value, engagement_ends.c.result == "done")
        .group_by(slots.c.mailbox_id)
    )
    return {row.mailbox_id: row.n for row in connection.execute(query)}


def _rebuffs(connection: Connection) -> dict[tuple[str, Reply], int]:
    said = (outcomes.c.provider, outcomes.c.reply_code, outcomes.c.status, outcomes.c.reply)
    query = (
        select(*said, func.count().label("n"))
        .where(outcomes.c.outcome == Outcome.REFUSED.value, outcomes.c.reply_code.is_not(None))
        .group_by(*said)
    )
    return {
        (row.provider, Reply(code=row.reply_code, status=row.status, text=row.reply)): row.n
        for row in connection.execute(query)
    }
