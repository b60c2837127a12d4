"""A ledger put back from a backup is noticed, sends nothing for a day and a pass of looks, and draws anew."""

import shutil
from pathlib import Path

from tests.ledger.conftest import HOUR, MINUTE, NOW, OK, RULES, World
from warmup.ledger import Ledger
from warmup.ledger.highwater import HighWater, Mark
from warmup.ledger.installation import Anchor
from warmup.policy.quota import Hindrance, Lapse, Wait

DAY = 24 * HOUR


async def reopened(world: World) -> None:
    world.ledger = world.reopened()


async def restored(world: World, folder: Path) -> None:
    """A backup is taken, one more message is sent, and the backup is put back."""
    path = world.ledger.path
    first, second, _ = await world.plan(3)
    await world.send(first)
    await world.ledger.close()
    shutil.copy(path, folder / "backup.db")
    await reopened(world)
    await world.send(second)
    await world.ledger.close()
    for leftover in path.parent.glob("warmup.db-*"):
        leftover.unlink()
    shutil.copy(folder / "backup.db", path)
    await reopened(world)


async def test_a_new_ledger_and_one_that_went_on_are_not_restored(file_world: World) -> None:
    world = file_world
    assert await world.ledger.installation.check_restore(now=NOW) is None
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.ledger.close()
    await reopened(world)
    assert await world.ledger.installation.check_restore(now=NOW) is None
    await world.ledger.close()


async def test_a_crash_between_the_claim_and_its_mark_is_no_restore(file_world: World) -> None:
    world = file_world
    first, second = await world.plan(2)
    await world.send(first)
    mark = HighWater(world.ledger.path)
    before = mark.path.read_bytes()
    assert mark.read() == Mark(1, 1)
    await world.send(second)
    await world.ledger.close()
    mark.path.write_bytes(before)
    await reopened(world)
    assert await world.ledger.installation.check_restore(now=NOW) is None
    assert HighWater(world.ledger.path).read() == Mark(1, 2)
    await world.ledger.close()


async def test_a_restored_ledger_lapses_what_was_due_and_draws_anew(file_world: World, tmp_path: Path) -> None:
    world = file_world
    seed = (await world.ledger.installation.get()).seed
    await restored(world, tmp_path)
    found = await world.ledger.installation.check_restore(now=NOW + HOUR)
    assert found is not None
    assert (found.incarnation, found.lapsed, found.held_until) == (2, 2, NOW + HOUR + DAY)
    assert await world.ledger.slots.next_due() is None
    assert (await world.ledger.installation.get()).seed != seed
    assert await world.ledger.installation.check_restore(now=NOW + 2 * HOUR) is None
    await world.ledger.close()


async def test_a_restored_ledger_sends_nothing_until_a_day_and_a_pass_of_looks_went_by(
    file_world: World, tmp_path: Path
) -> None:
    world = file_world
    await restored(world, tmp_path)
    installation, back_at = world.ledger.installation, NOW + HOUR
    await installation.check_restore(now=back_at)
    (slot,) = await world.plan(1, at=back_at + DAY)
    claim = world.ledger.attempts.claim
    early = back_at + DAY - MINUTE
    await world.read_own(early)
    wait = Wait(until=back_at + DAY, reason=Hindrance.HELD)
    assert await claim(slot.id, now=early, rules=RULES, node="n") == wait

    at = back_at + DAY
    hold = await installation.hold(now=at)
    assert hold is not None
    fleet = (world.sender, *world.seeds)
    assert hold.unread == len(fleet)
    assert set(await world.ledger.sightings.due(at)) == {mailbox.id for mailbox in fleet}
    for mailbox in fleet:
        assert isinstance(await claim(slot.id, now=at, rules=RULES, node="n"), Wait)
        await world.ledger.sightings.looked(mailbox.id, "INBOX", now=at)
    await world.claim(slot, at + MINUTE)
    assert await installation.hold(now=at) is None
    assert await world.ledger.sightings.due(at) == (world.seeds[0].id,)
    await world.ledger.close()


async def test_a_failed_look_does_not_lift_the_hold(file_world: World, tmp_path: Path) -> None:
    world = file_world
    await restored(world, tmp_path)
    await world.ledger.installation.check_restore(now=NOW)
    for mailbox in (world.sender, *world.seeds):
        await world.ledger.sightings.looked(mailbox.id, "INBOX", now=NOW + HOUR, error="no route")
    assert await world.ledger.installation.hold(now=NOW + 2 * DAY) is not None
    await world.ledger.close()


async def test_the_operator_may_lift_the_hold(file_world: World, tmp_path: Path) -> None:
    world = file_world
    await restored(world, tmp_path)
    await world.ledger.installation.check_restore(now=NOW)
    assert await world.ledger.installation.accept_restore()
    assert not await world.ledger.installation.accept_restore()
    (slot,) = await world.plan(1, at=NOW + DAY)
    await world.read_own(slot.due_at)
    await world.claim(slot)
    await world.ledger.close()


async def test_a_used_ledger_without_a_mark_it_can_believe_is_taken_for_restored(file_world: World) -> None:
    world = file_world
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.ledger.close()
    mark = HighWater(world.ledger.path).path
    whole = mark.read_text()
    for said in (None, "", whole[:-3], whole.replace("1 ", "2 ", 1)):
        mark.unlink() if said is None else mark.write_text(said)
        await reopened(world)
        assert await world.ledger.installation.check_restore(now=NOW) is not None, said
        await world.ledger.close()


async def test_a_purge_of_the_last_attempt_is_no_restore(file_world: World) -> None:
    world = file_world
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW, purge=True)
    await world.ledger.close()
    await reopened(world)
    assert await world.ledger.installation.check_restore(now=NOW) is None
    await world.ledger.close()


async def test_the_mark_is_durable_before_a_claim_returns(file_world: World) -> None:
    world = file_world
    for n, slot in enumerate(await world.plan(3), start=1):
        await world.claim(slot)
        assert HighWater(world.ledger.path).read() == Mark(1, n)
    assert HighWater(world.ledger.path).path.stat().st_mode & 0o777 == 0o600


async def test_establishing_again_changes_nothing(ledger: Ledger) -> None:
    first = await ledger.installation.get()
    assert await ledger.installation.establish(now=NOW + HOUR, token="other") == first
    await ledger.installation.set_identity_key(b"sealed")
    anchor = Anchor(wall=NOW, ledger=NOW + DAY, speed=60.0)
    await ledger.installation.set_anchor(anchor)
    known = await ledger.installation.get()
    assert (known.identity_key_sealed, known.anchor) == (b"sealed", anchor)
    await ledger.installation.set_anchor(None)
    assert (await ledger.installation.get()).anchor is None


async def test_the_latest_instant_is_the_last_thing_recorded(file_world: World) -> None:
    world = file_world
    latest = world.ledger.installation.latest
    assert await latest() == NOW
    (slot,) = await world.plan(1)
    await world.end(await world.claim(slot, NOW + MINUTE), OK, NOW + 2 * MINUTE)
    assert await latest() == NOW + 2 * MINUTE
    await world.ledger.sightings.looked(world.seeds[0].id, "INBOX", now=NOW + HOUR)
    assert await latest() == NOW + HOUR


async def test_a_late_slot_of_a_held_ledger_lapses(file_world: World, tmp_path: Path) -> None:
    world = file_world
    await restored(world, tmp_path)
    await world.ledger.installation.check_restore(now=NOW)
    (slot,) = await world.plan(1, at=NOW + 16 * HOUR)
    await world.read_own(slot.due_at)
    answer = await world.ledger.attempts.claim(slot.id, now=slot.due_at, rules=RULES, node="n")
    assert answer == Lapse(reason=Hindrance.HELD)
    await world.ledger.close()


async def test_a_message_that_arrived_and_was_never_tried_proves_that_the_ledger_went_back(world: World) -> None:
    installation = world.ledger.installation
    tried, waiting = await world.plan(2)
    await world.send(tried)
    assert not await installation.never_tried([])
    assert not await installation.never_tried(["<unknown@send.test>", tried.message_id])
    assert await installation.never_tried([tried.message_id, waiting.message_id])
    before = await installation.get()
    found = await installation.begin_again(now=NOW + HOUR)
    assert (found.incarnation, found.lapsed) == (before.incarnation + 1, 1)
    assert (await installation.get()).seed != before.seed
    # It is known now, and found again it proves nothing.
    assert not await installation.never_tried([waiting.message_id])
    assert await installation.check_restore(now=NOW + 2 * HOUR) is None
    held = await installation.restored(now=NOW + 2 * HOUR)
    assert held is not None
    assert (held.since, held.until) == (NOW + HOUR, NOW + HOUR + DAY)


async def test_a_slot_that_lapsed_before_it_was_tried_proves_it_as_well(world: World) -> None:
    (slot,) = await world.plan(1)
    assert await world.ledger.slots.lapse(slot.id, "grace", now=NOW + HOUR)
    assert await world.ledger.installation.never_tried([slot.message_id])
