"""What a lane learns of its receiver: what it is used to, and how fast it lets the lane grow."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.headroom import CUT, GROWTH, LEAST, MOOD_DAYS, Headroom, headroom
from warmup.policy.level import LaneDay
from warmup.policy.standing import Standing

MONDAY = date(2026, 1, 5)
DAY = timedelta(days=1)


def lane_day(number: int, volume: float, standing: Standing = Standing.SOUND) -> LaneDay:
    return LaneDay(
        date=MONDAY + number * DAY, ceiling=100, factor=volume / 100, target=round(volume), accepted=round(volume),
        standing=standing,
    )  # fmt: skip


def learnt(*days: LaneDay) -> Headroom:
    return headroom(days, today=days[-1].date + DAY)


def test_of_nothing_nothing_is_learnt() -> None:
    assert headroom([], today=MONDAY) == Headroom(0.0, GROWTH)


def test_a_receiver_is_used_to_what_it_gets_and_forgets_half_in_a_week() -> None:
    level = learnt(*(lane_day(number, 20) for number in range(30)))
    assert level.used_to == pytest.approx(20)
    silent = headroom([lane_day(number, 20) for number in range(30)], today=MONDAY + 37 * DAY)
    assert silent.used_to == pytest.approx(10)
    assert headroom([lane_day(0, 20)], today=MONDAY + 31 * DAY) == Headroom(0.0, GROWTH)


def test_a_brake_on_growth_teaches_to_grow_slower_and_sound_days_heal() -> None:
    climbing = [lane_day(0, 10), lane_day(1, 12), lane_day(2, 14.4)]
    braked = [*climbing, lane_day(3, 10, Standing.SLOWED), lane_day(4, 7, Standing.SLOWED)]
    cut = learnt(*braked).growth
    assert cut == pytest.approx(CUT * 0.2)
    healed = learnt(*braked, *(lane_day(number, 7) for number in range(5, 15))).growth
    assert cut < healed < GROWTH


def test_a_brake_at_a_level_volume_says_nothing_about_growth() -> None:
    level = [lane_day(number, 40) for number in range(10)]
    assert learnt(*level, lane_day(10, 28, Standing.SLOWED)).growth == GROWTH


def test_one_brake_cuts_once_and_one_that_lasts_a_week_was_not_about_growth() -> None:
    climbing = [lane_day(0, 10), lane_day(1, 14)]
    braked = [lane_day(number, 3, Standing.HALTED) for number in range(2, 20)]
    assert learnt(*climbing, braked[0]).growth == learnt(*climbing, *braked[: MOOD_DAYS - 1]).growth < GROWTH
    assert learnt(*climbing, *braked).growth == GROWTH


def test_after_a_mood_caution_does_not_hold_the_way_back_and_then_it_does_again() -> None:
    level = [lane_day(number, 40) for number in range(10)]
    mood = [lane_day(number, 3, Standing.HALTED) for number in range(10, 10 + MOOD_DAYS)]
    relented = learnt(*level, *mood)
    assert (relented.owed, relented.within(LEAST).growth) == (40, GROWTH)
    returning = [*level, *mood, lane_day(20, 20), lane_day(21, 25)]
    assert learnt(*returning).within(LEAST).growth == GROWTH
    assert learnt(*returning, lane_day(22, 33)).within(LEAST).growth == LEAST
    stumbled = learnt(*returning, lane_day(22, 3, Standing.SLOWED))
    assert (stumbled.owed, stumbled.within(LEAST).growth) == (40, CUT * (25 / 20 - 1))


def test_the_way_back_ends_at_a_lower_ceiling_or_after_a_month() -> None:
    level = [lane_day(number, 40) for number in range(10)]
    mood = [lane_day(number, 3, Standing.HALTED) for number in range(10, 10 + MOOD_DAYS)]
    lowered = replace(lane_day(20, 17), ceiling=20, factor=17 / 20)
    assert learnt(*level, *mood, lowered).owed == 0
    slow = [lane_day(number, 10) for number in range(20, 51)]
    assert learnt(*level, *mood, *slow[:30]).owed == 40
    assert learnt(*level, *mood, *slow).owed == 0


def test_a_brake_of_a_few_days_leaves_caution_its_say() -> None:
    level = [lane_day(number, 40) for number in range(10)]
    assert learnt(*level, lane_day(10, 28, Standing.SLOWED)).within(LEAST).growth == LEAST


DAYS = st.lists(st.tuples(st.integers(1, 40), st.floats(0, 60), st.sampled_from(Standing)), max_size=60)


@given(DAYS)
def test_growth_stays_between_its_bounds_and_the_receiver_is_used_to_no_more_than_it_got(
    days: list[tuple[int, float, Standing]],
) -> None:
    at, records = 0, []
    for gap, volume, standing in days:
        at += gap
        records.append(lane_day(at, volume, standing))
    told = headroom(records, today=MONDAY + (at + 1) * DAY)
    assert LEAST <= told.growth <= GROWTH
    assert 0 <= told.used_to <= max((day.accepted for day in records), default=0) + 1e-9
