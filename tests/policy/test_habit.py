"""The hours a mailbox shows by its own mail."""

import random
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.habit import FEWEST, SHORTEST, Habit, habit
from warmup.policy.mailbox import Hours
from warmup.policy.spacing import BUSTLE, due_times
from warmup.policy.window import spans

MONDAY = date(2026, 3, 2)
TOKYO = ZoneInfo("Asia/Tokyo")
USUAL = Hours()

instants = st.lists(
    st.integers(0, 60 * 24 * 60).map(lambda minutes: datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=minutes)),
    max_size=400,
)


def evenings(n: int, *, seed: int = 1, days: tuple[int, ...] = (1, 3, 5)) -> list[datetime]:
    """`n` messages between 17 and 22 in Tokyo, on Tuesdays, Thursdays and Saturdays."""
    rng = random.Random(seed)
    return [
        datetime.combine(
            MONDAY + timedelta(days=rng.choice(days) + 7 * rng.randrange(8)),
            time(rng.randrange(17, 22), rng.randrange(60)),
            tzinfo=TOKYO,
        ).astimezone(UTC)
        for _ in range(n)
    ]


@given(instants, st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]))
def test_any_history_gives_a_window_that_can_be_sent_in(history: list[datetime], zone: str) -> None:
    found = habit(history, ZoneInfo(zone), USUAL)
    length = (found.hours.end.hour - found.hours.start.hour) + (found.hours.end.minute > 0)
    assert length >= SHORTEST
    assert found.hours.days
    assert len(found.bustle) == len(BUSTLE)
    assert all(part > 0 for part in found.bustle)
    assert found.learned is (len(history) >= FEWEST)


def test_with_too_few_messages_the_usual_window_holds_and_says_how_many_it_needs() -> None:
    found = habit(evenings(FEWEST - 1), TOKYO, USUAL)
    assert found == Habit(hours=USUAL, seen=FEWEST - 1)
    assert f"{FEWEST} are needed" in found.said


def test_an_evening_person_of_many_messages_sends_in_the_evening_and_on_their_own_days() -> None:
    found = habit(evenings(600), TOKYO, USUAL)
    assert found.hours.days == {1, 3, 5}
    assert found.hours.start >= time(16)
    assert time(21) <= found.hours.end <= time(22)
    window = spans(found.hours, TOKYO, MONDAY + timedelta(days=1))
    due = due_times(20, window, random.Random(1), minimum_gap=timedelta(minutes=1), bustle=found.bustle)
    assert {at.astimezone(TOKYO).hour for at in due} <= {16, 17, 18, 19, 20, 21}


def test_a_habit_that_is_barely_known_is_shrunk_towards_the_usual() -> None:
    few, many = habit(evenings(FEWEST), TOKYO, USUAL), habit(evenings(600), TOKYO, USUAL)
    assert USUAL.start < few.hours.start < many.hours.start
    assert few.hours.days >= many.hours.days


def test_holidays_stay_closed_whatever_was_learned() -> None:
    closed = frozenset({date(2026, 3, 3)})
    assert habit(evenings(600), TOKYO, Hours(closed=closed)).hours.closed == closed
