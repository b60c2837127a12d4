"""Doubt brakes, evidence brakes harder, and whatever is braked comes back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.brake import (
    ASK,
    PROBE,
    Verdict,
    appetite,
    is_probe_day,
    judge_domain,
    judge_lane,
    judge_mailbox,
    kept,
    next_volume,
)
from warmup.policy.evidence import Evidence, Finding, Sign, evidence_of
from warmup.policy.headroom import GROWTH, LEAST, Headroom
from warmup.policy.kin import related
from warmup.policy.reputation import estimate
from warmup.policy.standing import Standing

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SIGNS = st.sampled_from(list(Sign))


def seen(signs: Sequence[Sign], *, until: datetime = START, every: timedelta = 2 * HOUR) -> Evidence:
    """The evidence of findings that end at `until`."""
    first = until - (len(signs) - 1) * every
    return evidence_of(Finding(at=first + number * every, sign=sign) for number, sign in enumerate(signs))


def good(count: int) -> Evidence:
    return seen([Sign.INBOX] * count)


def turned(bad: int, before: int = 40) -> Evidence:
    return seen([Sign.INBOX] * before + [Sign.SPAM] * bad)


@given(st.lists(SIGNS, max_size=7), st.integers(0, 40))
def test_fewer_than_eight_sightings_are_never_sound(signs: list[Sign], rebuffs: int) -> None:
    verdict = judge_lane(seen([*signs, *[Sign.REBUFF] * rebuffs]), START)
    assert verdict.standing is not Standing.SOUND
    assert verdict.thin


def test_eight_good_sightings_are_sound() -> None:
    verdict = judge_lane(good(8), START)
    assert (verdict.standing, verdict.thin, verdict.factor, verdict.n) == (Standing.SOUND, False, 1.0, 8)
    assert verdict.lower_ratio is not None
    assert verdict.inbox_ratio is not None
    assert verdict.upper_ratio is not None
    assert 0.6 < verdict.lower_ratio < verdict.inbox_ratio < verdict.upper_ratio <= 1


def test_of_nothing_nothing_is_said() -> None:
    verdict = judge_lane(Evidence(), START)
    assert (verdict.standing, verdict.thin, verdict.n, verdict.inbox_ratio) == (Standing.WATCHED, True, 0, None)


def test_what_was_seen_long_ago_is_thin_again() -> None:
    assert judge_lane(good(20), START + 40 * DAY).thin


@pytest.mark.parametrize(
    ("bad", "standing"),
    [(0, Standing.SOUND), (1, Standing.SOUND), (3, Standing.SLOWED), (4, Standing.HALTED)],
)
def test_a_fresh_turn_brakes_within_a_few_messages_whatever_was_before(bad: int, standing: Standing) -> None:
    assert judge_lane(turned(bad, before=300), START).standing is standing


def test_a_quiet_lanes_last_few_messages_are_not_called_fresh() -> None:
    old = seen([Sign.INBOX] * 40 + [Sign.SPAM, Sign.SPAM, Sign.INBOX, Sign.SPAM], every=2 * DAY)
    assert judge_lane(old, START).reason != judge_lane(turned(3), START).reason
    assert judge_lane(old, START).standing is not Standing.HALTED


def test_a_lasting_share_of_spam_slows() -> None:
    lasting = seen(([Sign.INBOX] * 3 + [Sign.SPAM]) * 10)
    assert judge_lane(lasting, START).standing is Standing.SLOWED


def test_refusals_and_complaints_brake_as_spam_does() -> None:
    assert judge_lane(seen([Sign.INBOX] * 30 + [Sign.REBUFF] * 4), START).standing is Standing.HALTED
    assert judge_lane(seen([Sign.INBOX] * 30 + [Sign.COMPLAINT] * 3), START).standing is Standing.SLOWED


def test_a_few_messages_lost_by_chance_brake_nothing() -> None:
    lost = ([Sign.INBOX] * 12 + [Sign.MISSING]) * 4
    assert judge_lane(seen(lost), START).standing is Standing.SOUND


def test_a_lane_leans_on_its_domain_at_the_same_receiver() -> None:
    assert judge_lane(good(8), START).standing is Standing.SOUND
    assert judge_lane(good(8), START, domain=[turned(8), turned(8)]).standing is not Standing.SOUND


def test_a_lane_leans_more_on_its_operators_other_service_than_on_a_strangers() -> None:
    other = [turned(6)]
    stranger, kin, domain = (
        estimate(good(8), START, **{whose: other}).harm for whose in ("mailbox", "operator", "domain")
    )
    assert stranger < kin < domain
    assert estimate(good(60), START, operator=other).harm < kin / 2 + 0.01
    assert judge_lane(good(8), START, operator=other).standing is Standing.WATCHED


def test_consumer_and_business_service_are_related_and_others_are_not() -> None:
    lanes = {"gmail": 1, "workspace": 2, "outlook": 3, "yahoo": 4}
    assert related(lanes, "gmail") == ([2], [3, 4])
    assert related(lanes, "microsoft365") == ([3], [1, 2, 4])
    assert related(lanes, "yahoo") == ([], [1, 2, 3])


def test_judging_again_changes_nothing_and_since_is_when_it_began() -> None:
    first = judge_lane(turned(4), START)
    again = judge_lane(turned(4), START + HOUR, previous=first)
    assert again.since == START
    assert again.standing is first.standing
    recovered = judge_lane(seen([Sign.INBOX] * 20, until=START + 3 * DAY), START + 3 * DAY, previous=again)
    assert recovered.since == START + 3 * DAY


def test_one_receivers_mood_is_not_the_mailboxs_fault() -> None:
    verdict = judge_mailbox({"a": turned(10), "b": good(20), "c": good(20)}, START)
    assert verdict.standing is Standing.SOUND
    assert "1 of 3 lanes braked by themselves" in verdict.reason


def test_what_most_lanes_share_is_the_mailboxs_fault() -> None:
    verdict = judge_mailbox({"a": turned(10), "b": turned(10), "c": good(20)}, START)
    assert verdict.standing in (Standing.SLOWED, Standing.HALTED)


def test_one_receiver_or_one_mailbox_does_not_brake_the_domain() -> None:
    lanes = {(mailbox, receiver): good(20) for mailbox in range(3) for receiver in "abc"}
    against_one = {**lanes, (0, "a"): turned(9), (1, "a"): turned(9), (2, "a"): turned(9)}
    assert judge_domain(against_one, START).standing is Standing.SOUND
    everywhere = {lane: turned(9) for lane in lanes}
    assert judge_domain(everywhere, START).standing is Standing.HALTED


@given(st.lists(SIGNS, min_size=1, max_size=50), st.integers(0, 49))
def test_more_spam_never_gives_a_better_standing(signs: list[Sign], where: int) -> None:
    where %= len(signs)
    worse = seen([*signs[:where], Sign.SPAM, *signs[where + 1 :]])
    better = seen([*signs[:where], Sign.INBOX, *signs[where + 1 :]])
    assert judge_lane(worse, START).standing.gravity >= judge_lane(better, START).standing.gravity


@given(st.lists(SIGNS, min_size=1, max_size=50), st.integers(0, 49))
def test_more_spam_never_lets_a_lane_grow_faster(signs: list[Sign], where: int) -> None:
    where %= len(signs)
    worse = judge_lane(seen([*signs[:where], Sign.SPAM, *signs[where + 1 :]]), START)
    better = judge_lane(seen([*signs[:where], Sign.INBOX, *signs[where + 1 :]]), START)
    assert LEAST <= worse.growth <= better.growth <= GROWTH


def test_a_lane_learns_to_grow_slowly_where_one_in_ten_goes_to_spam_and_fast_where_one_in_a_hundred_does() -> None:
    growth = [judge_lane(seen(([Sign.INBOX] * good + [Sign.SPAM]) * 10), START).growth for good in (9, 99)]
    assert growth[0] < 0.05
    assert growth[1] > 0.2


def test_what_follows_no_volume_takes_nothing_of_the_growth() -> None:
    lost = ([Sign.INBOX] * 5 + [Sign.MISSING, Sign.MOVED]) * 5
    assert judge_lane(seen(lost), START).growth == GROWTH


@given(st.lists(SIGNS, max_size=60))
def test_after_any_history_good_findings_give_back_all_of_the_growth(signs: list[Sign]) -> None:
    assert judge_lane(seen([*signs, *[Sign.INBOX] * 100]), START).growth == GROWTH


@given(st.lists(SIGNS, max_size=60))
def test_after_any_history_good_findings_make_a_lane_sound(signs: list[Sign]) -> None:
    after = seen([*signs, *[Sign.INBOX] * 25], every=8 * HOUR)
    assert judge_lane(after, START).standing is Standing.SOUND


@given(st.floats(0, 500), st.booleans(), st.floats(0, 1))
def test_a_graver_standing_never_carries_more(before: float, thin: bool, hunger: float) -> None:
    order = (Standing.HALTED, Standing.SLOWED, Standing.WATCHED)
    volumes = [next_volume(before, standing, thin=False, hunger=hunger) for standing in order]
    volumes.append(next_volume(before, Standing.SOUND, thin=False, hunger=hunger))
    assert all(less <= more + 1e-9 for less, more in pairwise(volumes))


@given(st.floats(ASK, 500), st.floats(0, 1))
def test_doubt_holds_and_thin_evidence_follows_slowly(before: float, hunger: float) -> None:
    assert next_volume(before, Standing.WATCHED, thin=False, hunger=hunger) == before
    grown = next_volume(before, Standing.WATCHED, thin=True, hunger=hunger)
    assert grown == pytest.approx(max(before + 1, before * 1.2))


def test_a_braked_lane_falls_by_steps_and_never_to_nothing() -> None:
    volume, fallen = 40.0, []
    for _ in range(12):
        volume = next_volume(volume, Standing.SLOWED, thin=False, hunger=1.0)
        fallen.append(volume)
    assert fallen[:3] == pytest.approx([28, 19.6, 13.72])
    assert fallen[-1] == ASK
    assert next_volume(0.0, Standing.HALTED, thin=False, hunger=1.0) == PROBE


def test_the_way_back_is_quick_to_what_the_receiver_is_used_to_and_as_learned_past_that() -> None:
    volume, days = ASK, []
    for _ in range(40):
        volume = next_volume(
            volume, Standing.SOUND, thin=False, hunger=1.0, headroom=Headroom(used_to=16.0, growth=0.04)
        )
        days.append(volume)
    back = next(day for day, reached in enumerate(days, start=1) if reached >= 16)
    past = next(day for day, reached in enumerate(days, start=1) if reached >= 20)
    assert back <= 9
    assert past >= back + 5
    assert all(after <= max(before * 1.4, before + 2) + 1e-9 for before, after in pairwise(days))


def test_a_halted_lane_asks_ever_more_rarely_and_never_less_than_every_four_days() -> None:
    since, probes = START.date(), list[date]()
    for days in range(1, 30):
        if is_probe_day(since, probes, since + days * DAY):
            probes.append(since + days * DAY)
    assert [(probe - since).days for probe in probes] == [2, 4, 7, 11, 15, 19, 23, 27]


def test_appetite_goes_with_the_inbox_share() -> None:
    assert [appetite(ratio) for ratio in (None, 1.0, 0.94, 0.86, 0.2)] == [1, 1, 1, 0, 0]
    assert appetite(0.90) == pytest.approx(0.5)


def test_what_a_standing_keeps_falls_with_its_gravity() -> None:
    assert [kept(standing) for standing in Standing] == [1.0, 1.0, 0.7, 0.0]


def test_a_mailbox_whose_sound_lanes_are_few_is_thin_not_guilty() -> None:
    verdict: Verdict = judge_mailbox({"a": turned(10), "b": good(3)}, START)
    assert (verdict.standing, verdict.thin) == (Standing.WATCHED, True)
    assert replace(verdict, thin=False) != verdict
