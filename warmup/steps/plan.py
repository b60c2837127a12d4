"""A mailbox's date: how much, to whom, when. Gather, decide once, record; recorded, it is never redrawn.

What a slot will say is fixed here as what it is drawn from: nonce, message id, grammar and seed. Seeds come from the
installation and its incarnation, the mailbox, the date and the number, so that planning the same date again gives the
same slots, and a ledger put back from a backup gives others.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import structlog

from warmup.content import Grammars
from warmup.ledger.history import Answerable
from warmup.ledger.slots import NewDay, NewLaneDay, NewSlot, Slot
from warmup.mail import identity
from warmup.policy.allowance import allowance
from warmup.policy.mailbox import Mailbox, MailboxId, SlotId, State
from warmup.policy.pairing import Correspondent, Past, pool
from warmup.policy.plan import DayPlan, PlannedSlot, plan_for
from warmup.policy.thread import Unanswered, is_listening
from warmup.policy.window import date_of
from warmup.steps.circle import Circle
from warmup.steps.judge import judge
from warmup.steps.view import Resting, resting_on, seeds_of, view_of

log = structlog.get_logger("plan")

REMEMBERED = timedelta(days=14)
"""How far back contacts are counted and messages are answered."""


async def plan_today(mailbox_id: MailboxId, circle: Circle) -> None:
    """Plan the mailbox's present date, after judging what is known; nothing where it is planned already."""
    mailbox = await circle.mailbox(mailbox_id)
    on = date_of(circle.clock.now(), mailbox.zone)
    if await circle.ledger.history.day(mailbox_id, on) is None:
        await judge(mailbox_id, circle)
        await plan_day(mailbox, on, circle)


async def plan_day(mailbox: Mailbox, on: date, circle: Circle) -> None:
    """Plan one date."""
    now = circle.clock.now()
    fleet = await circle.ledger.mailboxes.list()
    view = await view_of(mailbox, on, circle)
    midnight = datetime.combine(on, time(), tzinfo=mailbox.zone).astimezone(UTC)
    answerable = await circle.ledger.history.answerable(mailbox.id, since=midnight - REMEMBERED, until=midnight)
    past = Past(
        contacts=await circle.ledger.history.contacts(mailbox.id, since=on - REMEMBERED, until=on),
        inbound=await circle.ledger.history.load(since=on - REMEMBERED, until=on),
    )
    suppressed = await circle.ledger.standings.suppressed()
    by_id = {
        other.id: other for other in fleet if other.state is State.ACTIVE and other.address.lower() not in suppressed
    }
    resting = await resting_on(mailbox, on, circle)
    # Where its zone was moved eastwards, the new date begins before the old one's slots have gone: it waits for them.
    last_due = await circle.ledger.slots.last_due(mailbox.id)
    rng = circle.clock.rng(mailbox.id, on, "plan")

    plan = plan_for(
        mailbox,
        on,
        1 + sum(1 for day in view.history if day.target > 0),
        allowance(view),
        seeds=pool(
            Correspondent.of(seed)
            for seed in seeds_of(mailbox, fleet)
            if seed.may_receive and seed.id in by_id and seed.address not in resting.seeds
        ),
        past=past,
        unanswered=[
            _unanswered(each, by_id, mailbox)
            for each in answerable
            if each.slot.mailbox_id in by_id and not _rests(each, by_id, resting)
        ],
        listening=_listens(mailbox, on, fleet, circle),
        hours=mailbox.hours or circle.settings.window.hours,
        now=now if last_due is None else max(now, last_due),
        grace=circle.grace,
        rng=rng,
    )

    answered = {each.slot.id: each.slot for each in answerable}
    grammars = circle.grammars.without(resting.grammars)
    slots = [_slot(slot, plan, mailbox, by_id, _text(slot, answered, grammars), circle) for slot in plan.slots]
    await circle.ledger.slots.record(mailbox.id, _day(plan), slots, now=now)
    _say(mailbox, plan)


def _say(mailbox: Mailbox, plan: DayPlan) -> None:
    answer = plan.allowance
    log.info(
        "plan",
        mailbox=mailbox.id,
        date=plan.date.isoformat(),
        ceiling=answer.ceiling,
        target=answer.target,
        capped_by=answer.capped_by and answer.capped_by.value,
    )


def _unanswered(each: Answerable, by_id: Mapping[MailboxId, Mailbox], mailbox: Mailbox) -> Unanswered:
    return Unanswered(
        slot_id=each.slot.id,
        thread_id=each.slot.thread_id,
        sender=Correspondent.of(by_id[each.slot.mailbox_id]),
        seen_on=date_of(each.seen_at, mailbox.zone),
        length=each.length,
    )


def _listens(mailbox: Mailbox, on: date, fleet: Sequence[Mailbox], circle: Circle) -> bool:
    if circle.settings.limits.listening_days == 0:
        return False
    others = [date_of(other.enrolled_at, other.zone) for other in fleet if other.may_send and other.id != mailbox.id]
    return is_listening(date_of(mailbox.enrolled_at, mailbox.zone), on, others=others)


def _day(plan: DayPlan) -> NewDay:
    answer = plan.allowance
    return NewDay(
        date=plan.date,
        day=plan.day,
        ceiling=answer.ceiling,
        target=answer.target,
        capped_by=answer.capped_by,
        reason=answer.reason,
        lanes=tuple(
            NewLaneDay(
                provider=lane.provider,
                level=lane.level,
                ceiling=lane.ceiling,
                factor=lane.factor,
                target=lane.target,
                standing=lane.standing,
            )
            for lane in answer.lanes
        ),
    )


def _rests(each: Answerable, by_id: Mapping[MailboxId, Mailbox], resting: Resting) -> bool:
    """True where an answer would go to a retired seed, or go on with a retired text."""
    return by_id[each.slot.mailbox_id].address in resting.seeds or each.slot.grammar in resting.grammars


Text = Callable[[random.Random], tuple[str, str]]
"""Draws a grammar's name and language."""


def _text(slot: PlannedSlot, answered: Mapping[SlotId, Slot], grammars: Grammars) -> Text:
    """A draw; an answer says its thread's grammar (steps/letter), and draws all the same: one stream for a slot."""

    def drawn(rng: random.Random) -> tuple[str, str]:
        grammar = grammars.pick(rng)
        if slot.in_reply_to is None:
            return grammar.name, grammar.language
        return answered[slot.in_reply_to].grammar, answered[slot.in_reply_to].language

    return drawn


def _slot(
    slot: PlannedSlot,
    plan: DayPlan,
    mailbox: Mailbox,
    by_id: Mapping[MailboxId, Mailbox],
    text: Text,
    circle: Circle,
) -> NewSlot:
    """The slot with its identity and its draws."""
    rng = circle.clock.rng(mailbox.id, plan.date, slot.number, "slot")
    nonce = rng.randbytes(identity.NONCE_BYTES)
    token = identity.token(circle.key, nonce, sender=mailbox.address, recipient=by_id[slot.recipient_id].address)
    grammar, language = text(rng)
    return NewSlot(
        number=slot.number,
        recipient_id=slot.recipient_id,
        provider=slot.provider,
        kind=slot.kind,
        thread_id=slot.thread_id,
        in_reply_to=slot.in_reply_to,
        due_at=slot.due_at,
        nonce=nonce,
        message_id=identity.message_id(token, mailbox.domain),
        grammar=grammar,
        language=language,
        seed=f"{rng.getrandbits(128):032x}",
    )
