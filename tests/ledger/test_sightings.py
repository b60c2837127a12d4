"""What is awaited is looked for, the first sighting is the placement, and what was seen is never lost."""

from datetime import timedelta

from tests.ledger.conftest import HOUR, MINUTE, NOW, World
from warmup.ledger.cursors import Cursor
from warmup.ledger.sightings import NewSighting, NextLook, Stage
from warmup.mail.answer import Refused, Reply, Uncertain
from warmup.policy.fate import Placement

DAY = timedelta(days=1)


async def test_what_a_server_may_have_taken_is_awaited_and_nothing_else(world: World) -> None:
    accepted, uncertain, refused = await world.plan(3)
    await world.send(accepted)
    await world.send(uncertain, Uncertain(reason="cut"))
    await world.send(refused, Refused(reply=Reply(code=550)))
    bob, eve = world.seeds
    assert await world.ledger.sightings.due(NOW) == ()
    assert await world.ledger.sightings.next_look() == NOW + MINUTE
    assert set(await world.ledger.sightings.due(NOW + 5 * MINUTE)) == {bob.id, eve.id}
    (watch,) = await world.ledger.sightings.awaited(bob.id)
    assert (watch.slot, watch.sender, watch.message_id) == (accepted, "ann@send.test", accepted.message_id)
    assert (watch.since, watch.look_at, watch.deadline_at) == (NOW, NOW + MINUTE, NOW + DAY)
    assert watch.stage is Stage.FIRST
    read_to = Cursor(folder="INBOX", uidvalidity=1, last_uid=7)
    assert await world.ledger.sightings.looked(bob.id, "", now=NOW, cursor=read_to) == (watch,)
    assert await world.ledger.sightings.cursors(bob.id) == {"INBOX": read_to}


async def test_a_sighting_and_its_cursor_come_together_and_start_the_second_stage(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    again = NextLook(look_at=NOW + 12 * HOUR, deadline_at=NOW + 48 * HOUR)
    cursor = Cursor(folder="INBOX", uidvalidity=2**32 - 1, last_uid=17)
    sighting = NewSighting(slot_id=slot.id, placement=Placement.INBOX, folder="INBOX", uid=17, again=again)
    record = world.ledger.sightings.record
    assert await record(slot.recipient_id, [sighting], now=NOW + HOUR, cursor=cursor) == (slot.id,)
    assert await record(slot.recipient_id, [sighting], now=NOW + 2 * HOUR, cursor=cursor) == ()
    assert await world.ledger.sightings.cursors(slot.recipient_id) == {"INBOX": cursor}
    (watch,) = await world.ledger.sightings.awaited(slot.recipient_id)
    assert (watch.stage, watch.look_at, watch.deadline_at) == (Stage.SECOND, again.look_at, again.deadline_at)


async def test_a_second_look_is_news_only_where_the_message_was_moved(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    again = NextLook(look_at=NOW + 12 * HOUR, deadline_at=NOW + 48 * HOUR)
    assert await world.see(slot, Placement.INBOX, NOW + HOUR, again=again)
    last = NextLook(look_at=NOW + 47 * HOUR, deadline_at=NOW + 48 * HOUR)
    assert not await world.see(slot, Placement.INBOX, NOW + 12 * HOUR, stage=Stage.SECOND, again=last)
    assert await world.ledger.sightings.next_look() == last.look_at
    assert await world.see(slot, Placement.SPAM, NOW + 47 * HOUR, stage=Stage.SECOND)
    assert await world.ledger.sightings.next_look() is None
    (row,) = [row async for row in world.ledger.export.messages()]
    assert (row["placement"], row["reclassified"]) == ("inbox", "spam")


async def test_looks_are_put_off_or_ended(world: World) -> None:
    first, second = await world.plan(2)
    for slot in (first, second):
        await world.send(slot)
    later = NextLook(look_at=NOW + HOUR, deadline_at=NOW + DAY)
    await world.ledger.sightings.look_again({first.id: later})
    await world.ledger.sightings.stop_looking([second.id])
    assert await world.ledger.sightings.next_look() == NOW + HOUR
    assert await world.ledger.sightings.awaited(second.recipient_id) == ()


async def test_only_folders_that_were_read_since_count_as_read(world: World) -> None:
    bob, looked = world.seeds[0].id, world.ledger.sightings.looked
    await looked(bob, "INBOX", now=NOW - HOUR)
    await looked(bob, "Junk", now=NOW)
    await looked(bob, "Bulk", now=NOW + HOUR, error="NO such folder")
    assert await world.ledger.sightings.read_since(bob, NOW) == {"Junk"}


async def test_slots_are_found_by_the_ids_they_were_sent_with(world: World) -> None:
    slots = await world.plan(3)
    ids = [f"<{number}@elsewhere.test>" for number in range(1200)] + [slots[2].message_id]
    assert await world.ledger.sightings.by_message_id(ids) == {slots[2].message_id: slots[2]}


async def test_a_cursor_starts_anew_under_another_uidvalidity(world: World) -> None:
    bob = world.seeds[0].id
    for cursor in (Cursor(folder="A", uidvalidity=1, last_uid=99), Cursor(folder="A", uidvalidity=2, last_uid=3)):
        await world.ledger.sightings.set_cursor(bob, cursor)
    assert await world.ledger.sightings.cursors(bob) == {"A": Cursor(folder="A", uidvalidity=2, last_uid=3)}
    assert await world.ledger.own.cursor(bob, "B") is None
