"""Reports come home: bounces, complaints and answers of others that name a message this mailbox sent.

Of foreign mail a handful of header fields is read. Only where they mark a report (DESIGN, Promises 5) is the message
itself fetched, 64 KiB of it at most, and forgotten unless it names a message of ours. Named is one by its signed id:
made by us, for this sender and that recipient. What a forger cannot sign, or another mailbox sent, is dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from warmup.ledger.reports import DELAYED, NewReport
from warmup.ledger.slots import Slot
from warmup.mail import identity
from warmup.mail.answer import Reply
from warmup.mail.header import Header
from warmup.mail.report import Kind, Report, Reported, read_report
from warmup.mail.status import GARBLED
from warmup.policy.blame import blame
from warmup.policy.mailbox import Mailbox
from warmup.steps.aftermath import hold_of
from warmup.steps.circle import Circle
from warmup.wire.imap import ImapSession

log = structlog.get_logger("report")

FIELDS = ("In-Reply-To", "References", "Content-Type", "Return-Path", "Auto-Submitted")

_ROBOTS = frozenset({"mailer-daemon", "postmaster"})
_KINDS = frozenset({Kind.BOUNCE, Kind.COMPLAINT, Kind.REPLY, Kind.AUTO_REPLY})
# RFC 3464 2.3.3
_GOOD_NEWS = frozenset({"delivered", "relayed", "expanded"})
_NOTHING_SAID = Reply(code=GARBLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A message in a folder, as far as its header was read; `filed_at` is in ledger time, None: not said."""

    folder: str
    uidvalidity: int
    uid: int
    filed_at: datetime | None
    header: Header


@dataclass(frozen=True, slots=True)
class _Claim:
    """A message that claims to be about those of our messages that bear one of the `tokens`."""

    found: Found
    report: Report
    tokens: tuple[str, ...]

    @property
    def is_answer(self) -> bool:
        """True where somebody, or somebody's machine, writes back: no server's report."""
        return self.report.kind in (Kind.REPLY, Kind.AUTO_REPLY)


async def bring_home(found: Sequence[Found], mailbox: Mailbox, session: ImapSession, circle: Circle) -> None:
    """Keep what is reported in these messages about what `mailbox` sent, and let follow what follows."""
    claims = [
        claim
        for each in found
        if not _is_warmup(each.header, mailbox, circle) and (claim := await _claim(each, session, circle)) is not None
    ]
    if not claims:
        return
    ids = {identity.message_id(token, mailbox.domain) for claim in claims for token in claim.tokens}
    slots = await circle.ledger.sightings.by_message_id(ids)
    named = [(claim, slot) for claim in claims if (slot := await _named(claim, slots, mailbox, circle)) is not None]
    new = [report for claim, slot in named if (report := await _new(claim, slot, mailbox, circle)) is not None]
    news = await circle.ledger.reports.record(mailbox.id, new, now=circle.clock.now())
    for report in news:
        log.info(
            "report",
            slot=report.slot_id,
            mailbox=mailbox.id,
            kind=report.kind.value,
            action=report.action or None,
            status=report.reply.status,
            suppressed=report.suppress is not None,
            held_until=report.hold.until.isoformat() if report.hold else None,
        )


def marks_report(header: Header) -> bool:
    """True where the header alone says that this is a report by a machine."""
    if header.content_type == "multipart/report":
        return True
    local = (header.from_address or "").partition("@")[0]
    return local in _ROBOTS and header.return_path == ""


async def _claim(found: Found, session: ImapSession, circle: Circle) -> _Claim | None:
    header = found.header
    answered = (header.in_reply_to,) if header.in_reply_to else header.references[-1:]
    if marks_report(header):
        raw = await session.start_of(found.uid)
        report = read_report(raw, identity_header=circle.settings.identity.header or None)
        said = (report.reported_identity, *report.reported_ids, *answered)
    else:
        is_machine = header.auto_submitted not in (None, "no") or header.return_path == ""
        report = Report(kind=Kind.AUTO_REPLY if is_machine else Kind.REPLY)
        said = answered
    tokens = tuple(dict.fromkeys(token for each in said if each and (token := identity.read(each)) is not None))
    return _Claim(found, report, tokens) if tokens and report.kind in _KINDS else None


def _is_warmup(header: Header, mailbox: Mailbox, circle: Circle) -> bool:
    """True for our own messages to this mailbox, answers among them: those are sighted, not reported."""
    tokens = (identity.read(said) for said in (header.identity, header.message_id) if said)
    sender = header.from_address
    return sender is not None and any(
        token and identity.believed(circle.key, token, sender=sender, recipient=mailbox.address) for token in tokens
    )


async def _named(claim: _Claim, slots: dict[str, Slot], mailbox: Mailbox, circle: Circle) -> Slot | None:
    """The slot whose message is meant: sent by this mailbox, and its id signed for it and its recipient."""
    for token in claim.tokens:
        slot = slots.get(identity.message_id(token, mailbox.domain))
        if slot is None or slot.mailbox_id != mailbox.id:
            continue
        recipient = await circle.mailbox(slot.recipient_id)
        if claim.is_answer and claim.found.header.from_address != recipient.address.lower():
            # Anybody may quote an id: only who was written to has answered.
            continue
        if identity.believed(circle.key, token, sender=mailbox.address, recipient=recipient.address) is not None:
            return slot
    return None


async def _new(claim: _Claim, slot: Slot, mailbox: Mailbox, circle: Circle) -> NewReport | None:
    """The report as it is kept; None where it tells of others what failed, and of ours that it arrived."""
    recipient = await circle.mailbox(slot.recipient_id)
    said = _about(claim.report.recipients, recipient.address)
    reply = said.reply if said else _NOTHING_SAID
    action = (said.action or "").lower() if said else ""
    if action in _GOOD_NEWS:
        return None
    found, where = blame(reply, action=action or None), claim.found
    is_final = claim.report.kind is Kind.BOUNCE and action != DELAYED
    return NewReport(
        slot_id=slot.id,
        kind=claim.report.kind,
        action=action,
        reply=reply,
        feedback_type=claim.report.feedback_type,
        folder=where.folder,
        uidvalidity=where.uidvalidity,
        uid=where.uid,
        suppress=(str(reply) if reply.code != GARBLED else " ".join(filter(None, (reply.status, reply.text))))
        if is_final and found.hard
        else None,
        # A hold counts from when it was said: what is read days later holds nobody any more.
        hold=await hold_of(reply, found, slot, mailbox, since=where.filed_at or circle.clock.now(), circle=circle)
        if claim.report.kind is Kind.BOUNCE
        else None,
    )


def _about(reported: Iterable[Reported], address: str) -> Reported | None:
    """What was said of the recipient; of the first, where none bears its name (it may have been forwarded)."""
    everyone = tuple(reported)
    named = (each for each in everyone if each.address and each.address.lower() == address.lower())
    return next(named, everyone[0] if everyone else None)
