"""What was judged of lanes, mailboxes and domains, what evidence waits to be judged, and who is not written to.

A judgement is added where it differs from the one before it; `standing_heads` leads to the last of every subject.
Evidence leaves a mark on its sender when it is recorded, so that only mailboxes with something new are judged again.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum, unique
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, case, delete, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.prepared import Prepared
from warmup.ledger.store import Store
from warmup.ledger.tables import judge_cursors, mailboxes, standing_heads, standings, suppressions
from warmup.policy.mailbox import MailboxId
from warmup.policy.standing import Standing

_DIGITS = 4


@unique
class Subject(StrEnum):
    """Of what a standing is."""

    LANE = "lane"
    MAILBOX = "mailbox"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was judged of one subject: an address for LANE and MAILBOX, else a domain.

    `provider` is the receiving one, None over all. `n` is the evidence's weight in messages; the ratios are the share
    of inbox placements with its 95 % interval, None of no evidence. `since` is when this standing began. `growth` is
    the most a lane may grow in a day, as a share; None where it was not judged.
    """

    kind: Subject
    subject: str
    mailbox_id: MailboxId | None = None
    provider: str | None = None
    standing: Standing
    thin: bool
    since: datetime
    reason: str
    n: float
    inbox_ratio: float | None = None
    lower_ratio: float | None = None
    upper_ratio: float | None = None
    factor: float
    growth: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The last judgements about a mailbox: of its lanes, itself, its domain, and the domain's lanes."""

    lanes: dict[str, Judgement] = field(default_factory=dict)
    mailbox: Judgement | None = None
    domain: Judgement | None = None
    domain_lanes: dict[str, Judgement] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A mailbox to be judged, and how many marks of new evidence it bears (0: its evidence has only aged)."""

    mailbox_id: MailboxId
    marks: int


class StandingWriter:
    """Writes `standings`, `standing_heads`, `judge_cursors` and `suppressions`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, judgements: Iterable[Judgement], *, now: datetime) -> int:
        """Add the judgements that differ from the last of their subject; the number added."""
        return await self._store.write(_append, tuple(judgements), now=now)

    async def of(self, mailbox_id: MailboxId) -> Judged:
        """The last judgements about a mailbox, its lanes and its domain."""
        return await self._store.read(_of, mailbox_id)

    async def of_many(self, ids: Collection[MailboxId], domains: Collection[str]) -> "AllJudged":
        """The last judgements about several mailboxes, their lanes, and about several domains."""
        return await self._store.read(_of_many, tuple(ids), tuple(domains))

    async def of_domain(self, domain: str) -> Judged:
        """The last judgements about a domain alone."""
        return await self._store.read(_of_domain, domain)

    async def history(self, kind: Subject, subject: str, provider: str | None = None) -> tuple[Judgement, ...]:
        """Every judgement of one subject, oldest first."""
        return await self._store.read(_history, kind, subject, provider)

    async def due(self, *, now: datetime, every: timedelta) -> tuple[Fresh, ...]:
        """Mailboxes with evidence that was not judged yet, and those last judged more than `every` ago."""
        return await self._store.read(_due, now - every)

    async def marks(self, mailbox_id: MailboxId) -> int:
        """How many marks of new evidence a mailbox bears: to be asked before the evidence is read."""
        return await self._store.read(_marks, mailbox_id)

    async def judged(self, mailbox_id: MailboxId, *, marks: int, now: datetime) -> None:
        """Take off the marks that were judged; what came in meanwhile keeps its own."""
        await self._store.write(_judged, mailbox_id, marks, now=now)

    async def suppress(self, address: str, reason: str, *, now: datetime) -> bool:
        """Never write to the address again; False where it is suppressed already."""
        return await self._store.write(suppress_one, address.lower(), reason, now=now)

    async def lift(self, address: str) -> bool:
        """Write to the address again; False where it was not suppressed."""
        return await self._store.write(_lift, address.lower())

    async def suppressed(self) -> frozenset[str]:
        """The suppressed addresses, in lower case."""
        return await self._store.read(_suppressed)


_MARK = Prepared(
    upsert(judge_cursors).on_conflict_do_update(
        index_elements=["mailbox_id"], set_={"fresh": judge_cursors.c.fresh + 1}
    ),
    ("mailbox_id", "fresh"),
)


def mark_fresh(connection: Connection, mailbox_id: int) -> None:
    """Mark a sender as having new evidence; called by whoever records evidence, in the same transaction."""
    _MARK.run(connection, {"mailbox_id": mailbox_id, "fresh": 1})


def read_standing(connection: Connection, kind: Subject, subject: str, provider: str | None) -> Judgement | None:
    """The last judgement of one subject."""
    row = connection.execute(head_query(kind, subject, provider)).mappings().one_or_none()
    return None if row is None else _value(row)


@dataclass(frozen=True, slots=True)
class AllJudged:
    """The last judgements of the whole fleet."""

    mailboxes: dict[MailboxId, Judged]
    domains: dict[str, Judged]

    def of(self, mailbox_id: MailboxId, domain: str) -> Judged:
        """Those about one mailbox and its domain."""
        mine, theirs = self.mailboxes.get(mailbox_id, Judged()), self.domains.get(domain, Judged())
        return Judged(lanes=mine.lanes, mailbox=mine.mailbox, domain=theirs.domain, domain_lanes=theirs.domain_lanes)


def read_all_standings(connection: Connection) -> AllJudged:
    """The last judgement of every subject, in one pass."""
    return _all_judged(connection, _heads())


def _of_many(connection: Connection, ids: tuple[MailboxId, ...], domains: tuple[str, ...]) -> AllJudged:
    is_domain = standing_heads.c.subject_kind == Subject.DOMAIN.value
    theirs = or_(standing_heads.c.mailbox_id.in_(ids), and_(is_domain, standing_heads.c.subject.in_(domains)))
    return _all_judged(connection, _heads().where(theirs))


def _all_judged(connection: Connection, query: Select[*tuple[Any, ...]]) -> AllJudged:
    mailboxes: dict[MailboxId, list[Judgement]] = {}
    domains: dict[str, list[Judgement]] = {}
    for row in connection.execute(query).mappings():
        judgement = _value(row)
        if judgement.mailbox_id is not None:
            mailboxes.setdefault(judgement.mailbox_id, []).append(judgement)
        else:
            domains.setdefault(judgement.subject, []).append(judgement)
    return AllJudged(
        {mailbox_id: _sorted_out(found) for mailbox_id, found in mailboxes.items()},
        {domain: _sorted_out(found) for domain, found in domains.items()},
    )


def head_query(kind: Subject, subject: str, provider: str | None) -> Select[*tuple[Any, ...]]:
    """The last row of one subject, by its head."""
    return _heads().where(
        standing_heads.c.subject_kind == kind.value,
        standing_heads.c.subject == subject,
        standing_heads.c.provider == (provider or ""),
    )


def _heads() -> Select[*tuple[Any, ...]]:
    return select(standings).join(standing_heads, standing_heads.c.standing_id == standings.c.id)


def _append(connection: Connection, judgements: tuple[Judgement, ...], *, now: datetime) -> int:
    added = 0
    for judgement in judgements:
        columns = _columns(judgement)
        last = read_standing(connection, judgement.kind, judgement.subject, judgement.provider)
        if last is not None and _columns(last) == columns:
            continue
        (standing_id,) = connection.execute(insert(standings).values(at=now, **columns)).inserted_primary_key or (0,)
        connection.execute(
            upsert(standing_heads)
            .values(standing_id=standing_id, **{key: columns[key] for key in _KEY}, mailbox_id=columns["mailbox_id"])
            .on_conflict_do_update(index_elements=list(_KEY), set_={"standing_id": standing_id})
        )
        added += 1
    return added


_KEY = ("subject_kind", "subject", "provider")


def _columns(judgement: Judgement) -> dict[str, object]:
    # Estimates are rounded, so that the last digit of a float is no news.
    return {
        "subject_kind": judgement.kind.value,
        "subject": judgement.subject,
        "mailbox_id": judgement.mailbox_id,
        "provider": judgement.provider or "",
        "standing": judgement.standing.value,
        "thin": judgement.thin,
        "since": judgement.since,
        "reason": judgement.reason,
        "n": round(judgement.n, _DIGITS),
        "inbox_ratio": _rounded(judgement.inbox_ratio),
        "lower_ratio": _rounded(judgement.lower_ratio),
        "upper_ratio": _rounded(judgement.upper_ratio),
        "factor": round(judgement.factor, _DIGITS),
        "growth": _rounded(judgement.growth),
    }


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, _DIGITS)


def _value(row: RowMapping) -> Judgement:
    return Judgement(
        kind=Subject(row["subject_kind"]),
        subject=row["subject"],
        mailbox_id=None if row["mailbox_id"] is None else MailboxId(row["mailbox_id"]),
        provider=row["provider"] or None,
        standing=Standing(row["standing"]),
        thin=row["thin"],
        since=row["since"],
        reason=row["reason"],
        n=row["n"],
        inbox_ratio=row["inbox_ratio"],
        lower_ratio=row["lower_ratio"],
        upper_ratio=row["upper_ratio"],
        factor=row["factor"],
        growth=row["growth"],
    )


def _of(connection: Connection, mailbox_id: MailboxId) -> Judged:
    mine = _gather(connection, _heads().where(standing_heads.c.mailbox_id == mailbox_id))
    domain = connection.execute(select(mailboxes.c.domain).where(mailboxes.c.id == mailbox_id)).scalar_one()
    theirs = _of_domain(connection, domain)
    return Judged(lanes=mine.lanes, mailbox=mine.mailbox, domain=theirs.domain, domain_lanes=theirs.domain_lanes)


def _of_domain(connection: Connection, domain: str) -> Judged:
    kind = standing_heads.c.subject_kind == Subject.DOMAIN.value
    return _gather(connection, _heads().where(kind, standing_heads.c.subject == domain))


def _gather(connection: Connection, query: Select[*tuple[Any, ...]]) -> Judged:
    return _sorted_out([_value(row) for row in connection.execute(query).mappings()])


def _sorted_out(found: list[Judgement]) -> Judged:
    whole = {judgement.kind: judgement for judgement in found if judgement.provider is None}
    return Judged(
        lanes={one.provider: one for one in found if one.kind is Subject.LANE and one.provider},
        mailbox=whole.get(Subject.MAILBOX),
        domain=whole.get(Subject.DOMAIN),
        domain_lanes={one.provider: one for one in found if one.kind is Subject.DOMAIN and one.provider},
    )


def _history(connection: Connection, kind: Subject, subject: str, provider: str | None) -> tuple[Judgement, ...]:
    query = (
        select(standings)
        .where(
            standings.c.subject_kind == kind.value,
            standings.c.subject == subject,
            standings.c.provider == (provider or ""),
        )
        .order_by(standings.c.id)
    )
    return tuple(_value(row) for row in connection.execute(query).mappings())


def _due(connection: Connection, before: datetime) -> tuple[Fresh, ...]:
    enrolled = select(mailboxes.c.id).where(
        mailboxes.c.id == judge_cursors.c.mailbox_id, mailboxes.c.removed_at.is_(None)
    )
    query = select(judge_cursors.c.mailbox_id, judge_cursors.c.fresh).where(
        or_(judge_cursors.c.fresh > 0, judge_cursors.c.judged_at <= before), enrolled.exists()
    )
    return tuple(Fresh(mailbox_id=MailboxId(row.mailbox_id), marks=row.fresh) for row in connection.execute(query))


def _marks(connection: Connection, mailbox_id: MailboxId) -> int:
    query = select(judge_cursors.c.fresh).where(judge_cursors.c.mailbox_id == mailbox_id)
    return connection.execute(query).scalar() or 0


def _judged(connection: Connection, mailbox_id: MailboxId, marks: int, *, now: datetime) -> None:
    left = case((judge_cursors.c.fresh > marks, judge_cursors.c.fresh - marks), else_=0)
    connection.execute(
        upsert(judge_cursors)
        .values(mailbox_id=mailbox_id, fresh=0, judged_at=now)
        .on_conflict_do_update(index_elements=["mailbox_id"], set_={"fresh": left, "judged_at": now})
    )


def suppress_one(connection: Connection, address: str, reason: str, *, now: datetime) -> bool:
    """See `StandingWriter.suppress`; `address` is in lower case. A report suppresses in its own transaction."""
    added = upsert(suppressions).values(address=address, at=now, reason=reason).on_conflict_do_nothing()
    return connection.execute(added).rowcount > 0


def _lift(connection: Connection, address: str) -> bool:
    return connection.execute(delete(suppressions).where(suppressions.c.address == address)).rowcount > 0


def _suppressed(connection: Connection) -> frozenset[str]:
    return frozenset(connection.execute(select(suppressions.c.address)).scalars())
