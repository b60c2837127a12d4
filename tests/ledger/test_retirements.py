"""Who is left out, and the rows that say why."""

from datetime import timedelta

from tests.ledger.conftest import HOUR, MINUTE, NOW, World
from warmup.ledger.slots import NewDay, NewLaneDay, Slot
from warmup.mail.answer import Deferred, Refused, Reply
from warmup.policy.attribution import Suspect
from warmup.policy.fate import Kind, Placement
from warmup.policy.retirement import Candidate, Decision
from warmup.policy.standing import Standing

SEED = Candidate(Suspect.SEED, "bob@one.test")
TEXT = Candidate(Suspect.GRAMMAR, "en-garden")


def out(candidate: Candidate) -> Decision:
    return Decision(candidate=candidate, retired=True, reason="5 of 5 went wrong")


def back(candidate: Candidate) -> Decision:
    return Decision(candidate=candidate, retired=False, reason="forgotten")


async def test_a_change_is_a_row_and_no_change_is_none(world: World) -> None:
    retirements = world.ledger.retirements
    assert await retirements.append([out(SEED), out(TEXT)], now=NOW) == 2
    assert await retirements.append([out(SEED)], now=NOW + HOUR) == 0
    seed, text = sorted(await retirements.in_force(), key=lambda one: one.mailbox_id is None)
    assert (seed.candidate, seed.mailbox_id, seed.since) == (SEED, world.seeds[0].id, NOW)
    assert (text.candidate, text.mailbox_id, text.reason) == (TEXT, None, "5 of 5 went wrong")
    assert await retirements.append([back(SEED)], now=NOW + 2 * HOUR) == 1
    assert [one.candidate for one in await retirements.in_force()] == [TEXT]


async def test_a_date_sees_what_was_decided_before_it_began(world: World) -> None:
    retirements = world.ledger.retirements
    await retirements.append([out(SEED)], now=NOW)
    await retirements.append([back(SEED)], now=NOW + 2 * HOUR)
    assert await retirements.in_force(before=NOW) == ()
    assert [one.candidate for one in await retirements.in_force(before=NOW + HOUR)] == [SEED]
    assert await retirements.in_force(before=NOW + 3 * HOUR) == ()


async def test_a_purge_takes_a_seeds_rows_along(world: World) -> None:
    await world.ledger.retirements.append([out(SEED)], now=NOW)
    await world.ledger.mailboxes.remove(world.seeds[0].id, now=NOW + HOUR, purge=True)
    assert await world.ledger.retirements.in_force() == ()


async def test_what_was_tried_is_read_with_all_that_it_shares(world: World) -> None:
    slots = await world.plan(7)
    places = (Placement.INBOX, Placement.SPAM, Placement.MISSING, Placement.UNOBSERVED)
    for slot, place in zip(slots[:4], places, strict=True):
        await world.send(slot)
        await world.see(slot, place, slot.due_at + MINUTE)
    await world.send(slots[4], Refused(reply=Reply(code=550, status="5.7.1", text="policy")))
    await world.send(slots[5], Deferred(reply=Reply(code=451, status="4.7.1", text="greylisted")))
    tried = await world.ledger.trials.recent(since=NOW - timedelta(days=1))
    placed = [one for one in tried if one.placement is not None]
    assert [one.placement for one in placed] == [Placement.INBOX, Placement.SPAM, Placement.MISSING]
    first = placed[0]
    assert (first.mailbox, first.domain, first.provider) == ("ann@send.test", "send.test", "one.test")
    assert (first.seed, first.grammar, first.control, first.date) == ("bob@one.test", "en-garden", False, NOW.date())
    assert sorted(one.reply.code for one in tried if one.reply is not None) == [451, 550]


async def test_the_newest_are_read_where_there_are_too_many(world: World) -> None:
    slots = await world.plan(4)
    for slot in slots:
        await world.send(slot)
        await world.see(slot, Placement.INBOX, slot.due_at + MINUTE)
    tried = await world.ledger.trials.recent(since=NOW - timedelta(days=1), most=3)
    assert len(tried) == 3
    assert await world.ledger.trials.recent(since=NOW + timedelta(days=3)) == ()


async def test_answers_received_are_counted_by_where_they_came_from(world: World) -> None:
    (opener,) = await world.plan(1)
    await world.send(opener)
    await world.see(opener, Placement.INBOX, opener.due_at + MINUTE)
    answer = await answered(world, opener)
    assert await world.ledger.history.replies(world.sender.id, since=NOW.date()) == {}
    await world.see(answer, Placement.INBOX, answer.due_at + MINUTE)
    assert await world.ledger.history.replies(world.sender.id, since=NOW.date()) == {"one.test": 1}
    assert await world.ledger.history.replies(world.sender.id, since=NOW.date() + timedelta(days=1)) == {}


async def answered(world: World, opener: Slot) -> Slot:
    """The seed's answer to `opener`, sent an hour later."""
    bob, at = world.seeds[0], NOW + HOUR
    lane = NewLaneDay(provider="send.test", level=1, ceiling=1, factor=1.0, target=1, standing=Standing.SOUND)
    day = NewDay(date=at.date(), day=1, ceiling=1, target=1, lanes=(lane,))
    slot = world.new_slot(1, at, world.sender, kind=Kind.REPLY, thread_id=opener.thread_id, in_reply_to=opener.id)
    await world.ledger.slots.record(bob.id, day, [slot], now=at)
    await world.read_own(at, bob)
    (due,) = (await world.ledger.turns.to_send(bob.id, at)).due
    await world.send(due)
    return due
