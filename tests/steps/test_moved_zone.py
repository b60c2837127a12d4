"""A mailbox that was moved eastwards begins its next date early: not beside what is left of the one before."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.ledger.conftest import HOUR, NOW, World, new_mailbox
from warmup.cli.glance import Glance
from warmup.clock import HoldingClock, WallClock
from warmup.config import Settings
from warmup.content import shipped
from warmup.ledger import Ledger
from warmup.policy.mailbox import Hours
from warmup.policy.window import date_of
from warmup.steps.plan import plan_day

ALWAYS = Hours(days=frozenset(range(7)))


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'warmup.db'}", create=True, durable=False)
    await opened.installation.establish(now=NOW, token="test")
    yield opened
    await opened.close()


async def test_a_new_date_waits_for_what_the_old_one_has_left(ledger: Ledger) -> None:
    world = await World.founded(ledger)
    for number in range(6):
        # Awake when the moved mailbox is.
        await ledger.mailboxes.add(new_mailbox(f"seed{number}@one.test", timezone="Etc/GMT-12"))
    assert await ledger.slots.last_due([world.sender.id]) == {}
    last = (await world.plan(3, at=NOW + 13 * HOUR))[-1].due_at
    assert await ledger.slots.last_due([world.sender.id]) == {world.sender.id: last}

    moved = replace(world.sender, timezone="Etc/GMT-12", hours=ALWAYS)
    at = NOW + 4 * HOUR
    on = date_of(at, moved.zone)
    assert on == NOW.date() + timedelta(days=1)
    seen = Glance(settings=Settings(), ledger=ledger, clock=WallClock())
    clock = HoldingClock(start=at, seed="moved")
    circle = replace(seen.circle(), clock=clock, grammars=shipped(), key=b"k" * 32, node="test")
    await plan_day(moved, on, circle)

    due = (await ledger.turns.to_send(world.sender.id, NOW + timedelta(days=3))).due
    new = [slot.due_at for slot in due if slot.date == on]
    assert new
    assert min(new) > last
