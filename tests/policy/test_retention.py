"""How long history is kept: what was asked for, and never less than what somebody still reads."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.retention import horizons

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_what_was_asked_for_holds_where_it_is_long() -> None:
    beyond = horizons(NOW, days=500, expire_after=30 * DAY)
    assert beyond.upkeep == NOW - 500 * DAY
    assert beyond.messages == beyond.sums == (NOW - 500 * DAY).date()


def test_upkeep_goes_soon_and_what_is_judged_by_does_not() -> None:
    beyond = horizons(NOW, days=3, expire_after=30 * DAY)
    assert beyond.upkeep == NOW - 3 * DAY
    assert beyond.messages == (NOW - 62 * DAY).date()
    assert beyond.sums == (NOW - 400 * DAY).date()


def test_what_lies_in_a_mailbox_is_known_until_it_is_expired() -> None:
    assert horizons(NOW, days=3, expire_after=100 * DAY).messages == (NOW - 132 * DAY).date()


@given(days=st.integers(0, 2000), expire_after=st.integers(0, 2000))
@pytest.mark.parametrize("now", [NOW, datetime(2028, 2, 29, tzinfo=UTC)])
def test_nothing_goes_that_a_wall_or_a_judgement_counts(now: datetime, days: int, expire_after: int) -> None:
    beyond = horizons(now, days=days, expire_after=timedelta(days=expire_after))
    assert beyond.upkeep <= now - 3 * DAY
    assert beyond.messages <= (now - max(62, days, expire_after + 30) * DAY).date()
    assert beyond.sums <= min(beyond.messages, (now - 400 * DAY).date())
