"""Ledger time never runs backwards, a rehearsal runs straight, and the same purpose draws the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from warmup.clock import NO_LEAPS, Course, HoldingClock, Leap, Leaps, WallClock, seeded

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_wall_clock_that_steps_back_waits_for_itself() -> None:
    clock = WallClock()
    with time_machine.travel(NOON, tick=False) as traveller:
        assert clock.now() == NOON
        traveller.move_to(NOON - timedelta(hours=6))
        assert clock.now() == NOON
        traveller.move_to(NOON + timedelta(hours=1))
        assert clock.now() == NOON + timedelta(hours=1)


def test_the_latest_recorded_instant_is_a_floor() -> None:
    clock = WallClock()
    with time_machine.travel(NOON, tick=False):
        clock.raise_to(NOON + timedelta(hours=3))
        assert clock.now() == NOON + timedelta(hours=3)


def test_a_rehearsal_goes_on_while_nobody_runs_it() -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    with time_machine.travel(NOON, tick=False) as traveller:
        assert WallClock(speed=60, anchor=(NOON, start)).now() == start
        traveller.shift(timedelta(minutes=2))
        assert WallClock(speed=60, anchor=(NOON, start)).now() == start + timedelta(hours=2)


def test_a_rehearsal_never_runs_slower_than_time() -> None:
    with pytest.raises(ValueError, match="1 or faster"):
        WallClock(speed=0.5)


def test_a_holding_clock_stands_until_it_is_told() -> None:
    clock = HoldingClock(start=NOON, seed="s")
    assert clock.now() == clock.now() == NOON
    clock.raise_to(NOON + timedelta(hours=1))
    clock.raise_to(NOON)
    assert clock.now() == NOON + timedelta(hours=1)


def test_the_same_purpose_draws_the_same_and_another_does_not() -> None:
    assert seeded("a", 1).random() == seeded("a", 1).random()
    assert seeded("a", 1).random() != seeded("a", 2).random()
    assert seeded("ab", "c").random() != seeded("a", "bc").random()


def test_a_seeded_demo_gives_the_same_tokens_and_never_one_twice() -> None:
    first, second = (HoldingClock(start=NOON, seed="s") for _ in range(2))
    tokens = [first.token(8) for _ in range(100)]
    assert tokens == [second.token(8) for _ in range(100)]
    assert len(set(tokens)) == 100


SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def test_a_wall_clock_that_is_set_forward_makes_a_leap() -> None:
    clock = WallClock()
    with time_machine.travel(NOON, tick=False) as traveller:
        clock.resume(None)
        assert clock.leaps == NO_LEAPS
        traveller.shift(6 * HOUR)
        assert clock.now() == NOON + 6 * HOUR
        (leap,) = clock.leaps.known
    assert leap.at == NOON + 6 * HOUR
    assert abs(leap.by - 6 * HOUR) < SECOND


def test_a_clock_that_is_slewed_leaps_a_little_now_and_then_and_nothing_is_lost() -> None:
    clock = WallClock()
    with time_machine.travel(NOON, tick=False) as traveller:
        clock.resume(None)
        for _ in range(100):
            traveller.shift(timedelta(milliseconds=20))
            clock.now()
    leapt = sum((leap.by for leap in clock.leaps.known), timedelta())
    assert timedelta(seconds=1) < leapt <= timedelta(seconds=2)


def test_catching_up_after_a_step_back_is_no_leap() -> None:
    clock = WallClock()
    boot = [100.0]
    clock.elapsed = lambda: boot[0]  # type: ignore[method-assign]
    with time_machine.travel(NOON, tick=False) as traveller:
        clock.resume(None)
        traveller.shift(-6 * HOUR)
        assert clock.now() == NOON
        assert clock.behind == 6 * HOUR
        for _ in range(7):
            boot[0] += 3600
            traveller.shift(HOUR)
            clock.now()
        assert clock.now() == NOON + HOUR
        assert clock.behind == timedelta()
    assert clock.leaps == NO_LEAPS


def test_a_step_back_that_is_taken_back_at_once_is_no_leap() -> None:
    clock = WallClock()
    with time_machine.travel(NOON, tick=False) as traveller:
        clock.resume(None)
        for step in (-6 * HOUR, 6 * HOUR):
            traveller.shift(step)
            clock.now()
    assert clock.leaps == NO_LEAPS


def test_a_step_while_the_program_was_down_is_a_leap_within_one_boot() -> None:
    with time_machine.travel(NOON, tick=False) as traveller:
        before = WallClock()
        before.resume(None)
        course = before.course
        assert course is not None
        traveller.shift(6 * HOUR)
        same_boot, other_boot, other_speed = WallClock(), WallClock(), WallClock(speed=2.0)
        same_boot.resume(course)
        other_boot.resume(replace(course, boot="another"))
        other_speed.resume(course)
    assert [round(leap.by / HOUR) for leap in same_boot.leaps.known] == [6]
    assert other_boot.leaps == other_speed.leaps == NO_LEAPS


def test_earlier_leaps_stay_known_over_a_reboot() -> None:
    leaps = Leaps((Leap(NOON, HOUR),))
    clock = WallClock()
    clock.resume(Course(boot="another", speed=1.0, lead=0.0, leaps=leaps))
    assert clock.leaps == leaps


def test_a_rehearsal_leaps_in_its_own_time() -> None:
    clock = WallClock(speed=1500, anchor=(NOON, NOON))
    with time_machine.travel(NOON, tick=False) as traveller:
        clock.resume(None)
        traveller.shift(6 * HOUR / 1500)
        clock.now()
    assert [round(leap.by / HOUR) for leap in clock.leaps.known] == [6]
