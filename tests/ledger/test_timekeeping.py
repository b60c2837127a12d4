"""How the clocks ran is kept beside the ledger, and the walls of the ledger are aged by time that elapsed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.ledger.conftest import HOUR, MARGIN, NOW, RULES, World
from warmup.clock import NO_LEAPS, Course, Leap, Leaps
from warmup.ledger import Ledger
from warmup.ledger.errors import LedgerFailed
from warmup.ledger.timekeeping import Timekeeping
from warmup.policy.quota import DAY, Hindrance, Wait

COURSE = Course(boot="this", speed=1.0, lead=1000.5, leaps=Leaps((Leap(NOW, 6 * HOUR),)))


async def test_a_course_is_kept_for_the_next_start(ledger: Ledger) -> None:
    assert await ledger.timekeeping.read() is None
    assert await ledger.timekeeping.keep(COURSE)
    assert await Timekeeping(ledger.store).read() == COURSE
    assert ledger.timekeeping.path.stat().st_mode & 0o777 == 0o600


async def test_only_news_is_written(ledger: Ledger) -> None:
    assert not await ledger.timekeeping.keep(None)
    assert await ledger.timekeeping.keep(COURSE)
    assert not await ledger.timekeeping.keep(replace(COURSE, lead=COURSE.lead - 1))
    assert await ledger.timekeeping.keep(replace(COURSE, lead=COURSE.lead - 61))
    assert await ledger.timekeeping.keep(replace(COURSE, leaps=NO_LEAPS))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"boot": "x"}', '{"leaps": [["no", 1]]}'])
async def test_what_cannot_be_read_is_as_good_as_nothing(ledger: Ledger, text: str) -> None:
    ledger.timekeeping.path.write_text(text, encoding="ascii")
    assert await ledger.timekeeping.read() is None


async def test_half_a_draft_of_an_earlier_run_spoils_nothing(ledger: Ledger) -> None:
    path = ledger.timekeeping.path
    path.with_name(path.name + ".draft").write_text("x" * 1000, encoding="ascii")
    assert await ledger.timekeeping.keep(COURSE)
    assert await ledger.timekeeping.read() == COURSE


async def test_a_disk_that_does_not_take_it_is_told(ledger: Ledger) -> None:
    ledger.timekeeping.path.mkdir()
    with pytest.raises(LedgerFailed, match="look at the disk"):
        await ledger.timekeeping.keep(COURSE)


async def test_a_leap_ages_nothing_at_the_accounts_wall(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=2)
    for slot in await world.plan(2, target=9):
        await world.send(slot)
    rules = replace(RULES, grace=timedelta(days=1), leaps=Leaps((Leap(NOW + 10 * HOUR, 6 * HOUR),)))
    (late,) = await world.plan(1, at=NOW + DAY + 2 * MARGIN)
    await world.read_own(late.due_at)
    # By the wall clock both have left the window; the server knows better.
    room_at = NOW + DAY + MARGIN + 6 * HOUR
    said = await ledger.attempts.claim(late.id, now=late.due_at, rules=rules, node="test")
    assert said == Wait(until=room_at, reason=Hindrance.LIMIT)
    await world.read_own(room_at)
    assert (await world.claim(late, room_at, rules)).ordinal == 1


async def test_a_leap_makes_no_room_in_the_hour(world: World) -> None:
    slots = await world.plan(3)
    rules = replace(RULES, paced=True, grace=timedelta(days=1))
    at = slots[-1].due_at
    for slot in slots[:2]:
        await world.send(slot)
    leapt = at + 2 * HOUR
    await world.read_own(leapt)
    said = await world.ledger.attempts.claim(
        slots[2].id, now=leapt, rules=replace(rules, leaps=Leaps((Leap(leapt, 2 * HOUR),))), node="test"
    )
    assert isinstance(said, Wait)
    assert said.reason is Hindrance.PACE
    assert said.until == NOW + 3 * HOUR
