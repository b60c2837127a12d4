"""Ledger time never runs backwards, a rehearsal runs straight, and the same purpose draws the same."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from warmup.clock import HoldingClock, WallClock, seeded

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
