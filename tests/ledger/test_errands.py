"""A test of a mailbox is one transaction: it goes under the walls or leaves no trace, and is evidence of nothing."""

import shutil
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tests.ledger.conftest import HOUR, MARGIN, MINUTE, NOW, OK, RULES, World
from warmup.ledger import Ledger
from warmup.ledger.attempts import Claimed, Unmarked
from warmup.ledger.errors import LedgerUnsettled
from warmup.ledger.highwater import HighWater, Mark
from warmup.ledger.holds import NewHold
from warmup.ledger.slots import Slot
from warmup.mail.answer import Answer, Deferred, Refused, Reply
from warmup.policy.fate import Kind, Placement
from warmup.policy.quota import Hindrance, Lapse, Wait

REFUSED = Refused(reply=Reply(code=550, status="5.7.1", text="not welcome"))
TODAY = NOW.date()


async def ask(world: World, at: datetime, **rules: object) -> Claimed | Wait | Lapse:
    """A test of the sender to itself."""
    new = world.new_slot(-1, at, world.sender, kind=Kind.TEST)
    patient = replace(RULES, **rules)  # type: ignore[arg-type]
    return await world.ledger.errands.claim(world.sender.id, new, date=at.date(), now=at, rules=patient, node="n")


async def went(world: World, at: datetime, answer: Answer = OK) -> Slot:
    """One that went, and how it ended."""
    claimed = await ask(world, at)
    assert isinstance(claimed, Claimed), claimed
    await world.end(claimed, answer, at)
    return claimed.slot


async def messages(world: World) -> list[tuple[str, str]]:
    return [(row["kind"], row["outcome"]) async for row in world.ledger.export.messages()]


async def test_it_needs_no_plan_and_no_lane(world: World) -> None:
    await went(world, NOW)
    await went(world, NOW + MINUTE)
    assert await messages(world) == [("test", "accepted")] * 2
    assert await world.ledger.slots.next_due() is None


async def test_a_refused_claim_leaves_no_trace(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=1)
    await went(world, NOW)
    free_at = NOW + 24 * HOUR + MARGIN
    assert await ask(world, NOW + MINUTE) == Wait(until=free_at, reason=Hindrance.LIMIT)
    assert await messages(world) == [("test", "accepted")]
    assert HighWater(world.ledger.database.mark).read() == Mark(1, 1)
    await world.read_own(free_at)
    assert isinstance(await ask(world, free_at), Claimed)


async def test_the_domains_wall_a_hold_a_pause_and_an_old_reading_stand_in_its_way_too(world: World) -> None:
    await went(world, NOW)
    full = await ask(world, NOW + MINUTE, domain_limit=1)
    assert isinstance(full, Wait)
    assert full.reason is Hindrance.DOMAIN
    assert await ask(world, NOW + 3 * HOUR) == Wait(until=None, reason=Hindrance.OWN_TRAFFIC)
    hold = NewHold(until=NOW + HOUR, reason="550 5.4.5")
    await world.ledger.holds.hold(world.sender.account_id, hold, now=NOW)
    assert await ask(world, NOW + MINUTE) == Wait(until=hold.until, reason=Hindrance.HELD)
    await world.ledger.mailboxes.pause([world.sender.id])
    assert await ask(world, NOW + MINUTE) == Wait(until=None, reason=Hindrance.PAUSED)
    assert await messages(world) == [("test", "accepted")]


async def test_the_walls_count_it_and_the_day_does_not(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=3)
    first, second = await world.plan(2)
    await went(world, NOW)
    # In flight, it is no part of the day either.
    assert isinstance(await ask(world, NOW + MINUTE), Claimed)
    await world.send(first, at=NOW + 2 * MINUTE)
    wait = await world.ledger.attempts.claim(second.id, now=NOW + 3 * MINUTE, rules=RULES, node="n")
    assert isinstance(wait, Wait)
    assert wait.reason is Hindrance.LIMIT


async def test_a_day_has_room_for_all_that_was_planned_beside_it(world: World) -> None:
    slots = await world.plan(2)
    for _ in range(3):
        await went(world, NOW)
    for slot in slots:
        await world.send(slot)
    assert (await world.ledger.history.of(world.sender.id))[0].accepted == 2
    assert await world.ledger.slots.shrink(world.sender.id, TODAY, target=2, now=NOW, reason="target") == 0


async def test_it_is_planned_beside_and_numbered_where_no_plan_numbers(world: World) -> None:
    before = [await went(world, NOW), await went(world, NOW)]
    planned = await world.plan(2)
    assert [slot.number for slot in (*before, *planned)] == [-1, -2, 1, 2]


async def test_what_was_put_off_waits_for_nobody(world: World) -> None:
    await went(world, NOW, Deferred(reply=Reply(code=451), reason="later"))
    assert await world.ledger.slots.due(NOW + 9 * HOUR) == ()
    assert await messages(world) == [("test", "deferred")]


@pytest.mark.parametrize("answer", [OK, REFUSED])
async def test_it_is_evidence_of_nothing(world: World, answer: Answer) -> None:
    slot = await went(world, NOW, answer)
    if answer is OK:
        await world.see(slot, Placement.SPAM, NOW + HOUR)
        assert (await world.ledger.errands.landed(slot.id)) is not None
    known = await world.ledger.evidence.of(world.sender.id, since=NOW - HOUR)
    assert (known.findings, known.rebuffs, known.taken, known.heard) == ((), (), {}, ())
    assert await world.ledger.trials.recent(since=NOW - HOUR) == ()
    assert (await world.ledger.status.totals()).placements == {}
    assert [row async for row in world.ledger.export.daily()] == []


async def test_nobody_answers_it_and_it_is_no_contact(world: World) -> None:
    slot = await went(world, NOW)
    await world.see(slot, Placement.INBOX, NOW + HOUR)
    history = world.ledger.history
    assert await history.answerable([world.sender.id], since=NOW - HOUR, until=NOW + 9 * HOUR) == ()
    assert await history.contacts([world.sender.id], since=date.min, until=date.max) == {}
    assert await history.load(since=date.min, until=date.max) == {}


async def test_a_killed_one_is_uncertain_and_counts(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=1)
    assert isinstance(await ask(world, NOW), Claimed)
    assert await world.recover(NOW + HOUR) == 1
    assert await messages(world) == [("test", "uncertain")]
    assert isinstance(await ask(world, NOW + 59 * MINUTE), Wait)


async def test_nothing_goes_from_a_ledger_that_was_put_back(file_world: World, tmp_path: Path) -> None:
    world = file_world
    await world.ledger.close()
    shutil.copy(world.ledger.path, tmp_path / "backup.db")
    world.ledger = world.reopened()
    await went(world, NOW)
    await world.ledger.close()
    for leftover in world.ledger.path.parent.glob("warmup.db-*"):
        leftover.unlink()
    shutil.copy(tmp_path / "backup.db", world.ledger.path)
    world.ledger = world.reopened()
    with pytest.raises(LedgerUnsettled):
        await ask(world, NOW + MINUTE)
    assert await messages(world) == []
    await world.ledger.installation.check_restore(now=NOW + MINUTE)
    held = await ask(world, NOW + MINUTE)
    assert held == Wait(until=NOW + MINUTE + timedelta(hours=24), reason=Hindrance.HELD)
    await world.ledger.close()


async def test_who_comes_second_does_not_lower_the_mark(tmp_path: Path) -> None:
    daemon, verb = (HighWater(tmp_path / "warmup.db") for _ in range(2))
    daemon.raise_to(Mark(1, 7))
    verb.raise_to(Mark(1, 6))
    assert verb.read() == Mark(1, 7)
    verb.raise_to(Mark(2, 1))
    daemon.raise_to(Mark(1, 8))
    assert daemon.read() == Mark(2, 1)
    daemon.close()
    verb.close()


async def test_what_could_not_be_marked_is_told_with_its_claim(world: World) -> None:
    # No file can be made where a folder lies.
    HighWater(world.ledger.database.mark).path.mkdir()
    with pytest.raises(Unmarked) as failure:
        await ask(world, NOW)
    assert await world.end(failure.value.claimed, Deferred(reply=None, reason="no mark"), NOW)
    assert await messages(world) == [("test", "deferred")]
