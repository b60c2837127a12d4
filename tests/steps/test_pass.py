"""A pass plans everybody as each would have been planned alone, in any order, and once."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.conftest import HOUR, NOW, World, new_mailbox
from tests.steps.test_retire import DAY, SENDERS, Fleet
from warmup.ledger import Ledger
from warmup.ledger.cursors import Cursor
from warmup.ledger.own import OwnMessage
from warmup.ledger.slots import Slot
from warmup.policy.mailbox import Profile
from warmup.policy.window import date_of
from warmup.steps import plan as planning
from warmup.steps.plan import plan_day, plan_due
from warmup.steps.roster import Roster
from warmup.steps.view import seeds_of, view_of


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, datetime]:
    """A ledger with two days of four senders in two domains and eight seeds, and when they ended."""
    path = tmp_path_factory.mktemp("lived") / "warmup.db"

    async def live() -> datetime:
        ledger = Ledger.open(f"sqlite:///{path}", create=True, durable=False)
        await ledger.installation.establish(now=NOW, token="test")
        fleet = await Fleet.founded(ledger)
        await fleet.live(2)
        await ledger.close()
        return fleet.clock.now()

    return path, asyncio.run(live())


@pytest.fixture
async def fleets(lived: tuple[Path, datetime], tmp_path: Path) -> AsyncIterator[list[Fleet]]:
    """The same fleet three times over, each in a ledger of its own."""
    path, ended = lived
    found = []
    for name in ("pass", "onwards", "backwards"):
        (tmp_path / name).mkdir()
        shutil.copy(path, tmp_path / name / "warmup.db")
        ledger = Ledger.open(f"sqlite:///{tmp_path / name / 'warmup.db'}", durable=False)
        by_address = {mailbox.address: mailbox for mailbox in await ledger.mailboxes.list()}
        senders = [by_address[address] for address in SENDERS]
        fleet = Fleet(World(ledger, senders[0], ()), senders, [])
        fleet.clock.raise_to(ended)
        found.append(fleet)
    yield found
    for fleet in found:
        await fleet.world.ledger.close()


async def planned(fleet: Fleet) -> dict[str, list[tuple[Any, ...]]]:
    """Every sender's slots of today, by what was decided; ids depend on who was recorded first."""
    today, found = date_of(fleet.clock.now(), fleet.senders[0].zone), {}
    for sender in await fleet.world.ledger.mailboxes.list():
        slots = (await fleet.world.ledger.turns.to_send(sender.id, fleet.clock.now() + DAY)).due
        found[sender.address] = [decided(slot) for slot in slots if slot.date == today]
    return found


def decided(slot: Slot) -> tuple[Any, ...]:
    return (
        slot.number,
        slot.recipient_id,
        slot.provider,
        slot.kind,
        slot.thread_id,
        slot.due_at,
        slot.message_id,
        slot.grammar,
        slot.seed,
    )


async def test_a_pass_is_what_each_would_have_been_given_alone_in_any_order(fleets: list[Fleet]) -> None:
    at_once, onwards, backwards = fleets
    assert await plan_due(at_once.circle()) == 14
    for fleet, step in ((onwards, 1), (backwards, -1)):
        everybody = await fleet.world.ledger.mailboxes.list()
        for sender in everybody[::step]:
            await plan_day(sender, date_of(fleet.clock.now(), sender.zone), fleet.circle())
    found = await planned(at_once)
    assert sum(map(len, found.values())) > 20
    assert found == await planned(onwards) == await planned(backwards)


async def test_a_second_pass_changes_nothing_whatever_went_meanwhile(fleets: list[Fleet]) -> None:
    fleet = fleets[0]
    await plan_due(fleet.circle())
    before = await planned(fleet)
    today = date_of(fleet.clock.now(), fleet.senders[0].zone)
    first = ((await fleet.world.ledger.turns.to_send(fleet.senders[0].id, fleet.clock.now() + DAY)).due)[0]
    await fleet.world.read_own(first.due_at, fleet.senders[0])
    await fleet.world.send(first)

    assert await plan_due(fleet.circle()) == 0
    for sender in fleet.senders:
        await plan_day(sender, today, fleet.circle())
    after = await planned(fleet)
    assert after[fleet.senders[0].address] == [
        slot for slot in before[fleet.senders[0].address] if slot != decided(first)
    ]
    assert {name: slots for name, slots in after.items() if name != fleet.senders[0].address} == {
        name: slots for name, slots in before.items() if name != fleet.senders[0].address
    }


async def test_who_cannot_be_planned_is_left_out_and_nobody_else(
    fleets: list[Fleet], capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = fleets[0]
    # A ramp nobody knows: a ledger from elsewhere, or a hand in the table.
    await fleet.world.ledger.mailboxes.save(replace(fleet.senders[1], ramp="sideways"))
    await plan_due(fleet.circle())
    found = await planned(fleet)
    assert found[fleet.senders[1].address] == []
    assert found[fleet.senders[0].address]
    assert "sideways is no ramp" in capsys.readouterr().out


async def test_batches_hold_whole_domains(fleets: list[Fleet], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, halved = fleets[:2]
    await plan_due(whole.circle())
    monkeypatch.setattr(planning, "BATCH", 1)
    await plan_due(halved.circle())
    assert await planned(whole) == await planned(halved)


async def test_the_roster_counts_the_seeds_that_a_mailbox_may_write_to(fleets: list[Fleet]) -> None:
    ledger = fleets[0].world.ledger
    await ledger.mailboxes.add(new_mailbox("lone@one.test", receiver="two.test"))
    roster = await Roster.read(fleets[0].circle())
    for mailbox in roster.fleet:
        expected: dict[str, int] = {}
        for seed in seeds_of(mailbox, roster.fleet):
            expected[seed.receiver] = expected.get(seed.receiver, 0) + 1
        assert roster.seeds_for(mailbox) == expected


async def test_levels_are_kept_with_their_days_beyond_what_a_plan_remembers(fleets: list[Fleet]) -> None:
    fleet = fleets[0]
    circle, sender = fleet.circle(), replace(fleet.senders[0], first_level=7)
    await fleet.world.ledger.mailboxes.save(sender)
    on = date_of(fleet.clock.now(), sender.zone)
    fresh = await fleet.world.ledger.mailboxes.add(new_mailbox("new@late.test"))
    fresh = await fleet.world.ledger.mailboxes.save(replace(fresh, first_level=7))
    view = await view_of(fresh, on, circle)
    assert (view.history, view.first_level) == ((), 7)
    await plan_day(fresh, on, circle)
    (day,) = await fleet.world.ledger.history.of(fresh.id)
    assert day.level == 7
    assert {lane.level for lane in day.lanes} == {7}


async def test_learned_hours_follow_the_sent_folder(fleets: list[Fleet]) -> None:
    fleet = fleets[0]
    ledger, sender = fleet.world.ledger, fleet.senders[0]
    await ledger.mailboxes.save(replace(sender, profile=Profile.LEARNED))
    night = [fleet.clock.now() - DAY * (n % 20 + 1) + HOUR * 11 for n in range(400)]
    messages = [OwnMessage(uid=n + 1, at=at) for n, at in enumerate(night)]
    cursor = Cursor(folder="Sent", uidvalidity=9, last_uid=400)
    await ledger.own.record(sender.id, messages, cursor=cursor, now=fleet.clock.now())
    await plan_due(fleet.circle())
    hours = {slot[5].hour for slot in (await planned(fleet))[sender.address]}
    assert hours
    expected = (fleet.clock.now() + HOUR * 11).hour
    assert hours <= {(expected + shift) % 24 for shift in range(-4, 5)}
