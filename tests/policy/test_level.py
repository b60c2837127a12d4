"""The level climbs by what was accepted, not by the calendar."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.level import DayRecord, LaneDay, lane_level, level
from warmup.policy.standing import Standing

MONDAY = date(2026, 1, 5)
DAY = timedelta(days=1)


def day(number: int, *, accepted: int = 10, target: int = 10, ceiling: int = 10) -> DayRecord:
    return DayRecord(date=MONDAY + number * DAY, ceiling=ceiling, target=target, accepted=accepted)


def lane_day(number: int, volume: float, standing: Standing = Standing.SOUND) -> LaneDay:
    return LaneDay(
        date=MONDAY + number * DAY, ceiling=10, factor=volume / 10, target=int(volume), accepted=int(volume),
        standing=standing,
    )  # fmt: skip


def test_a_new_mailbox_starts_at_one_and_climbs_by_a_level_a_day() -> None:
    assert level([], today=MONDAY) == 1
    assert level([day(0), day(1), day(2)], today=MONDAY + 3 * DAY) == 4


def test_a_day_that_half_lapsed_is_repeated() -> None:
    assert level([day(0), day(1, accepted=5), day(2)], today=MONDAY + 3 * DAY) == 3
    assert level([day(0), day(1, accepted=8)], today=MONDAY + 2 * DAY) == 3


def test_sending_days_count_and_a_weekend_does_not() -> None:
    assert level([day(0), day(4), day(7)], today=MONDAY + 8 * DAY) == 4
    assert level([day(0), day(1, accepted=0, target=0)], today=MONDAY + 2 * DAY) == 2


def test_a_mailbox_held_below_half_goes_on_from_where_it_was_held() -> None:
    assert level([day(0), day(1, accepted=4, target=4)], today=MONDAY + 2 * DAY) == 2


def test_one_braked_lane_of_three_does_not_hold_the_mailbox() -> None:
    assert level([day(0), day(1, accepted=7, target=7)], today=MONDAY + 2 * DAY) == 3


def test_a_long_gap_steps_back_and_a_very_long_one_starts_again() -> None:
    days = [day(number) for number in range(20)]
    last = MONDAY + 19 * DAY
    assert level(days, today=last + 7 * DAY) == 21
    assert level(days, today=last + 17 * DAY) == 16
    assert level(days, today=last + 30 * DAY) == 10
    assert level(days, today=last + 31 * DAY) == 1


def test_a_memory_that_does_not_reach_back_to_the_first_day_goes_on_from_its_oldest() -> None:
    known = DayRecord(date=MONDAY, ceiling=10, target=10, accepted=10, level=70)
    assert level([known, day(1)], today=MONDAY + 2 * DAY) == 72


def test_a_lane_that_was_held_stays_at_its_level() -> None:
    held = [lane_day(0, 10), lane_day(1, 7), lane_day(2, 10)]
    assert lane_level(held, today=MONDAY + 3 * DAY) == 3


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 10)), max_size=40),
    st.integers(1, 60),
)
def test_the_level_never_climbs_faster_than_a_day_at_a_time(days: list[tuple[int, int]], wait: int) -> None:
    at, records, reached = MONDAY, [], [1]
    for gap, accepted in days:
        at += gap * DAY
        records.append(DayRecord(date=at, ceiling=10, target=10, accepted=accepted))
        reached.append(level(records, today=at + DAY))
    assert all(after <= before + 1 for before, after in pairwise(reached))
    assert 1 <= level(records, today=at + wait * DAY) <= reached[-1]
