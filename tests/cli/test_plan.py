"""The ramp to come is the ramp that comes."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.cli.conftest import Desk
from tests.cli.story import DAY, MONDAY, founded, judgement, opened, stand_still
from tests.ledger.conftest import MINUTE, World, new_mailbox
from warmup.cli.glance import Glance
from warmup.clock import WallClock
from warmup.config import Settings
from warmup.ledger.slots import NewDay, NewLaneDay
from warmup.ledger.standings import Subject
from warmup.policy.allowance import Allowance, allowance
from warmup.policy.fate import Cap
from warmup.policy.mailbox import Mailbox, Role
from warmup.policy.standing import Standing
from warmup.steps.forecast import forecast
from warmup.steps.view import view_of

FRIDAY = MONDAY + 4 * DAY


def planned(desk: Desk, address: str, *options: str, **environ: str) -> dict[str, Any]:
    """The document, with what holds of every plan found to hold."""
    ended = desk.warmup("plan", address, "--json", *options, **environ)
    assert ended.code == 0, ended
    told: dict[str, Any] = ended.document
    for day in told["days"]:
        assert sum(day["lanes"].values()) == day["target"] <= day["ceiling"] <= told["limit"]
        assert day["active"] or (day["target"], day["capped_by"], day["reason"]) == (0, None, "the window is shut")
    return told


def of(told: dict[str, Any], key: str) -> list[Any]:
    """One key of every day on which the window opens."""
    return [day[key] for day in told["days"] if day["active"]]


async def test_a_mailbox_that_never_logged_in_shows_its_ramp_and_sends_nothing(ready: Desk) -> None:
    async with opened(ready) as ledger:
        await ledger.mailboxes.add(new_mailbox("new@send.test", ramp="careful", verified_at=None))
        await ledger.mailboxes.add(new_mailbox("seed@one.test"))
        await stand_still(ledger, MONDAY)
    told = planned(ready, "new@send.test", "--days", "8")
    assert (told["address"], told["ramp"], told["limit"], told["target"]) == ("new@send.test", "careful", 50, None)
    assert [day["active"] for day in told["days"]] == [True] * 5 + [False] * 2 + [True]
    assert [day["date"] for day in told["days"]] == [str(date(2031, 3, 3) + n * DAY) for n in range(8)]
    assert of(told, "day") == [1, 2, 3, 4, 5, 6]
    assert of(told, "ceiling") == [2, 4, 6, 8, 10, 12]
    assert of(told, "target") == [0] * 6
    assert set(of(told, "capped_by")) == {"unverified"}


async def test_without_seeds_there_is_a_ceiling_and_no_target(ready: Desk) -> None:
    async with opened(ready) as ledger:
        await ledger.mailboxes.add(new_mailbox("ann@send.test"))
        await stand_still(ledger, MONDAY)
    told = planned(ready, "ann@send.test", "--days", "3")
    assert of(told, "ceiling") == [5, 6, 7]
    assert set(of(told, "target")) == {0}
    assert set(of(told, "capped_by")) == {"seeds"}


async def test_with_seeds_it_climbs_to_the_target_and_stays(ready: Desk) -> None:
    async with founded(ready) as world:
        verdicts = [
            judgement(Subject.LANE, "ann@send.test", mailbox_id=world.sender.id, provider=provider)
            for provider in ("one.test", "two.test")
        ]
        await world.ledger.standings.append(verdicts, now=MONDAY)
    assert ready.warmup("mailbox", "set", "ann@send.test", "--target", "8").code == 0
    told = planned(ready, "ann@send.test", "--days", "14")
    targets = of(told, "target")
    assert told["target"] == 8
    assert targets == sorted(targets)
    assert (targets[0], targets[-1]) == (5, 8)
    assert told == planned(ready, "ANN@send.test", "--days", "14")


async def test_a_pause_leaves_the_ceiling_alone(ready: Desk) -> None:
    async with founded(ready):
        pass
    assert ready.warmup("mailbox", "pause", "ann@send.test").code == 0
    told = planned(ready, "ann@send.test", "--days", "3")
    assert (of(told, "ceiling"), of(told, "target"), set(of(told, "capped_by"))) == ([5, 6, 7], [0, 0, 0], {"paused"})


async def test_what_is_planned_already_is_shown_as_it_was_planned(ready: Desk) -> None:
    async with founded(ready) as world:
        lanes = tuple(
            NewLaneDay(provider=name, level=4, ceiling=n, factor=1.0, target=n, standing=Standing.SOUND)
            for name, n in (("one.test", 1), ("two.test", 2))
        )
        day = NewDay(date=MONDAY.date(), day=4, ceiling=9, target=3, capped_by=Cap.LIMIT, reason="why", lanes=lanes)
        await world.ledger.slots.record(world.sender.id, day, [], now=MONDAY)
    today, tomorrow = planned(ready, "ann@send.test", "--days", "2")["days"]
    assert today == {
        "day": 4,
        "date": "2031-03-03",
        "active": True,
        "ceiling": 9,
        "target": 3,
        "lanes": {"one.test": 1, "two.test": 2},
        "capped_by": "limit",
        "reason": "why",
    }
    assert (tomorrow["day"], tomorrow["date"]) == (5, "2031-03-04")


async def test_the_window_says_which_days_are_active(ready: Desk) -> None:
    async with founded(ready) as world:
        await stand_still(world.ledger, MONDAY + 10 * timedelta(hours=1))
    told = planned(ready, "ann@send.test", "--days", "7", WARMUP__WINDOW__DAYS='["mon","sun"]')
    # Today's window closed an hour ago.
    assert [day["active"] for day in told["days"]] == [False] * 6 + [True]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nobody@one.test",), 65),
        (("control@one.test",), 65),
        (("ann@send.test", "--days", "0"), 2),
        (("ann@send.test", "--chart", "--json"), 2),
        ((), 2),
    ],
)
async def test_what_has_no_ramp_is_one_line(ready: Desk, arguments: tuple[str, ...], code: int) -> None:
    async with opened(ready) as ledger:
        await ledger.mailboxes.add(new_mailbox("control@one.test", role=Role.CONTROL))
    ended = ready.warmup("plan", *arguments)
    assert (ended.code, len(ended.errors), ended.out) == (code, 1, "")


async def test_it_is_drawn_and_tabled_for_people(ready: Desk) -> None:
    async with founded(ready):
        pass
    chart = ready.warmup("plan", "ann@send.test", "--chart", "--days", "6").out.splitlines()
    assert len(chart) == 6
    assert chart[0].startswith("2031-03-03 Mon █")
    assert chart[5] == "2031-03-08 Sat ·"
    table = ready.warmup("plan", "ann@send.test", "--days", "6").out
    assert "the window is shut" in table
    assert "capped by" in table


async def test_the_forecast_is_what_is_decided_when_the_days_come(ready: Desk) -> None:
    """Twelve mailboxes of a young domain, one lane held: four working days lived through, each message accepted."""
    async with founded(ready) as world:
        kin = [await world.ledger.mailboxes.add(new_mailbox(f"joe{n}@send.test", ramp="fast")) for n in range(11)]
        held = judgement(
            Subject.LANE, "ann@send.test", mailbox_id=world.sender.id, provider="one.test", standing=Standing.WATCHED
        )
        await world.ledger.standings.append([held], now=MONDAY)
        told = await forecast(world.sender, parts(world, FRIDAY).circle(), days=6)
        lived = [await lived_through(world, (world.sender, *kin), FRIDAY + n * DAY) for n in (0, 3, 4, 5)]
    assert [day.target for day in told if day.active] == [answer.target for answer in lived]
    assert [dict(day.lanes) for day in told if day.active] == [
        {lane.provider: lane.target for lane in answer.lanes} for answer in lived
    ]
    assert Cap.DOMAIN in {lane.capped_by for answer in lived for lane in answer.lanes}
    assert lived[-1].target > lived[0].target


def parts(world: World, at: datetime) -> Glance:
    clock = WallClock()
    clock.raise_to(at)
    return Glance(settings=Settings(), ledger=world.ledger, clock=clock)


async def lived_through(world: World, senders: Sequence[Mailbox], at: datetime) -> Allowance:
    """Plan the date for all senders, hand everything over; the first one's allowance."""
    answers = [allowance(await view_of(sender, at.date(), parts(world, at).circle())) for sender in senders]
    for sender, answer in zip(senders, answers, strict=True):
        seeds = {seed.receiver: seed for seed in world.seeds}
        recipients = [seeds[lane.provider] for lane in answer.lanes for _ in range(lane.target)]
        slots = [world.new_slot(n, at + n * MINUTE, seed) for n, seed in enumerate(recipients, start=1)]
        await world.ledger.slots.record(sender.id, as_recorded(at, answer), slots, now=at)
        await world.read_own(at, sender)
        for slot in (await world.ledger.turns.to_send(sender.id, at + len(slots) * MINUTE)).due:
            await world.send(slot)
    return answers[0]


def as_recorded(at: datetime, answer: Allowance) -> NewDay:
    return NewDay(
        date=at.date(),
        day=1,
        ceiling=answer.ceiling,
        target=answer.target,
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
