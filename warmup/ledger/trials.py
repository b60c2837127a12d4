"""What attribution asks: messages of the whole fleet that were judged by a receiver, with all that they share.

The newest `most` of them: of a fleet that sends more, these are enough, and looking at them costs the same whatever its
size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from warmup.ledger.believed import Seen, landing
from warmup.ledger.reports import bounced
from warmup.ledger.sightings import Stage
from warmup.ledger.store import Store
from warmup.ledger.tables import mailboxes, outcomes, sightings, slots
from warmup.mail.answer import Reply
from warmup.policy.fate import Kind, Outcome, Placement
from warmup.policy.mailbox import Role

MOST = 20_000

# Rebuffs are few: no more than so many attempts for each are searched for them.
_ATTEMPTS_EACH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One message. `mailbox` and `seed` are addresses, `provider` is the receiving one, `date` the slot's.

    It was placed (`placement`, the one that counts), or rebuffed with a `reply`; the other is None.
    """

    date: date
    mailbox: str
    domain: str
    provider: str
    seed: str
    control: bool
    grammar: str
    placement: Placement | None = None
    reply: Reply | None = None


class TrialReader:
    """Reads what attribution crosses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def recent(self, *, since: datetime, most: int = MOST) -> tuple[Tried, ...]:
        """The newest messages placed or rebuffed on dates from `since` on, oldest first; at most `most` of either."""
        # No zone is more than a day behind UTC.
        return await self._store.read(_recent, (since - timedelta(days=1)).date(), most)


def _recent(connection: Connection, since: date, most: int) -> tuple[Tried, ...]:
    found = [*_placed(connection, since, most), *_rebuffed(connection, since, most)]
    return tuple(sorted(found, key=lambda tried: tried.date))


def _shared() -> tuple[Any, ...]:
    return (
        slots.c.id,
        slots.c.date,
        slots.c.provider,
        slots.c.grammar,
        _SENDER.c.address.label("mailbox"),
        _SENDER.c.domain,
        _SEED.c.address.label("seed"),
        _SEED.c.role,
    )


_SENDER, _SEED = mailboxes.alias("sender"), mailboxes.alias("seed")


def _placed(connection: Connection, since: date, most: int) -> Iterator[Tried]:
    newest = (
        select(sightings.c.slot_id)
        .where(sightings.c.date >= since, sightings.c.stage == Stage.FIRST.value)
        .order_by(sightings.c.id.desc())
        .limit(most)
    )
    taken = (
        select(func.count())
        .where(outcomes.c.slot_id == slots.c.id, outcomes.c.outcome == Outcome.ACCEPTED.value)
        .scalar_subquery()
        .label("taken")
    )
    query = _joined(
        select(
            *_shared(),
            taken,
            bounced(slots.c.id).label("bounced"),
            sightings.c.stage,
            sightings.c.placement,
            sightings.c.at,
        ).join(sightings, sightings.c.slot_id == slots.c.id)
    ).where(slots.c.id.in_(newest))
    rows = connection.execute(query.order_by(slots.c.id, sightings.c.id)).mappings()
    for _, group in groupby(rows, key=lambda row: row["id"]):
        seen = list(group)
        placement = _placement(seen)
        if placement is not None:
            yield Tried(**_fields(seen[0]), placement=placement)


def _placement(rows: Sequence[RowMapping]) -> Placement | None:
    """The placement that counts; None where it is evidence of nothing."""
    landed = landing(
        [Seen(stage=Stage(row["stage"]), placement=Placement(row["placement"]), at=row["at"]) for row in rows]
    )
    if landed is None or not landed.placement.is_evidence:
        return None
    # What nobody had taken is not missing: an uncertain message may never have been handed over. Nor is what came back.
    return landed.judged if landed.placement.is_seen or (rows[0]["taken"] and not rows[0]["bounced"]) else None


def _rebuffed(connection: Connection, since: date, most: int) -> Iterator[Tried]:
    newest = select(func.coalesce(func.max(outcomes.c.attempt_id), 0)).scalar_subquery()
    query = (
        _joined(
            select(*_shared(), outcomes.c.reply_code, outcomes.c.status, outcomes.c.reply).join(
                outcomes, outcomes.c.slot_id == slots.c.id
            )
        )
        .where(
            outcomes.c.date >= since,
            outcomes.c.attempt_id > newest - _ATTEMPTS_EACH * most,
            outcomes.c.outcome.in_((Outcome.REFUSED.value, Outcome.DEFERRED.value)),
            outcomes.c.reply_code.is_not(None),
        )
        .order_by(outcomes.c.attempt_id.desc())
        .limit(most)
    )
    for row in connection.execute(query).mappings():
        reply = Reply(code=row["reply_code"], status=row["status"], text=row["reply"])
        yield Tried(**_fields(row), reply=reply)


def _joined(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    sent = query.join(_SENDER, _SENDER.c.id == slots.c.mailbox_id).join(_SEED, _SEED.c.id == slots.c.recipient_id)
    return sent.where(slots.c.kind != Kind.TEST.value)


def _fields(row: RowMapping) -> dict[str, Any]:
    return {
        "date": row["date"],
        "mailbox": row["mailbox"],
        "domain": row["domain"],
        "provider": row["provider"],
        "seed": row["seed"],
        "control": Role(row["role"]) is Role.CONTROL,
        "grammar": row["grammar"],
    }
