"""May this slot go, now? One example for every answer, and the walls as a server counts them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.fate import Outcome
from warmup.policy.mailbox import State
from warmup.policy.quota import (
    Go,
    Hindrance,
    LaneDay,
    Lapse,
    LastAttempt,
    Pace,
    Rate,
    Situation,
    Wait,
    Wall,
    may_go,
    reserve,
    window_count,
)
from warmup.policy.standing import Standing

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
GRACE = timedelta(minutes=30)
MARGIN = timedelta(seconds=300)
DAY = timedelta(hours=24)
ROOMY = Wall(used=3, limit=100, reserve=10)


def lane(**changes: Any) -> LaneDay:
    sound = LaneDay(
        standing_planned=Standing.SOUND,
        factor_planned=1.0,
        target=10,
        standing_now=Standing.SOUND,
        factor_now=1.0,
        sent=0,
    )
    return replace(sound, **changes)


def situation(**changes: Any) -> Situation:
    """A slot that may go: everything is as it should be but for `changes`."""
    fine = Situation(
        now=NOW,
        due_at=NOW - timedelta(minutes=1),
        grace=GRACE,
        mailbox_state=State.ACTIVE,
        recipient_state=State.ACTIVE,
        own_reading_at=NOW - timedelta(minutes=5),
        lane=lane(),
        day_target=20,
        day_sent=5,
        account=ROOMY,
    )
    return replace(fine, **changes)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def test_a_slot_with_nothing_against_it_goes_as_its_first_attempt() -> None:
    assert may_go(situation()) == Go(ordinal=1)


def test_a_slot_goes_at_the_last_instant_of_its_grace_and_lapses_after() -> None:
    assert may_go(situation(due_at=NOW - GRACE)) == Go(ordinal=1)
    assert may_go(situation(due_at=NOW - GRACE - timedelta(seconds=1))) == Lapse(reason=Hindrance.GRACE)


def test_only_a_deferred_attempt_is_followed_by_another() -> None:
    deferred = LastAttempt(ordinal=2, outcome=Outcome.DEFERRED, retry_at=NOW)
    assert may_go(situation(last=deferred)) == Go(ordinal=3)
    for outcome in set(Outcome) - {Outcome.DEFERRED}:
        ended = situation(last=LastAttempt(ordinal=1, outcome=outcome))
        assert may_go(ended) == Wait(until=None, reason=Hindrance.ENDED)


def test_a_slot_in_flight_neither_goes_nor_lapses_however_late_it_is() -> None:
    late = situation(due_at=ago(days=3), last=LastAttempt(ordinal=1, outcome=None))
    assert may_go(late) == Wait(until=None, reason=Hindrance.IN_FLIGHT)


def test_a_deferred_slot_waits_for_its_retry_and_lapses_where_that_is_past_grace_or_given_up() -> None:
    def answer(retry_at: datetime | None) -> Go | Wait | Lapse:
        return may_go(situation(last=LastAttempt(ordinal=1, outcome=Outcome.DEFERRED, retry_at=retry_at)))

    soon = NOW + timedelta(minutes=10)
    assert answer(soon) == Wait(until=soon, reason=Hindrance.DEFERRED)
    assert answer(NOW + timedelta(hours=1)) == Lapse(reason=Hindrance.DEFERRED)
    assert answer(None) == Lapse(reason=Hindrance.DEFERRED)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mailbox_state": State.PAUSED}, Hindrance.PAUSED),
        ({"mailbox_state": State.UNVERIFIED}, Hindrance.UNVERIFIED),
        ({"sender_verified": False}, Hindrance.UNVERIFIED),
        ({"recipient_state": State.PAUSED}, Hindrance.RECIPIENT),
        ({"recipient_state": State.UNVERIFIED}, Hindrance.RECIPIENT),
        ({"own_reading_at": None}, Hindrance.OWN_TRAFFIC),
        ({"own_reading_at": ago(minutes=61)}, Hindrance.OWN_TRAFFIC),
    ],
)
def test_what_may_be_mended_any_moment_waits_until_grace_ends_and_then_names_itself(
    changes: dict[str, Any], reason: Hindrance
) -> None:
    assert may_go(situation(**changes)) == Wait(until=None, reason=reason)
    assert may_go(situation(**changes, due_at=ago(minutes=31))) == Lapse(reason=reason)


def test_a_removed_sender_or_recipient_ends_the_slot() -> None:
    assert may_go(situation(mailbox_state=State.REMOVED)) == Lapse(reason=Hindrance.REMOVED)
    assert may_go(situation(recipient_state=State.REMOVED)) == Lapse(reason=Hindrance.REMOVED)


def test_an_own_reading_of_an_hour_is_fresh_enough() -> None:
    assert may_go(situation(own_reading_at=ago(minutes=60))) == Go(ordinal=1)


def test_a_hold_is_waited_for_within_grace_and_lapses_the_slot_beyond() -> None:
    soon, far = NOW + timedelta(minutes=5), NOW + timedelta(hours=5)
    assert may_go(situation(held_until=soon)) == Wait(until=soon, reason=Hindrance.HELD)
    assert may_go(situation(held_until=far)) == Lapse(reason=Hindrance.HELD)
    assert may_go(situation(held_until=NOW)) == Go(ordinal=1)


def test_the_days_target_is_never_exceeded() -> None:
    assert may_go(situation(day_sent=19)) == Go(ordinal=1)
    assert may_go(situation(day_sent=20)) == Lapse(reason=Hindrance.TARGET)


def test_a_wall_keeps_its_last_message_and_its_reserve() -> None:
    def answer(used: int, held: int) -> Go | Wait | Lapse:
        return may_go(situation(account=Wall(used=used, limit=12, reserve=held)))

    assert answer(11, 0) == Go(ordinal=1)
    assert answer(12, 0) == Wait(until=None, reason=Hindrance.LIMIT)
    assert answer(9, 2) == Go(ordinal=1)
    assert answer(10, 2) == Wait(until=None, reason=Hindrance.LIMIT)


@pytest.mark.parametrize(("wall", "reason"), [("account", Hindrance.LIMIT), ("domain", Hindrance.DOMAIN)])
def test_a_full_wall_is_waited_for_only_where_room_comes_within_grace(wall: str, reason: Hindrance) -> None:
    soon, far = NOW + timedelta(minutes=5), NOW + timedelta(hours=1)
    full = Wall(used=50, limit=50, room_at=soon)
    assert may_go(situation(**{wall: full})) == Wait(until=soon, reason=reason)
    assert may_go(situation(**{wall: replace(full, room_at=far)})) == Lapse(reason=reason)
    assert may_go(situation(**{wall: replace(full, room_at=None)})) == Wait(until=None, reason=reason)


def test_a_backlog_goes_no_faster_than_slots_fall_due() -> None:
    soon = NOW + timedelta(minutes=2)
    assert may_go(situation(pace=Pace(sent=3, due=4, room_at=soon))) == Go(ordinal=1)
    assert may_go(situation(pace=Pace(sent=4, due=4, room_at=soon))) == Wait(until=soon, reason=Hindrance.PACE)
    # One that waited longer than an hour's slots still gets its turn.
    assert may_go(situation(pace=Pace(sent=0, due=0))) == Go(ordinal=1)


def test_a_minute_holds_no_more_than_the_provider_takes() -> None:
    soon = NOW + timedelta(seconds=20)
    assert may_go(situation(rate=Rate(sent=29, limit=30, room_at=soon))) == Go(ordinal=1)
    assert may_go(situation(rate=Rate(sent=30, limit=30, room_at=soon))) == Wait(until=soon, reason=Hindrance.RATE)
    assert may_go(situation(rate=Rate(sent=30, limit=30))) == Wait(until=None, reason=Hindrance.RATE)


def test_a_lane_braked_since_planning_sends_no_more_that_day() -> None:
    slowed = lane(standing_now=Standing.SLOWED, factor_now=0.7, target=10, sent=4)
    assert slowed.room == 0
    assert may_go(situation(lane=slowed)) == Lapse(reason=Hindrance.STANDING)


def test_a_lane_slowed_when_it_was_planned_keeps_the_share_the_brake_leaves() -> None:
    slowed = lane(standing_planned=Standing.SLOWED, standing_now=Standing.SLOWED, target=10)
    assert slowed.room == 10
    slower = replace(slowed, factor_planned=0.7, factor_now=0.35)
    assert slower.room == 5
    assert may_go(situation(lane=replace(slower, sent=4))) == Go(ordinal=1)
    assert may_go(situation(lane=replace(slower, sent=5))) == Lapse(reason=Hindrance.STANDING)


def test_a_lane_freed_since_planning_gets_no_more_than_was_planned() -> None:
    freed = lane(standing_planned=Standing.SLOWED, factor_planned=0.5, factor_now=1.0, target=5)
    assert freed.room == 5


def test_a_halted_lane_sends_only_the_probes_planned_under_the_halt() -> None:
    since = lane(standing_now=Standing.HALTED, factor_now=0.1)
    assert may_go(situation(lane=since)) == Lapse(reason=Hindrance.STANDING)
    probes = LaneDay(
        standing_planned=Standing.HALTED,
        factor_planned=0.0,
        target=2,
        standing_now=Standing.HALTED,
        factor_now=0.0,
        sent=1,
    )
    assert may_go(situation(lane=probes)) == Go(ordinal=1)
    assert may_go(situation(lane=replace(probes, sent=2))) == Lapse(reason=Hindrance.STANDING)


@given(
    target=st.integers(0, 10_000),
    planned=st.floats(0.01, 1.0),
    share=st.floats(0.0, 1.0),
    sent=st.integers(0, 10_000),
)
def test_a_brake_only_ever_takes_away(target: int, planned: float, share: float, sent: int) -> None:
    braked = lane(target=target, factor_planned=planned, factor_now=planned * share, sent=sent)
    assert 0 <= braked.room <= lane(target=target, sent=sent).room


@given(limit=st.integers(1, 20_000), ratio=st.sampled_from(["0", "0.05", "0.1", "0.3", "0.9"]))
def test_the_reserve_is_the_ratio_rounded_up_and_never_everything(limit: int, ratio: str) -> None:
    kept = reserve(limit, float(ratio))
    assert kept < limit
    # In hundredths, where nothing is rounded.
    hundredths = limit * round(float(ratio) * 100)
    assert kept == min(limit - 1, -(-hundredths // 100))


instants = st.integers(-5000, 5000).map(lambda minutes: NOW + timedelta(minutes=minutes))
walls = st.builds(
    Wall,
    used=st.integers(0, 30),
    limit=st.integers(1, 30),
    reserve=st.integers(0, 3),
    room_at=st.none() | instants,
)
situations = st.builds(
    Situation,
    now=st.just(NOW),
    due_at=st.integers(-60, 5).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    grace=st.just(GRACE),
    mailbox_state=st.sampled_from(State),
    sender_verified=st.booleans(),
    recipient_state=st.sampled_from(State),
    own_reading_at=st.none() | instants,
    held_until=st.none() | instants,
    lane=st.builds(
        LaneDay,
        standing_planned=st.sampled_from(Standing),
        factor_planned=st.floats(0, 1),
        target=st.integers(0, 20),
        standing_now=st.sampled_from(Standing),
        factor_now=st.floats(0, 1),
        sent=st.integers(0, 20),
    ),
    day_target=st.integers(0, 20),
    day_sent=st.integers(0, 20),
    account=walls,
    domain=st.none() | walls,
    pace=st.none() | st.builds(Pace, sent=st.integers(0, 9), due=st.integers(0, 9), room_at=st.none() | instants),
    last=st.none()
    | st.builds(
        LastAttempt,
        ordinal=st.integers(1, 9),
        outcome=st.none() | st.sampled_from(Outcome),
        retry_at=st.none() | instants,
    ),
)


@given(situations)
def test_every_situation_has_an_answer_and_a_wait_is_never_for_the_past_nor_past_grace(given_: Situation) -> None:
    match may_go(given_):
        case Go(ordinal=ordinal):
            assert given_.deadline >= NOW
            assert given_.mailbox_state is given_.recipient_state is State.ACTIVE
            assert given_.account.used < given_.account.limit
            assert given_.day_sent < given_.day_target
            assert ordinal == (given_.last.ordinal + 1 if given_.last else 1)
        case Wait(until=until):
            assert until is None or NOW < until <= given_.deadline
        case Lapse():
            assert given_.last is None or given_.last.outcome is Outcome.DEFERRED


# The walls, as a server counts them


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt in seconds: claimed, taken by the server in between, outcome recorded."""

    claimed: float
    taken: float
    recorded: float
    counts: bool


@st.composite
def attempts(draw: st.DrawFn) -> list[Sent]:
    """Attempts of several connections of one account, whose outcomes may come hours late (a crash, a lease)."""
    made = []
    at = 0.0
    for _ in range(draw(st.integers(1, 25))):
        at += draw(st.sampled_from([0.0, 60.0, 3600.0, 43_000.0, 86_401.0]))
        late = draw(st.sampled_from([0.0, 400.0, 20_000.0, 90_000.0]))
        made.append(
            Sent(at, at + late * draw(st.sampled_from([0.0, 0.5, 1.0])), at + late, draw(st.integers(0, 4)) > 0)
        )
    return made


def admitted(tries: list[Sent], limit: int, own: list[float]) -> Iterator[Sent]:
    """What goes out, where each claim sees exactly what a ledger holds at that instant."""
    went: list[Sent] = []
    for attempt in tries:
        now = NOW + timedelta(seconds=attempt.claimed)
        used = window_count(
            now,
            outcomes=[NOW + timedelta(seconds=s.recorded) for s in went if s.counts and s.recorded <= attempt.claimed],
            in_flight=sum(s.recorded > attempt.claimed for s in went),
            own=[NOW + timedelta(seconds=at) for at in own if at <= attempt.claimed],
            margin=MARGIN,
        )
        answer = may_go(
            situation(now=now, due_at=now, own_reading_at=now, account=Wall(used=used, limit=limit, reserve=0))
        )
        if isinstance(answer, Go):
            went.append(attempt)
            yield attempt


def fullest_window(instants: list[float]) -> int:
    """The most instants in any (t − 24 h, t]; such a window can be moved until it ends at one of them."""
    return max((sum(end - DAY.total_seconds() < at <= end for at in instants) for end in instants), default=0)


@given(attempts(), st.integers(1, 8))
def test_no_window_of_24_hours_as_the_server_counts_by_acceptance_exceeds_the_limit(
    tries: list[Sent], limit: int
) -> None:
    taken = [attempt.taken for attempt in admitted(tries, limit, own=[]) if attempt.counts]
    assert fullest_window(taken) <= limit


@given(attempts(), st.integers(1, 8))
def test_no_window_counted_from_claims_or_from_outcomes_exceeds_the_limit_either(tries: list[Sent], limit: int) -> None:
    went = [attempt for attempt in admitted(tries, limit, own=[]) if attempt.counts]
    assert fullest_window([attempt.claimed for attempt in went]) <= limit
    assert fullest_window([attempt.recorded for attempt in went]) <= limit


def test_a_late_acceptance_would_overflow_a_window_that_is_counted_from_the_claim() -> None:
    # Claimed at 0, taken an hour later; 24 hours after the claim the server still counts it for an hour.
    slow = Sent(0.0, 3600.0, 3600.0, counts=True)
    next_day = Sent(DAY.total_seconds() + 1, DAY.total_seconds() + 1, DAY.total_seconds() + 1, counts=True)
    assert list(admitted([slow, next_day], limit=1, own=[])) == [slow]


@given(attempts(), st.lists(st.floats(0, 200_000), max_size=8), st.integers(8, 20))
def test_own_traffic_that_was_read_in_time_leaves_so_much_less(tries: list[Sent], own: list[float], limit: int) -> None:
    for attempt in admitted(tries, limit, own):
        mine = sum(attempt.claimed - DAY.total_seconds() < at <= attempt.claimed for at in own)
        assert mine < limit


def test_a_use_leaves_the_window_24_hours_and_the_margin_after_its_outcome() -> None:
    edge = NOW - DAY - MARGIN
    assert window_count(NOW, outcomes=[edge], in_flight=0, margin=MARGIN) == 0
    assert window_count(NOW, outcomes=[edge + timedelta(seconds=1)], in_flight=2, margin=MARGIN) == 3
    own = [NOW - DAY, NOW - DAY + timedelta(seconds=1)]
    assert window_count(NOW, outcomes=[], in_flight=0, own=own, margin=MARGIN) == 1
