"""What `--engage` means to do is written down before it is done, and once."""

from datetime import timedelta

from tests.ledger.conftest import HOUR, MINUTE, NOW, World
from warmup.ledger.engagements import Place, Result
from warmup.ledger.sightings import Stage
from warmup.policy.fate import Action, Placement

DAY = timedelta(days=1)


async def test_an_action_is_meant_once_and_pending_until_it_ends(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.see(slot, Placement.SPAM, NOW + HOUR, folder="Junk", uidvalidity=5, uid=42)
    engagements, bob = world.ledger.engagements, world.seeds[0].id
    intent = await engagements.intend(slot.id, Action.RESCUE, mailbox_id=bob, now=NOW + HOUR)
    assert intent is not None
    assert await engagements.intend(slot.id, Action.RESCUE, mailbox_id=bob, now=NOW + HOUR) is None
    (pending,) = await engagements.pending(bob)
    assert (pending.id, pending.slot, pending.action) == (intent, slot, Action.RESCUE)
    assert pending.place == Place(folder="Junk", uidvalidity=5, uid=42)
    assert await engagements.pending(world.seeds[1].id) == ()
    assert await engagements.end(intent, Result.DONE, now=NOW + HOUR)
    assert not await engagements.end(intent, Result.FAILED, now=NOW + HOUR)
    assert await engagements.pending(bob) == ()


async def test_the_senders_copy_may_be_acted_on_besides(world: World) -> None:
    (slot,) = await world.plan(1)
    intend = world.ledger.engagements.intend
    assert await intend(slot.id, Action.EXPIRE, mailbox_id=world.seeds[0].id, now=NOW) is not None
    assert await intend(slot.id, Action.EXPIRE, mailbox_id=world.sender.id, now=NOW) is not None


async def test_the_last_place_is_where_a_moved_message_lies(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.see(slot, Placement.INBOX, NOW + HOUR, folder="INBOX", uidvalidity=1, uid=7)
    await world.see(slot, Placement.SPAM, NOW + DAY, folder="Junk", uidvalidity=2, uid=3, stage=Stage.SECOND)
    (held,) = await world.ledger.engagements.lacking(world.seeds[0].id, Action.SEEN, since=NOW, until=NOW + DAY)
    assert (held.slot, held.placement, held.seen_at) == (slot, Placement.INBOX, NOW + HOUR)
    assert held.place == Place(folder="Junk", uidvalidity=2, uid=3)


async def test_what_was_seen_too_late_or_is_meant_already_is_not_lacking(world: World) -> None:
    to_bob, to_eve, missing = await world.plan(3)
    bob = world.seeds[0].id
    for slot, placement in ((to_bob, Placement.INBOX), (to_eve, Placement.INBOX), (missing, Placement.MISSING)):
        await world.send(slot)
        await world.see(slot, placement, NOW + HOUR)
    lacking = world.ledger.engagements.lacking
    assert [held.slot for held in await lacking(bob, Action.EXPIRE, since=NOW, until=NOW + DAY)] == [to_bob]
    assert await lacking(bob, Action.EXPIRE, since=NOW, until=NOW + HOUR) == ()
    assert await lacking(bob, Action.EXPIRE, since=NOW + HOUR + MINUTE, until=NOW + DAY) == ()
    await world.ledger.engagements.intend(to_bob.id, Action.EXPIRE, mailbox_id=bob, now=NOW)
    assert await lacking(bob, Action.EXPIRE, since=NOW, until=NOW + DAY) == ()


async def test_messages_of_a_mailbox_that_was_removed_are_left_alone(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.see(slot, Placement.INBOX, NOW + HOUR)
    engagements, bob = world.ledger.engagements, world.seeds[0].id
    assert await engagements.intend(slot.id, Action.SEEN, mailbox_id=bob, now=NOW + HOUR) is not None
    assert await engagements.pending(bob) != ()
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW + HOUR)
    assert await engagements.pending(bob) == ()
    assert await engagements.lacking(bob, Action.EXPIRE, since=NOW, until=NOW + DAY) == ()
