"""Where a ramp begins for a mailbox that sends already."""

from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.ramp import RAMP_NAMES, ramp_named
from warmup.policy.start import FEWEST_DAYS, start

TODAY = date(2026, 11, 24)
STANDARD = ramp_named("standard")


def working(each: int, *, weeks: int = 4, until: int = 1) -> list[date]:
    """`each` messages on every weekday of so many weeks up to `until` days ago."""
    dates = (TODAY - timedelta(days=back) for back in range(until, until + 7 * weeks))
    return [on for on in dates if on.weekday() < 5 for _ in range(each)]


@given(
    st.lists(st.integers(0, 40).map(lambda back: TODAY - timedelta(days=back)), max_size=600),
    st.sampled_from(RAMP_NAMES),
    st.none() | st.integers(1, 200),
)
def test_a_ramp_never_begins_above_what_went_on_a_day_lately_nor_above_its_end(
    dates: list[date], name: str, target: int | None
) -> None:
    ramp = ramp_named(name).towards(target)
    found = start(dates, ramp, today=TODAY)
    busiest = max(Counter(on for on in dates if on < TODAY).values(), default=0)
    assert found.ceiling == ramp.ceiling(found.level) <= ramp.limit
    assert found.ceiling <= max(busiest, ramp.ceiling(1))
    assert found.level == 1 or found.usual >= found.ceiling


def test_somebody_who_sends_twelve_a_day_begins_at_twelve() -> None:
    found = start(working(12), STANDARD, today=TODAY)
    assert (found.ceiling, found.level, found.usual) == (12, 8, 12)
    assert "12 on a usual day: the ramp begins at level 8, 12 a day" in found.said


def test_one_busy_day_lifts_nothing() -> None:
    busy = [TODAY - timedelta(days=1)] * 500
    assert start([*working(6), *busy], STANDARD, today=TODAY).ceiling == 6


@pytest.mark.parametrize("dates", [[], working(9, weeks=1), working(9, weeks=2, until=10), [TODAY] * 99])
def test_too_few_days_or_none_lately_begin_at_the_ramps_own_start(dates: list[date]) -> None:
    found = start(dates, STANDARD, today=TODAY)
    assert (found.level, found.ceiling, found.usual) == (1, 5, 0)
    assert "too little" in found.said
    assert FEWEST_DAYS == 10
