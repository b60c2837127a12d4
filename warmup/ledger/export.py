"""History out, row by row, in the shapes of the `export` verb: JSON-ready values, instants as ISO 8601 in UTC with Z.

Each export reads page after page by key, so that memory stays bounded whatever the size, and no page holds a snapshot
for long: the daemon goes on writing. What is believed of a slot is folded in `believed`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping, and_, select

from warmup.ledger.believed import Fate, Landing, Seen, fate, landing
from warmup.ledger.enrolled import account_name
from warmup.ledger.sightings import Stage
from warmup.ledger.store import Store
from warmup.ledger.sums import OWN, SENT, Lane, kept_sums, sums_of
from warmup.ledger.tables import (
    accounts,
    attempts,
    days,
    engagement_ends,
    engagements,
    flights,
    lane_days,
    lapses,
    mailboxes,
    outcomes,
    own_messages,
    sightings,
    slots,
    standings,
)
from warmup.policy.fate import Outcome, Placement, Source
from warmup.policy.mailbox import MailboxId

Row = dict[str, Any]
PAGE = 500

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)


class ExportReader:
    """Streams the history. `since` is inclusive, `until` exclusive, both in the ledger's own time; None: no bound."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def messages(self, *, since: datetime | None = None, until: datetime | None = None) -> AsyncIterator[Row]:
        """One row a slot in any state, by slot; bounds are of its due instant."""
        return self._pages(_messages, "slot", since, until)

    def attempts(self, *, since: datetime | None = None, until: datetime | None = None) -> AsyncIterator[Row]:
        """One row an attempt, oldest first; bounds are of its claim."""
        return self._pages(_attempts, "id", since, until)

    def placements(self, *, since: datetime | None = None, until: datetime | None = None) -> AsyncIterator[Row]:
        """One row a sighting, oldest first; bounds are of its instant."""
        return self._pages(_placements, "id", since, until)

    def standings(self, *, since: datetime | None = None, until: datetime | None = None) -> AsyncIterator[Row]:
        """One row a judgement, oldest first; bounds are of its instant."""
        return self._pages(_standings, "id", since, until)

    async def daily(self, *, since: datetime | None = None, until: datetime | None = None) -> AsyncIterator[Row]:
        """One row a lane and planned date, mailbox by mailbox; bounds are of the civil date.

        `own` is the mailbox's own traffic of that date over all providers, the same in each of its lanes.
        """
        ids = await self._store.read(_mailbox_ids)
        for mailbox_id in ids:
            for row in await self._store.read(_daily, mailbox_id, *_dates(since, until)):
                yield row

    async def _pages(
        self,
        page: Callable[[Connection, int, datetime, datetime], list[Row]],
        key: str,
        since: datetime | None,
        until: datetime | None,
    ) -> AsyncIterator[Row]:
        after = 0
        while rows := await self._store.read(page, after, since or _ALWAYS, until or _NEVER):
            after = rows[-1][key]
            for row in rows:
                yield {name: value for name, value in row.items() if name != "id"}


def instant(at: datetime | None) -> str | None:
    """An instant as every export says it, to the microsecond."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _messages(connection: Connection, after: int, since: datetime, until: datetime) -> list[Row]:
    sender, recipient, parent = mailboxes.alias("sender"), mailboxes.alias("recipient"), slots.alias("parent")
    query = (
        select(
            slots,
            sender.c.address.label("sender"),
            recipient.c.address.label("recipient"),
            accounts.c.smtp_host,
            accounts.c.username,
            parent.c.message_id.label("answers"),
            lapses.c.slot_id.label("lapsed"),
            flights.c.attempt_id.label("flies"),
        )
        .join(sender, sender.c.id == slots.c.mailbox_id)
        .join(recipient, recipient.c.id == slots.c.recipient_id)
        .join(accounts, accounts.c.id == slots.c.account_id)
        .outerjoin(parent, parent.c.id == slots.c.in_reply_to)
        .outerjoin(lapses, lapses.c.slot_id == slots.c.id)
        .outerjoin(flights, flights.c.slot_id == slots.c.id)
        .where(slots.c.id > after, slots.c.due_at >= since, slots.c.due_at < until)
        .order_by(slots.c.id)
        .limit(PAGE)
    )
    rows = connection.execute(query).mappings().all()
    ids = [row["id"] for row in rows]
    tries, seen, done = _tries(connection, ids), _seen(connection, ids), _engaged(connection, ids)
    return [_message(row, tries[row["id"]], landing(seen[row["id"]]), done[row["id"]]) for row in rows]


def _message(row: RowMapping, tries: list[RowMapping], landed: Landing | None, engaged: list[str]) -> Row:
    last = tries[-1] if tries else None
    ended = last is not None and last["outcome"] is not None
    known = (Outcome(last["outcome"]), Source(last["source"])) if last is not None and ended else None
    state, source = fate(known, landed, in_flight=row["flies"] is not None, lapsed=row["lapsed"] is not None)
    return {
        "slot": row["id"],
        "mailbox": row["sender"],
        "account": account_name(row["smtp_host"], row["username"]),
        "recipient": row["recipient"],
        "provider": row["provider"],
        "kind": row["kind"],
        "thread": row["thread_id"],
        "in_reply_to": row["answers"],
        "message_id": row["message_id"],
        "date": row["date"].isoformat(),
        "due_at": instant(row["due_at"]),
        "attempts": len(tries),
        "claimed_at": instant(last["claimed_at"]) if last else None,
        "outcome_at": instant(last["at"]) if last else None,
        "outcome": state.value,
        "outcome_source": source.value if source else None,
        "reply_code": last["reply_code"] if last else None,
        "status": last["status"] if last else None,
        "reply": last["reply"] if last else None,
        "placement": landed.placement.value if landed else None,
        "reclassified": landed.reclassified.value if landed and landed.reclassified else None,
        "sighted_at": instant(landed.at) if landed and landed.placement.is_seen else None,
        "folder": landed.folder if landed else None,
        "engaged": engaged,
    }


def _tries(connection: Connection, ids: Sequence[int]) -> defaultdict[int, list[RowMapping]]:
    query = (
        select(
            attempts.c.slot_id,
            attempts.c.claimed_at,
            outcomes.c.at,
            outcomes.c.outcome,
            outcomes.c.source,
            outcomes.c.reply_code,
            outcomes.c.status,
            outcomes.c.reply,
        )
        .outerjoin(outcomes, outcomes.c.attempt_id == attempts.c.id)
        .where(attempts.c.slot_id.in_(ids))
        .order_by(attempts.c.slot_id, attempts.c.ordinal)
    )
    found: defaultdict[int, list[RowMapping]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["slot_id"]].append(row)
    return found


def _seen(connection: Connection, ids: Sequence[int]) -> defaultdict[int, list[Seen]]:
    found: defaultdict[int, list[Seen]] = defaultdict(list)
    query = select(sightings).where(sightings.c.slot_id.in_(ids)).order_by(sightings.c.id)
    for row in connection.execute(query):
        seen = Seen(stage=Stage(row.stage), placement=Placement(row.placement), at=row.at, folder=row.folder)
        found[row.slot_id].append(seen)
    return found


def _engaged(connection: Connection, ids: Sequence[int]) -> defaultdict[int, list[str]]:
    query = (
        select(engagements.c.slot_id, engagements.c.action)
        .join(engagement_ends, engagement_ends.c.engagement_id == engagements.c.id)
        .where(engagements.c.slot_id.in_(ids), engagement_ends.c.result == "done")
        .order_by(engagements.c.id)
    )
    found: defaultdict[int, list[str]] = defaultdict(list)
    for row in connection.execute(query):
        if row.action not in found[row.slot_id]:
            found[row.slot_id].append(row.action)
    return found


def _attempts(connection: Connection, after: int, since: datetime, until: datetime) -> list[Row]:
    query = (
        select(attempts, outcomes)
        .outerjoin(outcomes, outcomes.c.attempt_id == attempts.c.id)
        .where(attempts.c.id > after, attempts.c.claimed_at >= since, attempts.c.claimed_at < until)
        .order_by(attempts.c.id)
        .limit(PAGE)
    )
    return [
        {
            "id": row[attempts.c.id],
            "slot": row[attempts.c.slot_id],
            "ordinal": row["ordinal"],
            "claimed_at": instant(row["claimed_at"]),
            "outcome_at": instant(row["at"]),
            "outcome": row["outcome"] or Fate.IN_FLIGHT.value,
            "source": row["source"],
            "reply_code": row["reply_code"],
            "status": row["status"],
            "reply": row["reply"],
            "node": row["node"],
        }
        for row in connection.execute(query).mappings()
    ]


def _placements(connection: Connection, after: int, since: datetime, until: datetime) -> list[Row]:
    sender, recipient = mailboxes.alias("sender"), mailboxes.alias("recipient")
    query = (
        select(sightings, sender.c.address.label("sender"), recipient.c.address.label("recipient"))
        .join(slots, slots.c.id == sightings.c.slot_id)
        .join(sender, sender.c.id == slots.c.mailbox_id)
        .join(recipient, recipient.c.id == slots.c.recipient_id)
        .where(sightings.c.id > after, sightings.c.at >= since, sightings.c.at < until)
        .order_by(sightings.c.id)
        .limit(PAGE)
    )
    return [
        {
            "id": row["id"],
            "slot": row["slot_id"],
            "mailbox": row["sender"],
            "recipient": row["recipient"],
            "provider": row["provider"],
            "date": row["date"].isoformat(),
            "stage": row["stage"],
            "placement": row["placement"],
            "at": instant(row["at"]),
            "folder": row["folder"],
            "delivered_at": instant(row["delivered_at"]),
            "message_id": row["message_id"],
        }
        for row in connection.execute(query).mappings()
    ]


def _standings(connection: Connection, after: int, since: datetime, until: datetime) -> list[Row]:
    query = (
        select(standings)
        .where(standings.c.id > after, standings.c.at >= since, standings.c.at < until)
        .order_by(standings.c.id)
        .limit(PAGE)
    )
    kept = ("subject_kind", "subject", "standing", "thin", "reason", "n", "inbox_ratio", "lower_ratio", "upper_ratio")
    return [
        {
            "id": row["id"],
            "at": instant(row["at"]),
            "provider": row["provider"] or None,
            "since": instant(row["since"]),
            "factor": row["factor"],
            **{name: row[name] for name in kept},
        }
        for row in connection.execute(query).mappings()
    ]


def _dates(since: datetime | None, until: datetime | None) -> tuple[date, date]:
    return (since or _ALWAYS).date(), (until or _NEVER).date()


def _mailbox_ids(connection: Connection) -> list[MailboxId]:
    return [MailboxId(mailbox_id) for mailbox_id in connection.execute(select(mailboxes.c.id)).scalars()]


def _daily(connection: Connection, mailbox_id: MailboxId, since: date, until: date) -> list[Row]:
    who = connection.execute(select(mailboxes).where(mailboxes.c.id == mailbox_id)).mappings().one()
    came = _came(connection, mailbox_id, since, until)
    own = _own(connection, who, since, until)
    query = (
        select(lane_days, days.c.day)
        .join(days, and_(days.c.mailbox_id == lane_days.c.mailbox_id, days.c.date == lane_days.c.date))
        .where(lane_days.c.mailbox_id == mailbox_id, lane_days.c.date >= since, lane_days.c.date < until)
        .order_by(lane_days.c.date, lane_days.c.provider)
    )
    rows = []
    for row in connection.execute(query).mappings():
        lane = (mailbox_id, row["date"], row["provider"])
        rows.append(
            {
                "mailbox": who["address"],
                "provider": row["provider"],
                "date": row["date"].isoformat(),
                "day": row["day"],
                # A lane's volume may be a fraction; the messages of a day are not.
                "ceiling": math.ceil(round(row["ceiling"], 6)),
                "target": row["target"],
                "sent": came[lane, SENT],
                "inbox": came[lane, Placement.INBOX.value],
                "spam": came[lane, Placement.SPAM.value],
                "missing": came[lane, Placement.MISSING.value],
                "own": own[row["date"]] + came[(mailbox_id, row["date"], ""), OWN],
            }
        )
    return rows


def _came(connection: Connection, mailbox_id: MailboxId, since: date, until: date) -> Counter[tuple[Lane, str]]:
    """What the mailbox's dates came to, those included whose messages are forgotten."""
    sent = (outcomes.c.mailbox_id == mailbox_id) & (outcomes.c.date >= since) & (outcomes.c.date < until)
    seen = (sightings.c.mailbox_id == mailbox_id) & (sightings.c.date >= since) & (sightings.c.date < until)
    return sums_of(connection, sent, seen) + kept_sums(connection, [mailbox_id], since, until)


def _own(connection: Connection, who: RowMapping, since: date, until: date) -> defaultdict[date, int]:
    """The operator's own messages by civil date of the mailbox's zone."""
    zone = ZoneInfo(who["timezone"])
    counts: defaultdict[date, int] = defaultdict(int)
    query = select(own_messages.c.at).where(own_messages.c.mailbox_id == who["id"])
    for at in connection.execute(query).scalars():
        on = at.astimezone(zone).date()
        if since <= on < until:
            counts[on] += 1
    return counts
