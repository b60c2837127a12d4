"""What came home about our messages: bounces, complaints and answers that others wrote, each one counted once.

A report is kept where it names a message that its finder sent. What follows from it is in the same transaction: an
address is suppressed, an account or a lane is held, a planned answer to what was answered already lapses. Order of
belief: a message that was seen where it went is not undone by a report, for anybody can write one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, select, true
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.attempts import LONGEST_REPLY
from warmup.ledger.holds import NewHold, hold_one
from warmup.ledger.slots import lapse_slot, warms
from warmup.ledger.standings import mark_fresh, suppress_one
from warmup.ledger.store import Store
from warmup.ledger.tables import attempts, due_slots, mailboxes, sightings, slots
from warmup.ledger.tables_said import reports
from warmup.mail.answer import Reply
from warmup.mail.report import Kind
from warmup.policy.fate import Placement
from warmup.policy.mailbox import MailboxId, SlotId

DELAYED = "delayed"
"""RFC 3464 2.3.3: the message is still on its way; nothing is lost yet."""

_ANSWERS = (Kind.REPLY.value, Kind.AUTO_REPLY.value)
_SEEN = tuple(placement.value for placement in Placement if placement.is_seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReport:
    """A report about a slot's message, where it lies, and what follows from it if it is news.

    `action` is the report's own word (RFC 3464 2.3.3), or empty. `suppress` is why its recipient is not written to.
    """

    slot_id: SlotId
    kind: Kind
    action: str = ""
    reply: Reply
    feedback_type: str | None = None
    folder: str
    uidvalidity: int
    uid: int
    suppress: str | None = None
    hold: NewHold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A bounce or a complaint, as evidence; `at` is when it was found."""

    slot_id: SlotId
    mailbox_id: MailboxId
    provider: str
    at: datetime
    kind: Kind
    action: str
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTotals:
    """Counts over the whole history, by the ids of senders; `bounces` (provider, reply, action): those that failed."""

    bounces: Counter[tuple[str, Reply, str]]
    complaints: Counter[tuple[int, str]]
    answers: Counter[int]


class ReportWriter:
    """Writes `reports`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(
        self, mailbox_id: MailboxId, found: Sequence[NewReport], *, now: datetime
    ) -> tuple[NewReport, ...]:
        """Keep what was found in a sender's folders, and let follow what follows; those that were news.

        A report about a message that this mailbox never tried to send is no report.
        """
        return await self._store.write(_record, mailbox_id, tuple(found), now=now)


def bounced(slot_id: Any) -> ColumnElement[bool]:
    """True where a report says that the slot's message failed."""
    return exists().where(
        reports.c.slot_id == slot_id, reports.c.kind == Kind.BOUNCE.value, reports.c.action != DELAYED
    )


def answered_by_others(slot_id: Any) -> ColumnElement[bool]:
    """True where a person or a machine answered the slot's message beside us."""
    return exists().where(reports.c.slot_id == slot_id, reports.c.kind.in_(_ANSWERS))


def read_heard(connection: Connection, ids: Iterable[int], from_date: date, since: datetime) -> Iterator[Heard]:
    """Bounces and complaints about messages of these senders, oldest first; none about what was seen to arrive."""
    whose = reports.c.mailbox_id.in_(list(ids)) & (reports.c.date >= from_date) & (reports.c.at > since)
    whose &= warms(reports.c.slot_id)
    arrived = exists().where(sightings.c.slot_id == reports.c.slot_id, sightings.c.placement.in_(_SEEN))
    failed = (reports.c.kind == Kind.BOUNCE.value) & (reports.c.action != DELAYED) & ~arrived
    query = select(reports).where(whose, failed | (reports.c.kind == Kind.COMPLAINT.value)).order_by(reports.c.id)
    for row in connection.execute(query):
        yield Heard(
            slot_id=SlotId(row.slot_id),
            mailbox_id=MailboxId(row.mailbox_id),
            provider=row.provider,
            at=row.at,
            kind=Kind(row.kind),
            action=row.action,
            reply=Reply(code=row.reply_code, status=row.status, text=row.reply),
        )


def read_report_totals(
    connection: Connection, which: Callable[[Any], ColumnElement[bool]] = lambda _: true()
) -> ReportTotals:
    """See `ReportTotals`; of the slots alone for whose ids `which` holds."""
    these = which(reports.c.slot_id)
    said = (reports.c.provider, reports.c.reply_code, reports.c.status, reports.c.reply, reports.c.action)
    failed = (reports.c.kind == Kind.BOUNCE.value) & (reports.c.action != DELAYED)
    n = func.count().label("n")
    bounces = connection.execute(select(*said, n).where(failed, these).group_by(*said))
    lane = (reports.c.mailbox_id, reports.c.provider)
    complained = reports.c.kind == Kind.COMPLAINT.value
    complaints = connection.execute(select(*lane, n).where(complained, these).group_by(*lane))
    answers = connection.execute(
        select(reports.c.mailbox_id, n).where(reports.c.kind.in_(_ANSWERS), these).group_by(reports.c.mailbox_id)
    )
    return ReportTotals(
        bounces=Counter(
            {
                (row.provider, Reply(code=row.reply_code, status=row.status, text=row.reply), row.action): row.n
                for row in bounces
            }
        ),
        complaints=Counter({(row.mailbox_id, row.provider): row.n for row in complaints}),
        answers=Counter({row.mailbox_id: row.n for row in answers}),
    )


def _record(
    connection: Connection, mailbox_id: MailboxId, found: tuple[NewReport, ...], *, now: datetime
) -> tuple[NewReport, ...]:
    return tuple(report for report in found if _record_one(connection, mailbox_id, report, now=now))


def _record_one(connection: Connection, mailbox_id: MailboxId, report: NewReport, *, now: datetime) -> bool:
    tried = exists().where(attempts.c.slot_id == slots.c.id)
    ours = select(slots).where(slots.c.id == report.slot_id, slots.c.mailbox_id == mailbox_id, tried)
    slot = connection.execute(ours).one_or_none()
    if slot is None:
        return False
    row = {
        "slot_id": report.slot_id,
        "mailbox_id": mailbox_id,
        "date": slot.date,
        "provider": slot.provider,
        "at": now,
        "kind": report.kind.value,
        "action": report.action,
        "reply_code": report.reply.code,
        "status": report.reply.status,
        "reply": report.reply.text[:LONGEST_REPLY],
        "feedback_type": report.feedback_type,
        "folder": report.folder,
        "uidvalidity": report.uidvalidity,
        "uid": report.uid,
    }
    if connection.execute(upsert(reports).values(**row).on_conflict_do_nothing()).rowcount == 0:
        return False
    if report.kind.value in _ANSWERS:
        _lapse_answers(connection, report.slot_id, now=now)
        return True
    mark_fresh(connection, mailbox_id)
    if not _was_seen(connection, report.slot_id):
        _follow(connection, report, slot.account_id, slot.recipient_id, now=now)
    return True


def _follow(connection: Connection, report: NewReport, account_id: int, recipient_id: int, *, now: datetime) -> None:
    if report.suppress is not None:
        query = select(mailboxes.c.address_key).where(mailboxes.c.id == recipient_id)
        suppress_one(connection, connection.execute(query).scalar_one(), report.suppress, now=now)
    if report.hold is not None and report.hold.until > now:
        hold_one(connection, account_id, report.hold, now=now)


def _was_seen(connection: Connection, slot_id: int) -> bool:
    seen = select(sightings.c.id).where(sightings.c.slot_id == slot_id, sightings.c.placement.in_(_SEEN))
    return connection.execute(seen.limit(1)).first() is not None


def _lapse_answers(connection: Connection, slot_id: int, *, now: datetime) -> None:
    """Somebody answered: what we planned as an answer would be the second."""
    waiting = (
        select(due_slots.c.slot_id)
        .join(slots, slots.c.id == due_slots.c.slot_id)
        .where(slots.c.in_reply_to == slot_id, ~exists().where(attempts.c.slot_id == slots.c.id))
    )
    for answer in connection.execute(waiting).scalars().all():
        lapse_slot(connection, SlotId(answer), now=now, reason="answered")
