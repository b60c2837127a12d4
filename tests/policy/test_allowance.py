"""How much today: exactly by DESIGN, and every answer names what capped it."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.allowance import DomainView, LaneView, MailboxView, allowance
from warmup.policy.brake import Verdict, kept
from warmup.policy.fate import Cap
from warmup.policy.level import DayRecord, LaneDay
from warmup.policy.mailbox import MailboxId
from warmup.policy.ramp import Linear, ramp_named
from warmup.policy.standing import Standing

TODAY = date(2026, 3, 2)
DAY = timedelta(days=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEEP = Linear(start=30, step=30, limit=3000)


def verdict(standing: Standing = Standing.SOUND, *, thin: bool = False, days: int = 5, inbox: float = 0.99) -> Verdict:
    return Verdict(
        standing=standing, factor=kept(standing), thin=thin, since=NOON - days * DAY, reason="said so", n=40.0,
        inbox_ratio=inbox, lower_ratio=inbox / 2, upper_ratio=1.0,
    )  # fmt: skip


def sent(volume: float, *, days: int = 5, ceiling: float | None = None) -> tuple[LaneDay, ...]:
    top = ceiling or volume
    return tuple(
        LaneDay(date=TODAY - back * DAY, ceiling=top, factor=volume / top, target=int(volume), accepted=int(volume))
        for back in range(days, 0, -1)
    )


def days(count: int, volume: int = 10) -> tuple[DayRecord, ...]:
    return tuple(
        DayRecord(date=TODAY - back * DAY, ceiling=volume, target=volume, accepted=volume)
        for back in range(count, 0, -1)
    )


def lane(provider: str, said: Verdict | None = None, *, weight: float = 1.0, **more: object) -> LaneView:
    plain = LaneView(provider=provider, weight=weight, verdict=said, history=(), seeds=1000)
    return replace(plain, **more)  # type: ignore[arg-type]


def view(*lanes: LaneView, **more: object) -> MailboxView:
    plain = MailboxView(
        mailbox_id=MailboxId(1), date=TODAY, ramp=ramp_named("standard"), target=None, limit=500, own=0,
        history=(), lanes=lanes,
    )  # fmt: skip
    return replace(plain, **more)  # type: ignore[arg-type]


def test_a_new_mailbox_starts_at_the_ramps_first_day_by_the_mix() -> None:
    answer = allowance(view(lane("a", weight=2), lane("b"), lane("c")))
    assert (answer.ceiling, answer.target, answer.level, answer.capped_by) == (5, 5, 1, Cap.RAMP)
    assert sum(each.target for each in answer.lanes) == 5
    assert all(each.thin and each.standing is Standing.WATCHED for each in answer.lanes)


def test_lanes_of_less_than_a_message_a_day_get_their_turn() -> None:
    sums: Counter[str] = Counter()
    for back in range(40):
        answer = allowance(view(lane("a", weight=17), lane("b", weight=2), lane("c"), date=TODAY + back * DAY))
        assert answer.target == 5
        sums.update({each.provider: each.target for each in answer.lanes})
    assert sums["a"] == pytest.approx(170, abs=3)
    assert sums["b"] == pytest.approx(20, abs=3)
    assert sums["c"] == pytest.approx(10, abs=3)


def test_the_target_cuts_the_ramp_and_draws_it_on() -> None:
    lanes = lane("a", verdict(), history=sent(20, days=60))
    assert allowance(view(lanes, history=days(60), target=12)).target == 12
    assert allowance(view(lanes, history=days(60), target=40)).ceiling == 40


def test_a_receiver_added_later_starts_at_its_own_first_day() -> None:
    answer = allowance(view(lane("old", verdict(), history=sent(20, days=60)), lane("new", weight=3),
                            history=days(60), target=40))  # fmt: skip
    new = answer.lanes[1]
    assert (new.level, new.ceiling, new.capped_by) == (1, 5, Cap.LANE)
    assert new.target <= 5


def test_what_is_taken_from_a_braked_lane_is_not_given_to_the_others() -> None:
    fine = [lane(name, verdict(), history=sent(7, days=20)) for name in "abc"]
    whole = allowance(view(*fine, history=days(20)))
    slowed = replace(fine[0], verdict=verdict(Standing.SLOWED))
    answer = allowance(view(slowed, *fine[1:], history=days(20)))
    assert [each.target for each in answer.lanes[1:]] == [each.target for each in whole.lanes[1:]]
    assert answer.lanes[0].target <= 5
    assert (answer.capped_by, answer.lanes[0].capped_by) == (Cap.STANDING, Cap.STANDING)
    assert "said so" in answer.reason


def test_the_worst_of_lane_mailbox_and_domain_holds() -> None:
    fine = lane("a", verdict(), history=sent(20, days=20))
    for where in ("mailbox", "domain"):
        answer = allowance(view(fine, history=days(20), **{where: verdict(Standing.SLOWED)}))
        assert answer.lanes[0].standing is Standing.SLOWED
        assert answer.target in (14, 15)


@pytest.mark.parametrize(("days_halted", "most"), [(0, 0), (1, 0), (2, 2), (9, 2)])
def test_a_halted_lane_cools_down_and_then_asks(days_halted: int, most: int) -> None:
    halted = lane("a", verdict(Standing.HALTED, days=days_halted - 1), history=sent(20, days=20))
    answer = allowance(view(halted, history=days(20)))
    assert answer.target == most


def test_a_closed_day_is_no_day_and_the_lane_goes_on_with_its_volume() -> None:
    closed = LaneDay(date=TODAY - DAY, ceiling=0.0, factor=1.0, target=0, accepted=0)
    before = tuple(replace(day, date=day.date - DAY) for day in sent(8))
    held = lane("a", verdict(Standing.WATCHED), history=(*before, closed))
    assert allowance(view(held, ramp=STEEP, history=days(5))).target == 8


def test_after_a_halt_a_lane_starts_from_its_probes() -> None:
    halted = replace(sent(20, days=1)[0], factor=0.0, target=2, accepted=2, standing=Standing.HALTED)
    earlier = tuple(replace(day, date=day.date - DAY) for day in sent(20, days=9))
    for standing in (Standing.SLOWED, Standing.WATCHED):
        freed = lane("a", verdict(standing), history=(*earlier, halted))
        assert allowance(view(freed, ramp=STEEP, history=days(9))).target == 3


def test_a_held_lane_holds_and_a_thin_one_follows_by_one_or_a_fifth() -> None:
    for volume, thin, expected in [(8, False, 8), (8, True, 10), (3, True, 4), (20, True, 24)]:
        held = lane("a", verdict(Standing.WATCHED, thin=thin), history=sent(volume))
        answer = allowance(view(held, ramp=STEEP, history=days(5)))
        assert answer.lanes[0].ceiling * answer.lanes[0].factor == pytest.approx(expected, abs=0.5)
        assert expected - 1 <= answer.target <= expected


def test_a_sound_lane_grows_no_faster_than_two_or_four_tenths() -> None:
    for volume, most in [(3, 5), (10, 14)]:
        sound = lane("a", verdict(), history=sent(volume))
        assert allowance(view(sound, ramp=STEEP, history=days(5))).target == most


def test_the_limit_leaves_own_traffic_and_the_reserve_free() -> None:
    big = lane("a", verdict(), history=sent(100, days=50))
    busy = view(big, ramp=STEEP, history=days(50, 100), limit=100)
    # 10 for the reserve, and a little besides: a day planned up to the wall would wait for yesterday's to leave it.
    assert (allowance(busy).target, allowance(busy).capped_by) == (87, Cap.LIMIT)
    own = allowance(replace(busy, own=60))
    assert (own.target, own.capped_by) == (28, Cap.OWN_TRAFFIC)
    assert allowance(replace(busy, own=200)).target == 0


def test_what_the_limit_took_comes_back_by_steps() -> None:
    squeezed = allowance(view(lane("a", verdict(), history=sent(100, days=50)), ramp=STEEP, history=days(50, 100),
                              limit=100, own=80))  # fmt: skip
    assert squeezed.lanes[0].ceiling * squeezed.lanes[0].factor == pytest.approx(9)


def test_on_the_day_real_sending_begins_warmup_gives_way() -> None:
    warm = view(lane("a", verdict(), history=sent(20, days=20)), history=days(20, 20), target=20, own=0)
    assert allowance(warm).target == 20
    begun = allowance(replace(warm, own=15))
    # ×1.4 of the 20 that receivers are used to.
    assert (begun.target, begun.capped_by) == (13, Cap.OWN_TRAFFIC)
    assert "slope" in begun.reason
    assert allowance(replace(warm, own=40)).target == 0


def test_what_was_always_sent_besides_takes_nothing_of_the_warmup() -> None:
    known = tuple(replace(record, own=40) for record in days(20, 20))
    steady = view(lane("a", verdict(), history=sent(20, days=20)), history=known, target=20, own=40)
    assert allowance(steady).target == 20
    # Nor does anything of the first day, when nobody knows what was sent before.
    assert allowance(replace(steady, history=(), own=40)).target > 0


def test_seeds_that_can_take_little_cap_the_lane() -> None:
    answer = allowance(view(lane("a", seeds=2)))
    assert (answer.target, answer.capped_by) == (2, Cap.SEEDS)
    none = allowance(view())
    assert (none.ceiling, none.target, none.capped_by) == (5, 0, Cap.SEEDS)


@pytest.mark.parametrize(("state", "cap"), [("verified", Cap.UNVERIFIED), ("paused", Cap.PAUSED)])
def test_a_mailbox_that_may_not_send_shows_its_ceiling(state: str, cap: Cap) -> None:
    answer = allowance(view(lane("a"), **{state: state == "paused"}))
    assert (answer.ceiling, answer.target, answer.capped_by) == (5, 0, cap)
    assert allowance(view(**{state: state == "paused"})).capped_by is cap


def test_twenty_new_mailboxes_of_a_domain_are_one_newcomer() -> None:
    targets = []
    for rank in range(20):
        shared = lane("a", domain=DomainView(volumes=(), mailboxes=20, rank=rank))
        answer = allowance(view(shared))
        targets.append(answer.target)
        assert answer.capped_by is Cap.DOMAIN
    assert sum(targets) == 20


def test_the_domains_day_grows_with_what_was_accepted_the_oldest_first() -> None:
    volumes = tuple((TODAY - back * DAY, 30) for back in range(5, 0, -1))
    shares = []
    for rank in range(20):
        shared = lane("a", verdict(), history=sent(2), domain=DomainView(volumes=volumes, mailboxes=20, rank=rank))
        shares.append(allowance(view(shared)).target)
    assert sum(shares) == 42
    assert shares == sorted(shares, reverse=True)


def test_a_lone_mailbox_on_a_fresh_domain_is_not_choked() -> None:
    alone = lane("a", domain=DomainView(volumes=(), mailboxes=1, rank=0))
    assert allowance(view(alone)).target == 5


STANDINGS = st.builds(
    verdict, st.sampled_from(Standing), thin=st.booleans(), days=st.integers(0, 20), inbox=st.floats(0, 1)
)
LANES = st.lists(
    st.builds(
        lambda name, said, weight, volume, lasted, seeds: LaneView(
            provider=f"p{name}", weight=weight, verdict=said, history=sent(volume, days=lasted) if volume else (),
            seeds=seeds,
        ),
        st.integers(0, 99), st.none() | STANDINGS, st.floats(0.05, 20), st.floats(0, 80), st.integers(1, 40),
        st.integers(0, 60),
    ),
    max_size=5, unique_by=lambda each: each.provider,
)  # fmt: skip
VIEWS = st.builds(
    lambda lanes, ramp, target, limit, own, lasted, mailbox, shift: view(
        *lanes, ramp=ramp_named(ramp), target=target, limit=limit, own=own, history=days(lasted), mailbox=mailbox,
        mailbox_id=MailboxId(shift),
    ),
    LANES, st.sampled_from(["careful", "standard", "fast", "esp"]), st.none() | st.integers(1, 200),
    st.integers(1, 300), st.none() | st.integers(0, 300), st.integers(0, 40), st.none() | STANDINGS,
    st.integers(1, 10**6),
)  # fmt: skip


@given(VIEWS)
def test_never_above_ramp_target_limit_lane_or_seeds(seen: MailboxView) -> None:
    answer = allowance(seen)
    assert 0 <= answer.target <= answer.ceiling
    assert seen.target is None or answer.target <= seen.target
    assert answer.target <= max(0, seen.limit - (seen.own or 0))
    assert answer.target == sum(each.target for each in answer.lanes)
    for each, said in zip(answer.lanes, seen.lanes, strict=True):
        assert 0 <= each.target <= min(each.ceiling, said.seeds)
        assert 0 <= each.factor <= 1 + 1e-9


@given(VIEWS, st.lists(st.integers(0, 200), min_size=40, max_size=40))
def test_warmup_and_own_traffic_together_keep_to_the_slope(seen: MailboxView, own: list[int]) -> None:
    records = [replace(record, own=count) for record, count in zip(seen.history, own, strict=False)]
    answer = allowance(replace(seen, history=tuple(records)))
    used_to = max((record.accepted + record.own for record in records[-7:]), default=None)
    if answer.target and used_to is not None and seen.own:
        assert answer.target + seen.own <= max(answer.ceiling, 1.4 * used_to, used_to + 2) + 1e-6


@given(VIEWS)
def test_the_same_question_has_the_same_answer(seen: MailboxView) -> None:
    assert allowance(seen) == allowance(seen)


@given(VIEWS)
def test_a_volume_never_leaps(seen: MailboxView) -> None:
    for each, said in zip(allowance(seen).lanes, seen.lanes, strict=True):
        if said.history and said.history[-1].target > 0:
            before = said.history[-1].volume
            assert each.ceiling * each.factor <= max(before * 1.4, before + 2, 5.0) + 1e-6


@given(VIEWS, st.integers(0, 4), st.sampled_from(Standing))
def test_a_graver_standing_never_gives_more(seen: MailboxView, which: int, graver: Standing) -> None:
    if not seen.lanes:
        return
    which %= len(seen.lanes)
    before = seen.lanes[which].verdict
    if before is None or graver.gravity < before.standing.gravity or before.thin:
        return
    lanes = list(seen.lanes)
    lanes[which] = replace(lanes[which], verdict=replace(before, standing=graver, factor=kept(graver)))
    assert allowance(replace(seen, lanes=tuple(lanes))).target <= allowance(seen).target
