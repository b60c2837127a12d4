"""When a message is looked for, from a minute after it went to two days after it was seen."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.attention import LONGEST, deadline, first_look, next_look, second_look

WENT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SEEN = WENT + timedelta(minutes=7)

spans = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=3))


def looks(first: timedelta, missing_after: timedelta) -> list[datetime]:
    """All looks of a message that never comes, up to its deadline."""
    found = [first_look(WENT, first=first)]
    while found[-1] < deadline(WENT, missing_after=missing_after):
        found.append(next_look(WENT, found[-1], first=first, missing_after=missing_after))
    return found


def test_a_message_that_does_not_come_is_looked_for_ever_more_rarely_until_its_deadline() -> None:
    ages = [look - WENT for look in looks(timedelta(seconds=60), timedelta(hours=24))]
    assert ages[:8] == [timedelta(minutes=2**power) for power in range(8)]
    assert ages[-1] == timedelta(hours=24)
    assert len(ages) == 19


@given(
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(hours=1)),
    st.timedeltas(min_value=timedelta(hours=1), max_value=timedelta(hours=96)),
)
def test_intervals_grow_to_two_hours_and_the_last_look_is_at_the_deadline(
    first: timedelta, missing_after: timedelta
) -> None:
    found = looks(first, missing_after)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert found[-1] == deadline(WENT, missing_after=missing_after)
    assert all(timedelta() < gap <= LONGEST for gap in gaps)
    # The last one is cut off by the deadline.
    assert all(earlier <= later for earlier, later in pairwise(gaps[:-1]))


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9)))
def test_a_look_that_comes_late_is_followed_by_a_later_one(late: timedelta) -> None:
    now = WENT + late
    again = next_look(WENT, now)
    assert now < again <= now + LONGEST


def test_after_the_deadline_a_failed_look_is_repeated_every_two_hours() -> None:
    now = WENT + timedelta(hours=30)
    assert next_look(WENT, now) == now + LONGEST


def test_a_seen_message_is_looked_at_twice_more_within_two_days() -> None:
    early = second_look(SEEN, SEEN)
    assert early == SEEN + timedelta(hours=12)
    late = second_look(SEEN, early)
    assert late == SEEN + timedelta(hours=47)
    assert second_look(SEEN, late) is None


@given(spans, spans)
def test_no_second_look_is_past_its_time_nor_before_now(within: timedelta, after: timedelta) -> None:
    look = second_look(SEEN, SEEN + after, within=within)
    assert look is None or SEEN + after < look <= SEEN + within
