"""A year and more in eight zones: windows, clock changes, rolling days, and the same seeds giving the same plans."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.test_plan import GRACE, SENDER, allowed
from tests.policy.test_waking import FIRST, ZONES, hours, living
from warmup.config.holidays import holidays_of
from warmup.policy.mailbox import Hours, Mailbox
from warmup.policy.pairing import Past, pool
from warmup.policy.plan import DayPlan, plan_for
from warmup.policy.window import date_of, is_open, next_open, spans

DAYS = 400
A_DAY = timedelta(hours=24)
EVERY_DAY = frozenset(range(7))
SEEDS = pool([living(10 + n, ZONES[n % len(ZONES)]) for n in range(60)])


def planned(mailbox: Mailbox, on: date, window: Hours, volume: int, chance: object, *, lanes: int = 3) -> DayPlan:
    """A whole day, planned as its date begins there."""
    targets = dict(zip(("gmail", "outlook", "yahoo"), (volume, volume // 2, volume // 4), strict=True))
    return plan_for(
        mailbox,
        on,
        5,
        allowed(**dict(list(targets.items())[:lanes])),
        seeds=SEEDS,
        past=Past(),
        unanswered=(),
        listening=False,
        hours=window,
        now=datetime.combine(on, time(), tzinfo=mailbox.zone).astimezone(UTC),
        grace=GRACE,
        rng=random.Random(f"{chance} {on}"),
    )


@pytest.mark.parametrize("zone", ZONES)
def test_over_400_days_every_message_has_its_slot_inside_the_window(zone: str) -> None:
    mailbox, window = replace(SENDER, timezone=zone), Hours(days=EVERY_DAY)
    plans = [planned(mailbox, FIRST + timedelta(days=n), window, 8, zone) for n in range(DAYS)]
    due = [slot.due_at for plan in plans for slot in plan.slots]
    # No slot is doubled or lost where the clock changes: in order, each on its own date, and as many as are allowed,
    # but for a few that would have come in their recipient's night, which the plan says.
    assert all(len(plan.slots) == 14 or "night" in plan.allowance.reason for plan in plans)
    assert len(due) > 0.98 * 14 * DAYS
    assert len({(plan.date, slot.number) for plan in plans for slot in plan.slots}) == len(due)
    assert all(before < after for before, after in pairwise(due))
    assert all(date_of(slot.due_at, mailbox.zone) == plan.date for plan in plans for slot in plan.slots)
    assert all(is_open(window, mailbox.zone, at) and is_open(window, mailbox.zone, at + GRACE / 2) for at in due)


@pytest.mark.parametrize("zone", ZONES)
def test_no_24_hours_of_400_days_break_the_limit_and_hardly_a_message_lapses_for_it(zone: str) -> None:
    # A window of a few hours is the hardest: the clock's change brings two days an hour nearer.
    mailbox, window = replace(SENDER, timezone=zone), Hours(days=EVERY_DAY, start=time(9), end=time(13))
    limit, margin = 28, timedelta(minutes=5)
    # What `allowance` plans under such a limit, without own traffic and reserve.
    volume = limit - round(limit**0.5 / 3)
    went: list[datetime] = []
    lapsed = 0
    for n in range(DAYS):
        for slot in planned(mailbox, FIRST + timedelta(days=n), window, volume, zone, lanes=1).slots:
            recent = [at for at in went[-2 * limit :] if at > slot.due_at - A_DAY - margin]
            room_at = recent[-limit] + A_DAY + margin if len(recent) >= limit else slot.due_at
            if room_at <= slot.due_at + GRACE:
                went.append(max(room_at, slot.due_at))
            else:
                lapsed += 1
    assert all(later - earlier > A_DAY for earlier, later in zip(went, went[limit:], strict=False))
    assert lapsed <= 0.02 * len(went)


@given(st.sampled_from(ZONES), st.integers(0, DAYS), hours(), st.integers(0, 40), st.integers())
def test_the_same_seed_gives_the_same_plan_in_any_zone_on_any_day(
    zone: str, day: int, window: Hours, volume: int, chance: int
) -> None:
    mailbox, on = replace(SENDER, timezone=zone), FIRST + timedelta(days=day)
    once, again = (planned(mailbox, on, window, volume, chance) for _ in range(2))
    assert once == again
    assert all(is_open(window, mailbox.zone, slot.due_at) for slot in once.slots)
    assert max(Counter(slot.due_at for slot in once.slots).values(), default=1) == 1


@pytest.mark.parametrize(
    ("calendar", "zone"), [("DE", "Europe/Berlin"), ("US", "America/New_York"), ("IN", "Asia/Kolkata")]
)
def test_nothing_is_planned_on_the_holidays_of_400_days(calendar: str, zone: str) -> None:
    mailbox = replace(SENDER, timezone=zone)
    window = Hours(closed=holidays_of(calendar, 2026, 2027))
    closed = [day for n in range(DAYS) if (day := FIRST + timedelta(days=n)) in window.closed]
    assert len(closed) >= 8
    for day in closed:
        assert spans(window, mailbox.zone, day) == ()
        assert planned(mailbox, day, window, 8, calendar).slots == ()
        noon = datetime.combine(day, time(12), tzinfo=ZoneInfo(zone)).astimezone(UTC)
        assert not is_open(window, mailbox.zone, noon)
        assert date_of(next_open(window, mailbox.zone, noon), mailbox.zone) > day
