"""Which seeds and grammars are left out, since when and why. A change is a row; the last of each says how it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, Select, func, insert, select

from warmup.ledger.store import Store
from warmup.ledger.tables import mailboxes, retirements
from warmup.policy.attribution import Suspect
from warmup.policy.mailbox import MailboxId
from warmup.policy.retirement import Candidate, Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """One that is retired; `mailbox_id` is a seed's, None of a grammar."""

    candidate: Candidate
    mailbox_id: MailboxId | None
    since: datetime
    reason: str


class RetirementWriter:
    """Writes `retirements`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, decisions: Iterable[Decision], *, now: datetime) -> int:
        """Add the decisions that change something; the number added."""
        return await self._store.write(_append, tuple(decisions), now=now)

    async def in_force(self, *, before: datetime | None = None) -> tuple[Retirement, ...]:
        """Who is retired, by kind and name; as it stood before an instant, or as it stands."""
        return await self._store.read(_in_force, before)


def _append(connection: Connection, decisions: tuple[Decision, ...], *, now: datetime) -> int:
    known = {retirement.candidate for retirement in _in_force(connection, None)}
    new = [decision for decision in decisions if (decision.candidate in known) is not decision.retired]
    for decision in new:
        connection.execute(
            insert(retirements).values(
                at=now,
                kind=decision.candidate.suspect.value,
                name=decision.candidate.name,
                mailbox_id=_seed_of(connection, decision.candidate),
                retired=decision.retired,
                reason=decision.reason,
            )
        )
    return len(new)


def _seed_of(connection: Connection, candidate: Candidate) -> int | None:
    if candidate.suspect is not Suspect.SEED:
        return None
    newest = select(func.max(mailboxes.c.id)).where(mailboxes.c.address == candidate.name)
    return connection.execute(newest).scalar()


def last_query(before: datetime | None) -> Select[int | None]:
    """The ids of the last row of each seed and grammar."""
    query = select(func.max(retirements.c.id)).group_by(retirements.c.kind, retirements.c.name)
    return query if before is None else query.where(retirements.c.at < before)


def _in_force(connection: Connection, before: datetime | None) -> tuple[Retirement, ...]:
    query = (
        select(retirements)
        .where(retirements.c.id.in_(last_query(before)), retirements.c.retired)
        .order_by(retirements.c.kind, retirements.c.name)
    )
    return tuple(_value(row) for row in connection.execute(query).mappings())


def _value(row: RowMapping) -> Retirement:
    return Retirement(
        candidate=Candidate(Suspect(row["kind"]), row["name"]),
        mailbox_id=None if row["mailbox_id"] is None else MailboxId(row["mailbox_id"]),
        since=row["at"],
        reason=row["reason"],
    )
