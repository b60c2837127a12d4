"""One slot, from due to done (DESIGN): connect, claim, hand over, record. Then the next slot on the same connection.

Nothing is claimed until there is a server to talk to, and the message is composed before the claim, so that nothing of
ours can fail between the durable intent and MAIL FROM. The outcome is a row of its own, committed before the next
claim on this connection: while the disk takes nothing, an outcome is tried again and again, and nothing else goes. What
follows from it is done at once (steps/aftermath). A unit that is cancelled in mid-flight leaves the attempt without an
outcome; the next start takes it for uncertain, and it is never sent again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from warmup.clock import pause
from warmup.ledger.attempts import Claimed, Unmarked
from warmup.ledger.errors import LedgerFailed
from warmup.ledger.situation import Rules
from warmup.ledger.slots import Slot, ThreadMessage
from warmup.mail.answer import Accepted, Answer, Deferred, Refused, Uncertain
from warmup.policy.attention import deadline, first_look
from warmup.policy.fate import Kind
from warmup.policy.mailbox import Mailbox, MailboxId, Protocol
from warmup.policy.quota import Hindrance, Lapse, Wait
from warmup.policy.retry import next_try
from warmup.steps.aftermath import follow
from warmup.steps.circle import Circle
from warmup.steps.letter import letter
from warmup.steps.own import read_own_traffic
from warmup.steps.trouble import door_opened, door_shut, is_left_alone
from warmup.wire.errors import WireError
from warmup.wire.smtp import Envelope, SmtpSession

log = structlog.get_logger("send")


async def send(mailbox_id: MailboxId, circle: Circle) -> None:
    """Send what is due from one mailbox, earliest first. What servers answer is recorded, never raised."""
    turn = await circle.ledger.turns.to_send(mailbox_id, circle.clock.now())
    mailbox, due = turn.mailbox, await _still_in_grace(turn.due, circle)
    if not due or circle.dry_run:
        return
    if await is_left_alone(mailbox, Protocol.SMTP, circle):
        return
    if mailbox.may_send:
        await read_own_traffic(mailbox, circle, last=turn.own_read_at)
    await _hand_over_all(mailbox, due, turn.recipients, circle)


async def _still_in_grace(due: tuple[Slot, ...], circle: Circle) -> tuple[Slot, ...]:
    """Those that may still go; the others lapse, server or no server."""
    now = circle.clock.now()
    for slot in due:
        if now > slot.due_at + circle.grace:
            await circle.ledger.slots.lapse(slot.id, Hindrance.GRACE, now=now)
            log.info("lapsed", slot=slot.id, mailbox=slot.mailbox_id, reason=Hindrance.GRACE.value)
    return tuple(slot for slot in due if now <= slot.due_at + circle.grace)


async def _hand_over_all(
    mailbox: Mailbox, due: tuple[Slot, ...], recipients: Mapping[MailboxId, Mailbox], circle: Circle
) -> None:
    began, host = circle.clock.elapsed(), mailbox.smtp.host
    with circle.narrow.way(host, began) as is_open:
        if not is_open:
            return
        try:
            async with circle.doors.smtp(mailbox) as session:
                await door_opened(mailbox, Protocol.SMTP, circle)
                for slot in due:
                    to = recipients[slot.recipient_id]
                    if not (session.usable and await _hand_over(slot, mailbox, to, session, circle)):
                        break
                if circle.narrow.is_narrow(host, circle.clock.elapsed()):
                    # Kept warm, it would be a second connection beside the next mailbox's.
                    await session.close()
        except WireError as error:
            await door_shut(mailbox, Protocol.SMTP, error, circle)
    circle.process.smtp_session.observe(circle.clock.elapsed() - began)


async def _hand_over(slot: Slot, mailbox: Mailbox, recipient: Mailbox, session: SmtpSession, circle: Circle) -> bool:
    """Hand one slot over if it may go; False where nothing more should be said on this connection."""
    content = await spelled(slot, mailbox, recipient, circle)

    try:
        claim = await circle.ledger.attempts.claim(
            slot.id, now=circle.clock.now(), rules=rules(mailbox, circle), node=circle.node
        )
    except Unmarked as failure:
        await give_back(failure.claimed, mailbox, str(failure), circle)
        return False
    except LedgerFailed as failure:
        if (claimed := await _claimed_after_all(slot, circle)) is not None:
            await give_back(claimed, mailbox, str(failure), circle)
        return False
    match claim:
        case Claimed() as claimed:
            answer = await submit(claimed, mailbox, recipient, content, session, circle)
            return await follow(answer, claimed.slot, mailbox, recipient, circle)
        case Wait(until=until, reason=reason):
            log.debug("waits", slot=slot.id, mailbox=mailbox.id, reason=reason.value, until=until)
        case Lapse(reason=reason):
            log.info("lapsed", slot=slot.id, mailbox=mailbox.id, reason=reason.value)
    return True


async def _claimed_after_all(slot: Slot, circle: Circle) -> Claimed | None:
    """Wait until the ledger answers again, and ask whether a claim that failed stood all the same."""
    while True:
        try:
            return await circle.ledger.attempts.claimed(slot.id, node=circle.node)
        except LedgerFailed as failure:
            log.debug("nobody knows yet whether it was claimed", slot=slot.id, error=str(failure))
        await pause(circle.settings.daemon.tick_seconds)


async def give_back(claimed: Claimed, mailbox: Mailbox, why: str, circle: Circle) -> None:
    """End an attempt of which not a byte has left: the slot may go another time."""
    await record(claimed, mailbox, Deferred(reply=None, reason=why), circle)


async def submit(
    claimed: Claimed, mailbox: Mailbox, recipient: Mailbox, content: bytes, session: SmtpSession, circle: Circle
) -> Answer:
    """Hand a claimed message over, and keep how that ended."""
    answer = await session.submit(Envelope(sender=mailbox.address, recipient=recipient.address, content=content))
    await record(claimed, mailbox, answer, circle)
    return answer


async def record(claimed: Claimed, mailbox: Mailbox, answer: Answer, circle: Circle) -> None:
    """Keep how a claimed message fared, durably; what was deferred is due again, unless somebody waits for it."""
    now, slot, observe = circle.clock.now(), claimed.slot, circle.settings.observe
    retry_at = _retry_at(claimed, answer, now, circle)
    watch_from = {
        "look_at": first_look(now, first=timedelta(seconds=observe.first_seconds)),
        "deadline_at": deadline(now, missing_after=timedelta(hours=observe.missing_after_hours)),
    }
    while True:
        try:
            await circle.ledger.attempts.outcome(claimed.id, answer, now=now, retry_at=retry_at, **watch_from)
            break
        except LedgerFailed as failure:
            log.debug("outcome not recorded yet", slot=slot.id, mailbox=mailbox.id, error=str(failure))
        await pause(circle.settings.daemon.tick_seconds)
    circle.process.slot_lag.observe(max(0.0, (now - slot.due_at).total_seconds()))
    log.info(
        "attempt",
        slot=slot.id,
        mailbox=mailbox.id,
        ordinal=claimed.ordinal,
        verdict=type(answer).__name__.lower(),
        **_said(answer),
    )


def _retry_at(claimed: Claimed, answer: Answer, now: datetime, circle: Circle) -> datetime | None:
    if not isinstance(answer, Deferred) or claimed.slot.kind is Kind.TEST:
        return None
    rng = circle.clock.rng("retry", claimed.slot.id, claimed.ordinal)
    return next_try(answer, ordinal=claimed.ordinal, now=now, due_at=claimed.slot.due_at, grace=circle.grace, rng=rng)


def _said(answer: Answer) -> dict[str, object]:
    match answer:
        case Accepted(reply=reply) | Refused(reply=reply):
            return {"code": reply.code, "status": reply.status}
        case Deferred(reply=maybe, reason=reason):
            return {"code": maybe.code, "status": maybe.status} if maybe else {"reason": reason}
        case Uncertain(reason=reason):
            return {"reason": reason}
        case _:
            assert_never(answer)


async def spelled(slot: Slot, mailbox: Mailbox, recipient: Mailbox, circle: Circle) -> bytes:
    """The slot's message, with what it answers looked up."""
    ancestors = await _ancestors(slot, circle)
    names = (mailbox.name, recipient.name)
    if ancestors:
        opener = ancestors[0].slot
        first = [await circle.mailbox(each) for each in (opener.mailbox_id, opener.recipient_id)]
        names = (first[0].name, first[1].name)
    return letter(
        slot,
        ancestors,
        sender=mailbox,
        recipient=recipient,
        opener_names=names,
        grammars=circle.grammars,
        header=circle.settings.identity.header,
    )


async def _ancestors(slot: Slot, circle: Circle) -> tuple[ThreadMessage, ...]:
    """What the slot answers, and what that answered, oldest first; ids as they arrived."""
    if slot.in_reply_to is None:
        return ()
    known = {message.slot.id: message for message in await circle.ledger.slots.thread(slot.thread_id)}
    chain: list[ThreadMessage] = []
    at = known.get(slot.in_reply_to)
    while at is not None:
        chain.append(at)
        at = known.get(at.slot.in_reply_to) if at.slot.in_reply_to is not None else None
    return tuple(reversed(chain))


def rules(mailbox: Mailbox, circle: Circle) -> Rules:
    """The configured part of every claim of the mailbox."""
    limits = circle.settings.limits
    return Rules(
        grace=circle.grace,
        margin=circle.margin,
        own_reserve_ratio=limits.own_reserve_ratio,
        own_fresh=timedelta(minutes=limits.own_fresh_minutes),
        domain_limit=limits.domain_daily,
        per_minute=circle.per_minute(mailbox),
        leaps=circle.clock.leaps,
    )
