"""What is known of how receivers treat a mailbox or a domain, for the judge: findings, rebuffs and what was taken."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from warmup.ledger.authentications import read_vouched
from warmup.ledger.believed import Landing, Seen, landing, taken
from warmup.ledger.reports import Heard, bounced, read_heard
from warmup.ledger.sightings import Stage
from warmup.ledger.slots import warms
from warmup.ledger.store import Store
from warmup.ledger.tables import mailboxes, outcomes, sightings, slots
from warmup.mail.answer import Reply
from warmup.policy.authentication import Vouched
from warmup.policy.fate import Kind, Outcome, Placement
from warmup.policy.mailbox import MailboxId, Role, SlotId


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Where one message landed. `placement` is the one that counts: moved to spam later is spam (`moved`).

    `sent_at` is when its outcome was known, `seen_at` when it was found (or found missing); `control` where the
    recipient is never engaged with. Unobserved messages are no findings, nor is a missing one that nobody had taken or
    that was reported as bounced.
    """

    slot_id: SlotId
    mailbox_id: MailboxId
    provider: str
    recipient_id: MailboxId
    control: bool
    date: date
    sent_at: datetime
    seen_at: datetime
    placement: Placement
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuff:
    """A refusal or a deferral by a server's reply. `reply` is None where a connection was lost before the final dot."""

    mailbox_id: MailboxId
    provider: str
    recipient_id: MailboxId
    at: datetime
    outcome: Outcome
    reply: Reply | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything since an instant, oldest first. `taken` counts messages believed accepted, by receiving provider.

    `heard` are bounces and complaints that came later, `vouched` what receivers said of SPF, DKIM and DMARC by lane.
    """

    findings: tuple[Finding, ...]
    rebuffs: tuple[Rebuff, ...]
    taken: dict[str, int]
    heard: tuple[Heard, ...] = ()
    vouched: Mapping[tuple[MailboxId, str], Sequence[Vouched]] = field(default_factory=dict)


class EvidenceReader:
    """Reads what the judge weighs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, mailbox_id: MailboxId, *, since: datetime) -> Evidence:
        """What is known of messages one mailbox sent after `since`."""
        return await self._store.read(_read, mailboxes.c.id == mailbox_id, since)

    async def of_domain(self, domain: str, *, since: datetime) -> Evidence:
        """The same of all mailboxes of a domain, removed ones too: receivers do not forget them."""
        return await self._store.read(_read, mailboxes.c.domain == domain, since)


def _read(connection: Connection, whose: ColumnElement[bool], since: datetime) -> Evidence:
    ids = connection.execute(select(mailboxes.c.id).where(whose)).scalars().all()
    # A message is handed over on its date in some zone, so at most a day from it in UTC.
    from_date = (since - timedelta(days=1)).date()
    return Evidence(
        findings=tuple(_findings(connection, ids, from_date, since)),
        rebuffs=tuple(_rebuffs(connection, ids, from_date, since)),
        taken=_taken(connection, ids, from_date, since),
        heard=tuple(read_heard(connection, ids, from_date, since)),
        vouched=read_vouched(connection, ids, from_date),
    )


def _findings(connection: Connection, ids: Iterable[int], from_date: date, since: datetime) -> Iterable[Finding]:
    recipient = mailboxes.alias("recipient")
    sent_at = select(func.max(outcomes.c.at)).where(outcomes.c.slot_id == slots.c.id).scalar_subquery().label("sent_at")
    accepted = (
        select(func.count())
        .where(outcomes.c.slot_id == slots.c.id, outcomes.c.outcome == Outcome.ACCEPTED.value)
        .scalar_subquery()
        .label("accepted")
    )
    query = (
        select(
            slots.c.id,
            slots.c.mailbox_id,
            slots.c.provider,
            slots.c.recipient_id,
            slots.c.date,
            recipient.c.role,
            sightings.c.stage,
            sightings.c.placement,
            sightings.c.at,
            sent_at,
            accepted,
            bounced(slots.c.id).label("bounced"),
        )
        .join(sightings, sightings.c.slot_id == slots.c.id)
        .join(recipient, recipient.c.id == slots.c.recipient_id)
        .where(sightings.c.mailbox_id.in_(list(ids)), sightings.c.date >= from_date, slots.c.kind != Kind.TEST.value)
        .order_by(slots.c.id, sightings.c.id)
    )
    for _, rows in groupby(connection.execute(query).mappings(), key=lambda row: row["id"]):
        seen = list(rows)
        landed = landing([_seen(row) for row in seen])
        if landed is not None and _is_finding(seen[0], landed, since):
            yield _finding(seen[0], landed)


def _seen(row: RowMapping) -> Seen:
    return Seen(stage=Stage(row["stage"]), placement=Placement(row["placement"]), at=row["at"])


def _is_finding(row: RowMapping, landed: Landing, since: datetime) -> bool:
    # What nobody had taken is not missing: an uncertain message may never have been handed over. And what came back
    # is accounted for by its report: missing besides, it would speak against the lane twice.
    is_missing = row["accepted"] > 0 and not row["bounced"]
    known = landed.placement.is_evidence and (landed.placement.is_seen or is_missing)
    return known and row["sent_at"] is not None and row["sent_at"] > since


def _finding(row: RowMapping, landed: Landing) -> Finding:
    return Finding(
        slot_id=SlotId(row["id"]),
        mailbox_id=MailboxId(row["mailbox_id"]),
        provider=row["provider"],
        recipient_id=MailboxId(row["recipient_id"]),
        control=Role(row["role"]) is Role.CONTROL,
        date=row["date"],
        sent_at=row["sent_at"],
        seen_at=landed.at,
        placement=landed.judged,
        moved=landed.reclassified is Placement.SPAM,
    )


def _rebuffs(connection: Connection, ids: Iterable[int], from_date: date, since: datetime) -> Iterable[Rebuff]:
    rebuffed = outcomes.c.outcome.in_((Outcome.REFUSED.value, Outcome.DEFERRED.value)) & (
        slots.c.kind != Kind.TEST.value
    )
    query = (
        select(outcomes, slots.c.recipient_id)
        .join(slots, slots.c.id == outcomes.c.slot_id)
        .where(outcomes.c.mailbox_id.in_(list(ids)), outcomes.c.date >= from_date, outcomes.c.at > since, rebuffed)
        .order_by(outcomes.c.attempt_id)
    )
    for row in connection.execute(query):
        reply = None
        if row.reply_code is not None:
            reply = Reply(code=row.reply_code, status=row.status, text=row.reply)
        yield Rebuff(
            mailbox_id=MailboxId(row.mailbox_id),
            provider=row.provider,
            recipient_id=MailboxId(row.recipient_id),
            at=row.at,
            outcome=Outcome(row.outcome),
            reply=reply,
        )


def _taken(connection: Connection, ids: Iterable[int], from_date: date, since: datetime) -> dict[str, int]:
    mine = outcomes.c.mailbox_id.in_(list(ids)) & (outcomes.c.date >= from_date) & (outcomes.c.at > since)
    query = (
        select(outcomes.c.provider, func.count(outcomes.c.slot_id.distinct()).label("n"))
        .where(mine, taken(), warms(outcomes.c.slot_id))
        .group_by(outcomes.c.provider)
    )
    return {row.provider: row.n for row in connection.execute(query)}
