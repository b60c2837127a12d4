"""One slot, from due to done (DESIGN): connect, claim, hand over, record. Then the next slot on the same connection.

Nothing is claimed until there is a server to talk to, and no message before it is composed, so that nothing of ours can
fail between a durable intent and MAIL FROM; the next one is composed while a server is waited for. The outcome is a row
of its own, and durable before anything else is said on this connection: while the disk takes nothing, an outcome is
tried again and again, and nothing else goes. What follows from it is done at once (steps/aftermath). Nothing follows
from an acceptance: then the next claim is asked for together with it, behind it in the same commit, for a disk may take
longer than a server. A unit that is cancelled in mid-flight leaves the attempt without an outcome; the next start takes
it for uncertain, and it is never sent again. Cancelled before MAIL FROM, it gives the claim back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
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
                await _one_by_one(due, mailbox, recipients, session, circle)
                if circle.narrow.is_narrow(host, circle.clock.elapsed()):
                    # Kept warm, it would be a second connection beside the next mailbox's.
                    await session.close()
        except WireError as error:
            await door_shut(mailbox, Protocol.SMTP, error, circle)
    circle.process.smtp_session.observe(circle.clock.elapsed() - began)


@dataclass(frozen=True, slots=True)
class _Letter:
    """A slot that may go, composed."""

    slot: Slot
    recipient: Mailbox
    envelope: Envelope


async def _letter(slot: Slot, mailbox: Mailbox, recipient: Mailbox, circle: Circle) -> _Letter:
    content = await spelled(slot, mailbox, recipient, circle)
    return _Letter(slot, recipient, Envelope(sender=mailbox.address, recipient=recipient.address, content=content))


class _Desk:
    """Where letters are composed, in order, each when it is asked for or while there is time."""

    def __init__(self, due: Sequence[Slot], compose: Callable[[Slot], Coroutine[None, None, _Letter]]) -> None:
        self._due = list(reversed(due))
        self._compose = compose
        self._begun: asyncio.Task[_Letter] | None = None

    def begin(self) -> None:
        """Begin with the next one, if there is one."""
        if self._begun is None and self._due:
            self._begun = asyncio.create_task(self._compose(self._due.pop()))

    def following(self) -> Slot | None:
        """The slot of the next one, if that is composed by now."""
        begun = self._begun
        return None if begun is None or not begun.done() or begun.exception() else begun.result().slot

    async def take(self) -> _Letter | None:
        """The next one; None after the last."""
        self.begin()
        begun, self._begun = self._begun, None
        return None if begun is None else await begun

    def leave(self) -> None:
        """Compose nothing more."""
        self._due.clear()
        if self._begun is not None and not self._begun.cancel():
            self._begun.exception()


async def _one_by_one(
    due: Sequence[Slot],
    mailbox: Mailbox,
    recipients: Mapping[MailboxId, Mailbox],
    session: SmtpSession,
    circle: Circle,
) -> None:
    """Hand over those that may go, until nothing more should be said on this connection."""
    desk = _Desk(due, lambda slot: _letter(slot, mailbox, recipients[slot.recipient_id], circle))
    try:
        await _from_desk(desk, mailbox, session, circle)
    finally:
        desk.leave()


async def _from_desk(desk: _Desk, mailbox: Mailbox, session: SmtpSession, circle: Circle) -> None:
    asked: Claimed | Wait | Lapse | None = None
    while (each := await desk.take()) is not None:
        if asked is None and not session.usable:
            return
        claim, asked = asked or await _claim(each.slot, mailbox, circle), None
        match claim:
            case Claimed() as claimed:
                desk.begin()
                answer = await session.submit(each.envelope)
                if isinstance(answer, Accepted) and session.usable and (following := desk.following()):
                    asked = await _record_and_claim(claimed, answer, following, mailbox, circle)
                    if asked is None:
                        return
                    continue
                await record(claimed, mailbox, answer, circle)
                if not await follow(answer, claimed.slot, mailbox, each.recipient, circle):
                    return
            case Wait(until=until, reason=reason):
                log.debug("waits", slot=each.slot.id, mailbox=mailbox.id, reason=reason.value, until=until)
            case Lapse(reason=reason):
                log.info("lapsed", slot=each.slot.id, mailbox=mailbox.id, reason=reason.value)
            case None:
                return


async def _record_and_claim(
    claimed: Claimed, answer: Accepted, following: Slot, mailbox: Mailbox, circle: Circle
) -> Claimed | Wait | Lapse | None:
    """Keep that a message was taken, and claim the next in the same commit; what `_claim` says of that."""
    now = circle.clock.now()
    look_at, deadline_at = _watched_from(now, circle)
    try:
        async with _taken_back(following, mailbox, circle):
            asked = await circle.ledger.attempts.outcome_and_claim(
                claimed.id,
                answer,
                following.id,
                now=now,
                rules=rules(mailbox, circle),
                node=circle.node,
                look_at=look_at,
                deadline_at=deadline_at,
            )
    except Unmarked as failure:
        _note(claimed, mailbox, answer, now, circle)
        await give_back(failure.claimed, mailbox, str(failure), circle)
        return None
    except LedgerFailed as failure:
        log.debug("outcome not recorded yet", slot=claimed.slot.id, mailbox=mailbox.id, error=str(failure))
        await record(claimed, mailbox, answer, circle)
        if (after_all := await _claimed_after_all(following, circle)) is not None:
            await give_back(after_all, mailbox, str(failure), circle)
            return None
        return await _claim(following, mailbox, circle)
    except Exception:  # whatever is wrong with the next one, the server has this one
        await record(claimed, mailbox, answer, circle)
        raise
    _note(claimed, mailbox, answer, now, circle)
    return asked


async def _claim(slot: Slot, mailbox: Mailbox, circle: Circle) -> Claimed | Wait | Lapse | None:
    """Claim a slot if it may go; None where the ledger takes nothing, and nothing more should be said."""
    try:
        async with _taken_back(slot, mailbox, circle):
            return await circle.ledger.attempts.claim(
                slot.id, now=circle.clock.now(), rules=rules(mailbox, circle), node=circle.node
            )
    except Unmarked as failure:
        await give_back(failure.claimed, mailbox, str(failure), circle)
    except LedgerFailed as failure:
        if (claimed := await _claimed_after_all(slot, circle)) is not None:
            await give_back(claimed, mailbox, str(failure), circle)
    return None


@asynccontextmanager
async def _taken_back(slot: Slot, mailbox: Mailbox, circle: Circle) -> AsyncIterator[None]:
    """Who is cancelled while it asks for a slot gives back what it claimed all the same: nothing of it has left."""
    try:
        yield
    except asyncio.CancelledError:
        # It is asked behind the claim. Whatever comes of that, who is told to stop stops.
        with suppress(Exception):
            if stood := await circle.ledger.attempts.claimed(slot.id, node=circle.node):
                await _record_once(stood, mailbox, Deferred(reply=None, reason="the program was told to stop"), circle)
        raise


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
    now = circle.clock.now()
    while True:
        try:
            await _record_once(claimed, mailbox, answer, circle, now=now)
            return
        except LedgerFailed as failure:
            log.debug("outcome not recorded yet", slot=claimed.slot.id, mailbox=mailbox.id, error=str(failure))
        await pause(circle.settings.daemon.tick_seconds)


async def _record_once(
    claimed: Claimed, mailbox: Mailbox, answer: Answer, circle: Circle, *, now: datetime | None = None
) -> None:
    at = now or circle.clock.now()
    retry_at, (look_at, deadline_at) = _retry_at(claimed, answer, at, circle), _watched_from(at, circle)
    await circle.ledger.attempts.outcome(
        claimed.id, answer, now=at, retry_at=retry_at, look_at=look_at, deadline_at=deadline_at
    )
    _note(claimed, mailbox, answer, at, circle)


def _watched_from(now: datetime, circle: Circle) -> tuple[datetime, datetime]:
    """When what was sent at `now` is first looked for, and after which it is missing."""
    observe = circle.settings.observe
    return (
        first_look(now, first=timedelta(seconds=observe.first_seconds)),
        deadline(now, missing_after=timedelta(hours=observe.missing_after_hours)),
    )


def _note(claimed: Claimed, mailbox: Mailbox, answer: Answer, now: datetime, circle: Circle) -> None:
    """Count and say what is recorded."""
    slot = claimed.slot
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
