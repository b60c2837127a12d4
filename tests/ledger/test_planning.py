"""A date is planned once; what is recorded stays, and what is due is told in order."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from tests.ledger.conftest import HOUR, MINUTE, NOW, OK, World, new_day, new_mailbox
from warmup.ledger.engagements import Result
from warmup.ledger.slots import ROWS
from warmup.mail.answer import Deferred, Reply, Uncertain
from warmup.policy.fate import Action, Kind, Placement
from warmup.policy.standing import Standing

DAY = timedelta(days=1)


async def test_recording_a_date_again_changes_nothing(world: World) -> None:
    slots = await world.plan(3)
    before = await world.ledger.history.of(world.sender.id)
    other = [world.new_slot(number, NOW, world.seeds[1], language="fr") for number in range(1, 9)]
    assert not await world.ledger.slots.record(world.sender.id, new_day(NOW, target=99, day=7), other, now=NOW + HOUR)
    assert await world.ledger.history.of(world.sender.id) == before
    assert (await world.ledger.turns.to_send(world.sender.id, NOW + HOUR)).due == slots


async def test_a_plan_that_fails_half_way_leaves_nothing(world: World) -> None:
    twice = [world.new_slot(1, NOW, world.seeds[0], message_id="<same@send.test>") for _ in range(2)]
    with pytest.raises(IntegrityError):
        await world.ledger.slots.record(world.sender.id, new_day(NOW, target=2), twice, now=NOW)
    assert await world.ledger.history.of(world.sender.id) == ()
    assert await world.ledger.slots.next_due() is None
    assert len(await world.plan(2)) == 2


async def test_a_large_plan_that_fails_at_its_end_leaves_nothing(world: World) -> None:
    """Rows go to the database some at a time; the promise is about all of them."""
    many = [world.new_slot(n, NOW, world.seeds[0], message_id=f"<{n}@send.test>") for n in range(1, ROWS + 2)]
    broken = [*many[:-1], replace(many[-1], message_id=many[0].message_id)]
    with pytest.raises(IntegrityError):
        await world.ledger.slots.record(world.sender.id, new_day(NOW, target=len(broken)), broken, now=NOW)
    assert await world.ledger.history.of(world.sender.id) == ()
    assert await world.ledger.slots.next_due() is None
    assert await world.ledger.slots.record(world.sender.id, new_day(NOW, target=len(many)), many, now=NOW)
    assert [slot.number for slot in (await world.ledger.turns.to_send(world.sender.id, NOW)).due] == [
        *range(1, ROWS + 2)
    ]


async def test_what_is_due_is_told_by_mailbox_and_in_order(world: World) -> None:
    slots = await world.plan(4)
    assert await world.ledger.slots.due(NOW - MINUTE) == ()
    assert await world.ledger.slots.next_due() == NOW
    assert await world.ledger.slots.due(NOW + 2 * MINUTE) == (world.sender.id,)
    assert (await world.ledger.turns.to_send(world.sender.id, NOW + 2 * MINUTE)).due == slots[:3]
    assert await world.ledger.slots.get(slots[0].id) == slots[0]


async def test_a_slot_lapses_once_and_only_while_it_waits(world: World) -> None:
    first, second = await world.plan(2)
    assert await world.ledger.slots.lapse(first.id, "grace", now=NOW)
    assert not await world.ledger.slots.lapse(first.id, "grace", now=NOW)
    await world.send(second)
    assert not await world.ledger.slots.lapse(second.id, "grace", now=NOW)


async def test_shrinking_drops_the_latest_and_moves_none_of_the_rest(world: World) -> None:
    slots = await world.plan(5)
    await world.send(slots[0])
    shrink = world.ledger.slots.shrink
    assert await shrink(world.sender.id, NOW.date(), target=3, now=NOW, reason="slowed") == 2
    assert (await world.ledger.turns.to_send(world.sender.id, NOW + HOUR)).due == slots[1:3]
    assert await shrink(world.sender.id, NOW.date(), target=4, now=NOW, reason="freed") == 0
    (day,) = await world.ledger.history.of(world.sender.id)
    assert day.target == 3


async def test_history_counts_what_is_believed_accepted_by_date_and_lane(world: World) -> None:
    yesterday = await world.plan(4, at=NOW - DAY)
    await world.read_own(NOW - DAY)
    await world.send(yesterday[0])
    later = yesterday[1].due_at
    await world.end(await world.claim(yesterday[1]), Deferred(reply=Reply(code=451)), later, retry_at=later + MINUTE)
    await world.send(yesterday[1], OK, later + MINUTE)
    await world.send(yesterday[2], Uncertain(reason="cut"))
    await world.send(yesterday[3], Uncertain(reason="cut"))
    await world.see(yesterday[3], Placement.SPAM, NOW)
    await world.plan(1)

    first, second = await world.ledger.history.of(world.sender.id)
    assert (first.date, first.accepted, first.target) == ((NOW - DAY).date(), 3, 4)
    assert {lane.provider: lane.accepted for lane in first.lanes} == {"one.test": 1, "two.test": 2}
    assert first.lanes[0].standing is Standing.SOUND
    assert (second.accepted, second.date) == (0, NOW.date())
    assert await world.ledger.history.of(world.sender.id, until=NOW.date()) == (first,)
    assert await world.ledger.history.day(world.sender.id, NOW.date()) == second
    assert await world.ledger.history.last_planned() == {world.sender.id: NOW.date()}
    assert await world.ledger.history.planned(NOW.date()) == {world.sender.id}


async def test_contacts_and_loads_leave_out_the_date_being_planned(world: World) -> None:
    bob, eve = world.seeds
    await world.plan(3, at=NOW - DAY)
    await world.plan(2)
    since, until = (NOW - 9 * DAY).date(), NOW.date()
    contacts = await world.ledger.history.contacts([world.sender.id, bob.id], since=since, until=until)
    assert contacts == {world.sender.id: {bob.id: 2, eve.id: 1}}
    assert await world.ledger.history.load(since=since, until=until) == {bob.id: 2, eve.id: 1}
    assert await world.ledger.history.planned_by(since=since, until=until) == {world.sender.id: 3}


async def test_a_message_read_in_the_inbox_may_be_answered_once(world: World) -> None:
    to_bob, to_eve, unseen = await world.plan(3)
    bob = world.seeds[0]
    for slot in (to_bob, to_eve, unseen):
        await world.send(slot)
    await world.see(to_bob, Placement.INBOX, NOW + HOUR)
    await world.see(to_eve, Placement.SPAM, NOW + HOUR)

    answerable = world.ledger.history.answerable
    (found,) = await answerable([bob.id], since=NOW, until=NOW + DAY)
    assert (found.slot_id, found.sender_id, found.recipient_id) == (to_bob.id, world.sender.id, bob.id)
    assert (found.thread_id, found.grammar, found.seen_at) == (to_bob.thread_id, to_bob.grammar, NOW + HOUR)
    assert (found.language, found.length) == (to_bob.language, 1)
    halves = [await answerable([bob.id], since=NOW, until=NOW + DAY, part=(k, 2)) for k in range(2)]
    assert sorted(map(len, halves)) == [0, 1]
    assert await answerable([bob.id], since=NOW, until=NOW + HOUR) == ()
    answer = world.new_slot(
        1, NOW + DAY, world.sender, kind=Kind.REPLY, in_reply_to=to_bob.id, thread_id=to_bob.thread_id
    )
    await world.ledger.slots.record(bob.id, new_day(NOW + DAY, target=1), [answer], now=NOW + DAY)
    assert await answerable([bob.id], since=NOW, until=NOW + DAY) == ()


async def test_nothing_is_answered_from_junk_unless_it_was_rescued(world: World) -> None:
    _, to_eve = await world.plan(2)
    eve = world.seeds[1]
    await world.send(to_eve)
    await world.see(to_eve, Placement.SPAM, NOW + HOUR)
    answerable, engagements = world.ledger.history.answerable, world.ledger.engagements
    assert await answerable([eve.id], since=NOW, until=NOW + DAY) == ()
    intent = await engagements.intend(to_eve.id, Action.RESCUE, mailbox_id=eve.id, now=NOW + HOUR)
    assert intent is not None
    assert await answerable([eve.id], since=NOW, until=NOW + DAY) == ()
    await engagements.end(intent, Result.DONE, now=NOW + HOUR)
    assert [found.slot_id for found in await answerable([eve.id], since=NOW, until=NOW + DAY)] == [to_eve.id]


async def test_a_thread_names_the_ids_its_messages_arrived_with(world: World) -> None:
    first, second = await world.plan(2, thread_id="t")
    await world.send(first)
    await world.see(first, Placement.INBOX, NOW + HOUR, message_id="<rewritten@one.test>")
    assert [message.message_id for message in await world.ledger.slots.thread("t")] == ["<rewritten@one.test>"]
    await world.send(second)
    assert [message.slot for message in await world.ledger.slots.thread("t")] == [first, second]


async def test_a_removed_sender_is_not_answered(world: World) -> None:
    gone = await world.ledger.mailboxes.add(new_mailbox("gone@send.test"))
    await world.read_own(NOW, gone)
    (slot,) = await world.plan(1, sender=gone)
    await world.send(slot)
    await world.see(slot, Placement.INBOX, NOW + HOUR)
    assert len(await world.ledger.history.answerable([world.seeds[0].id], since=NOW, until=NOW + DAY)) == 1
    await world.ledger.mailboxes.remove(gone.id, now=NOW + HOUR)
    assert await world.ledger.history.answerable([world.seeds[0].id], since=NOW, until=NOW + DAY) == ()
