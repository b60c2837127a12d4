"""History is let go once a day, by the days that were asked for."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.ledger.conftest import NOW, World
from warmup.cli.glance import Glance
from warmup.clock import HoldingClock, WallClock
from warmup.config import Settings
from warmup.config.settings import EngageSettings, RetentionSettings
from warmup.ledger import Ledger
from warmup.policy.fate import Placement
from warmup.policy.mailbox import MailboxId
from warmup.steps.agenda import Agenda
from warmup.steps.circle import Circle
from warmup.steps.prune import prune
from warmup.steps.step import Step

DAY = timedelta(days=1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A ledger of its own, with a sender and two seeds."""
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'warmup.db'}", create=True, durable=False)
    await ledger.installation.establish(now=NOW, token="test")
    yield await World.founded(ledger)
    await ledger.close()


def circle_at(ledger: Ledger, days_later: int, **settings: object) -> Circle:
    seen = Glance(settings=Settings(**settings), ledger=ledger, clock=WallClock())  # type: ignore[arg-type]
    return replace(seen.circle(), clock=HoldingClock(start=NOW + days_later * DAY, seed="prune"))


async def slots_left(ledger: Ledger) -> int:
    return len([row async for row in ledger.export.messages()])


async def test_it_is_due_at_the_start_and_then_once_a_day(world: World) -> None:
    circle = circle_at(world.ledger, 0)
    assert isinstance(circle.clock, HoldingClock)
    agenda = Agenda(circle)
    due = []
    for hours in (0, 1, 23, 24, 25, 49):
        circle.clock.raise_to(NOW + timedelta(hours=hours))
        due.append((Step.PRUNE, MailboxId(0)) in await agenda.due())
    assert due == [True, False, False, True, False, True]


async def test_the_days_and_what_lies_in_the_mailboxes_say_what_goes(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.see(slot, Placement.INBOX, NOW + timedelta(hours=1))
    few = RetentionSettings(days=3)

    await prune(circle_at(world.ledger, 64))
    assert await slots_left(world.ledger) == 1
    await prune(circle_at(world.ledger, 64, retention=few, engage=EngageSettings(expire_after_days=60)))
    assert await slots_left(world.ledger) == 1
    await prune(circle_at(world.ledger, 64, retention=few))
    assert await slots_left(world.ledger) == 0
