"""A window that is aged by elapsed time: a leap of the clock ages nothing, and no window ever holds too little."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.clock import NO_LEAPS, Leap, Leaps

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR
SECOND = timedelta(seconds=1)

STEPS = st.lists(st.tuples(st.integers(1, 100_000), st.integers(1, 40_000)), max_size=6)
"""Seconds that elapse before each leap, and by how much it goes."""


def told(steps: list[tuple[int, int]]) -> tuple[Leaps, list[tuple[timedelta, datetime]]]:
    """The leaps, and elapsed time and ledger time just before and just after each, from NOON on."""
    elapsed, at, leaps, points = timedelta(), NOON, [], [(timedelta(), NOON)]
    for wait, by in steps:
        elapsed, at = elapsed + wait * SECOND, at + wait * SECOND
        points.append((elapsed, at))
        at += by * SECOND
        leaps.append(Leap(at, by * SECOND))
        points.append((elapsed, at))
    return Leaps(tuple(leaps)), points


def test_without_leaps_time_is_time() -> None:
    assert NO_LEAPS.ago(NOON, DAY) == NOON - DAY
    assert NO_LEAPS.after(NOON, DAY) == NOON + DAY


def test_a_leap_ages_nothing() -> None:
    leaps = Leaps((Leap(NOON, 6 * HOUR),))
    assert leaps.ago(NOON + HOUR, DAY) == NOON + HOUR - DAY - 6 * HOUR
    assert leaps.after(NOON - 7 * HOUR, DAY) == NOON - 7 * HOUR + DAY + 6 * HOUR


def test_a_leap_long_ago_is_forgotten() -> None:
    leaps = Leaps((Leap(NOON, 6 * HOUR),))
    assert leaps.ago(NOON + 25 * HOUR, DAY) == NOON + HOUR
    assert leaps.after(NOON, DAY) == NOON + DAY
    later = leaps.and_then([Leap(NOON + 10 * DAY, HOUR)])
    assert later.known == (Leap(NOON + 10 * DAY, HOUR),)
    assert NO_LEAPS.and_then([]) == NO_LEAPS


def test_a_leap_goes_forward() -> None:
    with pytest.raises(ValueError, match="forward"):
        Leap(NOON, timedelta())


@given(STEPS, st.integers(0, 100_000), st.integers(1, 90_000))
def test_whatever_is_younger_than_the_span_is_in_it_and_nothing_else(
    steps: list[tuple[int, int]], wait: int, span: int
) -> None:
    leaps, points = told(steps)
    elapsed, at = points[-1][0] + wait * SECOND, points[-1][1] + wait * SECOND
    since = leaps.ago(at, span * SECOND)
    for then_elapsed, then in points:
        is_young = elapsed - then_elapsed < span * SECOND
        assert (then > since) == is_young or elapsed - then_elapsed == span * SECOND


@given(STEPS, st.integers(1, 90_000))
def test_what_leaves_the_window_leaves_it_at_the_instant_that_was_told(steps: list[tuple[int, int]], span: int) -> None:
    leaps, points = told(steps)
    for _, then in points:
        out = leaps.after(then, span * SECOND)
        if out > points[-1][1]:
            assert leaps.ago(out, span * SECOND) >= then > leaps.ago(out - SECOND, span * SECOND)


def test_a_leap_to_come_is_none_yet() -> None:
    assert Leaps((Leap(NOON, 6 * HOUR),)).ago(NOON - HOUR, DAY) == NOON - HOUR - DAY
