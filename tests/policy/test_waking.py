"""Nobody's mail falls due in the middle of the recipient's night."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.policy.test_plan import GRACE, LANES, SENDER, allowed, per_lane, planned, seed
from warmup.policy.fate import Cap
from warmup.policy.mailbox import Hours
from warmup.policy.pairing import Correspondent, Past, pool
from warmup.policy.plan import plan_for
from warmup.policy.waking import DOWN, UP, Awake, Waking, is_awake
from warmup.policy.window import Span, is_open, spans

ZONES = (
    "America/Los_Angeles",
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Pacific/Auckland",
)
FIRST = date(2026, 3, 2)

zones = st.sampled_from(ZONES)
days = st.integers(0, 400).map(lambda n: FIRST + timedelta(days=n))


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    start = draw(st.integers(0, 21))
    end = draw(st.integers(start + 1, 23))
    return Hours(days=frozenset(range(7)), start=time(start), end=time(end))


def living(number: int, zone: str) -> Correspondent:
    known = seed(number, LANES[number % 3])
    return Correspondent(
        id=known.id, account_id=known.account_id, domain=known.domain, provider=known.provider, waking=Waking(zone)
    )


@given(hours(), zones, zones, days, st.floats(0, 0.999))
def test_who_is_awake_is_what_the_clock_on_their_wall_says(
    open_: Hours, zone: str, theirs: str, day: date, part: float
) -> None:
    window = spans(open_, ZoneInfo(zone), day)
    awake = Awake(window)
    for span in window:
        instant = span.start + part * span.length
        up = UP <= instant.astimezone(ZoneInfo(theirs)).time() < DOWN
        assert is_awake(awake.spans(Waking(theirs)), instant) is up
    assert 0 <= awake.share(Waking(theirs)) <= 1 + 1e-9


def test_hours_of_ones_own_widen_the_day_and_an_unknown_zone_is_always_awake() -> None:
    night = Span(datetime(2026, 3, 2, 23, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC))
    assert Awake([night]).share(Waking("UTC")) == 0
    assert Awake([night]).share(None) == 1
    nurse = replace(SENDER, hours=Hours(start=time(4), end=time(23, 30)))
    assert Waking.of(nurse) == Waking("UTC", time(4), time(23, 30))
    assert Waking.of(replace(SENDER, hours=Hours(start=time(9), end=time(12)))) == Waking.of(SENDER) == Waking("UTC")
    assert Awake([night]).share(Waking.of(nurse)) == 1.5 / 6


@given(
    zone=zones,
    day=days,
    window=hours(),
    theirs=st.lists(zones, min_size=1, max_size=12),
    targets=st.fixed_dictionaries({}, optional={provider: st.integers(0, 25) for provider in LANES}),
    chance=st.integers(),
)
def test_no_message_is_due_outside_the_window_or_in_the_recipients_night(
    zone: str, day: date, window: Hours, theirs: list[str], targets: dict[str, int], chance: int
) -> None:
    mailbox = replace(SENDER, timezone=zone)
    seeds = [living(10 + n, theirs[n % len(theirs)]) for n in range(24)]
    by_id = {one.id: one for one in seeds}
    now = datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)
    plan = plan_for(
        mailbox,
        day,
        5,
        allowed(**targets),
        seeds=pool(seeds),
        past=Past(),
        unanswered=(),
        listening=False,
        hours=window,
        now=now,
        grace=GRACE,
        rng=random.Random(chance),
    )
    for slot in plan.slots:
        waking = by_id[slot.recipient_id].waking
        assert waking is not None
        assert is_open(window, mailbox.zone, slot.due_at)
        assert UP <= slot.due_at.astimezone(ZoneInfo(waking.timezone)).time() < DOWN
    assert plan.allowance.target == len(plan.slots)
    assert {lane.provider: lane.target for lane in plan.allowance.lanes} == {
        provider: per_lane(plan).get(provider, 0) for provider in targets
    }


def test_where_all_recipients_sleep_nothing_is_planned_and_the_plan_says_why() -> None:
    asleep = [living(10 + n, "Asia/Tokyo") for n in range(6)]
    # 14 to 18 in UTC is 23 to 3 in Tokyo.
    late = Hours(days=frozenset(range(7)), start=time(14), end=time(18))
    plan = planned(allowed(gmail=2, outlook=2, yahoo=2), seeds=pool(asleep), unanswered=[], hours=late)
    assert plan.slots == ()
    assert plan.allowance.capped_by is Cap.SEEDS


def test_who_is_reached_for_an_hour_gets_few_messages_and_all_of_them_in_it() -> None:
    far, near = living(10, "Asia/Tokyo"), living(13, "Europe/London")
    seeds = pool([far, near, *(living(16 + 3 * n, "Europe/London") for n in range(6))])
    # 12 to 20 in UTC; in Tokyo it is 22 at 13.
    window = Hours(days=frozenset(range(7)), start=time(12), end=time(20))
    plans = [planned(allowed(outlook=6), seeds=seeds, unanswered=[], hours=window, chance=n) for n in range(60)]
    to_far = [slot.due_at.hour for plan in plans for slot in plan.slots if slot.recipient_id == far.id]
    to_near = [slot for plan in plans for slot in plan.slots if slot.recipient_id == near.id]
    assert set(to_far) <= {12}
    assert len(to_far) < len(to_near)
