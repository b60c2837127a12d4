"""A mailbox's date: how much, to whom, when. Gather, decide once, record; recorded, it is never redrawn.

What a slot will say is fixed here as what it is drawn from: nonce, message id, grammar and seed. Seeds come from the
installation and its incarnation, the mailbox, the date and the number, so that planning the same date again gives the
same slots, and a ledger put back from a backup gives others.

A pass plans everybody who lacks a plan: the fleet is read once, the rest by whole domains, some `BATCH` mailboxes at a
time, and the plans of some `RECORDED` are recorded in one transaction. A mailbox is still decided by itself: none sees
what another was given for the same date, and what fails for one is logged and leaves the others alone.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from warmup.content import Grammars
from warmup.ledger.collector import collector_seldom
from warmup.ledger.history import Answerable
from warmup.ledger.slots import NewDay, NewLaneDay, NewSlot, Plan
from warmup.mail import identity
from warmup.policy.allowance import allowance
from warmup.policy.habit import Habit
from warmup.policy.mailbox import Mailbox, MailboxId, SlotId
from warmup.policy.pairing import Past
from warmup.policy.plan import PAST as REMEMBERED
from warmup.policy.plan import DayPlan, PlannedSlot, plan_for
from warmup.policy.thread import ANSWER_WITHIN, Unanswered, is_listening
from warmup.policy.window import date_of
from warmup.steps.agenda import JUDGED_EVERY
from warmup.steps.circle import Circle
from warmup.steps.hours import habits_of
from warmup.steps.judge import judge
from warmup.steps.roster import Resting, Roster
from warmup.steps.view import Before, midnight_of

log = structlog.get_logger("plan")

BATCH: Final = 200
"""Mailboxes that are gathered together: enough to make queries cheap, few enough to hold in memory."""

RECORDED: Final = 1_000
"""Mailboxes that are recorded together. What a message is found by is random, so that every transaction touches most
pages of those indexes, and makes the reader read them again: a few large ones cost a third of many small ones."""

_CANDIDATES: Final = 80
"""Received messages that are looked at for a day's answers; where many more came in, a part of them that changes."""


async def plan_today(mailbox_id: MailboxId, circle: Circle) -> None:
    """Plan the mailbox's present date, after judging what is known; nothing where it is planned already."""
    mailbox = await circle.mailbox(mailbox_id)
    on = date_of(circle.clock.now(), mailbox.zone)
    if await circle.ledger.history.day(mailbox_id, on) is None:
        await judge(mailbox_id, circle)
        await plan_day(mailbox, on, circle)


async def plan_day(mailbox: Mailbox, on: date, circle: Circle) -> None:
    """Plan one date of one mailbox."""
    await _plan([mailbox], on, circle, await Roster.read(circle))


async def plan_due(circle: Circle) -> int:
    """Plan the present date of every sender that has none yet, after judging whom there is news of; how many."""
    now = circle.clock.now()
    roster = await Roster.read(circle)
    last = await circle.ledger.history.last_planned()
    due = defaultdict[date, list[Mailbox]](list)
    for mailbox in roster.fleet:
        on = date_of(now, mailbox.zone)
        if mailbox.role.sends and (mailbox.id not in last or last[mailbox.id] < on):
            due[on].append(mailbox)
    lacking = {mailbox.id for mailboxes in due.values() for mailbox in mailboxes}
    for fresh in await circle.ledger.standings.due(now=now, every=JUDGED_EVERY):
        if fresh.mailbox_id in lacking:
            await judge(fresh.mailbox_id, circle)
    for on, mailboxes in sorted(due.items()):
        await _plan(mailboxes, on, circle, roster)
    return len(lacking)


async def _plan(mailboxes: Collection[Mailbox], on: date, circle: Circle, roster: Roster) -> None:
    """Plan one date of several mailboxes."""
    ledger = circle.ledger.history
    inbound = await ledger.load(since=on - REMEMBERED, until=on)
    outbound = await ledger.planned_by(since=on - REMEMBERED, until=on)
    sending = [outbound.get(sender.id, 0) for sender in roster.senders]
    everybody = Past(inbound=inbound, outbound=outbound, usual=sum(sending) / max(1, len(sending)))
    plans: list[Plan] = []
    with collector_seldom():
        for batch in _batches(mailboxes):
            known = await _Known.gathered(batch, on, circle, roster, everybody)

            plans += [plan for mailbox in batch async for plan in _decided(mailbox, known)]

            if len(plans) >= RECORDED:
                await circle.ledger.slots.record_all(plans, now=circle.clock.now())
                plans = []
        await circle.ledger.slots.record_all(plans, now=circle.clock.now())


def _batches(mailboxes: Iterable[Mailbox]) -> Iterator[list[Mailbox]]:
    """The mailboxes by domain, whole domains together."""
    batch: list[Mailbox] = []
    for mailbox in sorted(mailboxes, key=lambda one: (one.domain, one.id)):
        if len(batch) >= BATCH and mailbox.domain != batch[-1].domain:
            yield batch
            batch = []
        batch.append(mailbox)
    if batch:
        yield batch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What a batch's plans are decided from."""

    before: Before
    everybody: Past
    contacts: Mapping[MailboxId, Mapping[MailboxId, int]]
    answerable: Mapping[MailboxId, Sequence[Answerable]]
    habits: Mapping[MailboxId, Habit]
    last_due: Mapping[MailboxId, datetime]

    @classmethod
    async def gathered(
        cls, batch: Sequence[Mailbox], on: date, circle: Circle, roster: Roster, everybody: Past
    ) -> "_Known":
        """Read for the batch, all of it about dates before `on`."""
        ids = [mailbox.id for mailbox in batch]
        return cls(
            before=await Before.gathered(batch, on, circle, roster),
            everybody=everybody,
            contacts=await circle.ledger.history.contacts(ids, since=on - REMEMBERED, until=on),
            answerable=await _answerable(batch, on, circle, everybody),
            habits=await habits_of(batch, on, circle),
            last_due=await circle.ledger.slots.last_due(ids),
        )


async def _answerable(
    batch: Sequence[Mailbox], on: date, circle: Circle, everybody: Past
) -> Mapping[MailboxId, list[Answerable]]:
    """What each of the batch may answer, seen within the days before its date begins."""
    midnights = {mailbox.id: midnight_of(on, mailbox) for mailbox in batch}
    days = ANSWER_WITHIN + timedelta(days=1)
    parts = defaultdict[int, list[MailboxId]](list)
    for mailbox in batch:
        came = everybody.inbound.get(mailbox.id, 0) * days / REMEMBERED
        parts[max(1, int(came) // _CANDIDATES)].append(mailbox.id)
    found = defaultdict[MailboxId, list[Answerable]](list)
    since, until = min(midnights.values()) - days, max(midnights.values())
    for every, ids in sorted(parts.items()):
        part = (on.toordinal() % every, every)
        for each in await circle.ledger.history.answerable(ids, since=since, until=until, part=part):
            midnight = midnights[each.recipient_id]
            if midnight - days <= each.seen_at < midnight:
                found[each.recipient_id].append(each)
    return found


async def _decided(mailbox: Mailbox, known: _Known) -> AsyncIterator[Plan]:
    """The mailbox's plan, or nothing where it cannot be made."""
    # A batch takes a second or two: others' sends must not wait for it.
    await asyncio.sleep(0)
    try:
        yield _planned(mailbox, known)
    except Exception:  # the edge of a unit: a mailbox that cannot be planned must not take its batch down
        log.exception("unit failed", step="plan", mailbox=mailbox.id)


def _planned(mailbox: Mailbox, known: _Known) -> Plan:
    before, circle, roster, on = known.before, known.before.circle, known.before.roster, known.before.on
    view, resting, habit = before.view(mailbox), before.resting_for(mailbox), known.habits[mailbox.id]
    answerable = [each for each in known.answerable.get(mailbox.id, ()) if not _rests(each, roster, resting)]

    plan = plan_for(
        mailbox,
        on,
        1 + sum(1 for day in view.history if day.target > 0),
        allowance(view),
        seeds=roster.seeds(resting).pool,
        past=replace(known.everybody, contacts=known.contacts.get(mailbox.id, {})),
        unanswered=_unanswered(answerable, roster, mailbox.zone),
        listening=_listens(mailbox, on, roster, circle),
        hours=habit.hours,
        bustle=habit.bustle,
        # Where its zone was moved eastwards, the date begins before the old one's slots have gone: it waits for them.
        now=max(circle.clock.now(), known.last_due.get(mailbox.id, circle.clock.now())),
        grace=circle.grace,
        rng=circle.clock.rng(mailbox.id, on, "plan"),
        per_minute=circle.per_minute(mailbox),
        kin=roster.writes_to_kin(mailbox),
    )

    answered = {each.slot_id: each for each in answerable}
    grammars = circle.grammars.without(resting.grammars)
    # One stream for the date, slot by slot: seeding one for each would take longer than all the draws.
    draws = circle.clock.rng(mailbox.id, on, "slots")
    slots = [
        _slot(
            slot, mailbox, roster.active[slot.recipient_id], _text(slot, answered, grammars, draws), circle.key, draws
        )
        for slot in plan.slots
    ]
    _say(mailbox, plan)
    return mailbox.id, _day(plan), slots


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


def _unanswered(answerable: Iterable[Answerable], roster: Roster, zone: ZoneInfo) -> list[Unanswered]:
    return [
        Unanswered(
            slot_id=each.slot_id,
            thread_id=each.thread_id,
            sender=roster.correspondents[each.sender_id],
            seen_on=date_of(each.seen_at, zone),
            length=each.length,
        )
        for each in answerable
    ]


def _listens(mailbox: Mailbox, on: date, roster: Roster, circle: Circle) -> bool:
    if circle.settings.limits.listening_days == 0:
        return False
    return is_listening(date_of(mailbox.enrolled_at, mailbox.zone), on, others=roster.elder_dates(mailbox))


def _day(plan: DayPlan) -> NewDay:
    answer = plan.allowance
    return NewDay(
        date=plan.date,
        day=plan.day,
        level=answer.level,
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


def _rests(each: Answerable, roster: Roster, resting: Resting) -> bool:
    """True where nobody takes the answer, or it would go to a retired seed, or go on with a retired text."""
    sender = roster.active.get(each.sender_id)
    return sender is None or sender.address in resting.seeds or each.grammar in resting.grammars


def _text(
    slot: PlannedSlot, answered: Mapping[SlotId, Answerable], grammars: Grammars, rng: random.Random
) -> tuple[str, str]:
    """A grammar's name and language. An answer has its thread's (steps/letter), and draws all the same."""
    drawn = grammars.pick(rng)
    if slot.in_reply_to is None:
        return drawn.name, drawn.language
    return answered[slot.in_reply_to].grammar, answered[slot.in_reply_to].language


def _slot(
    slot: PlannedSlot, mailbox: Mailbox, recipient: Mailbox, text: tuple[str, str], key: bytes, rng: random.Random
) -> NewSlot:
    """The slot with its identity and its draws; `text` is its grammar and language."""
    nonce = rng.randbytes(identity.NONCE_BYTES)
    token = identity.token(key, nonce, sender=mailbox.address, recipient=recipient.address)
    grammar, language = text
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
