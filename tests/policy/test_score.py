"""One figure, its uncertainty, and what moved it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.evidence import Evidence, Finding, Sign, evidence_of
from warmup.policy.gap import halves
from warmup.policy.reputation import estimate
from warmup.policy.score import LaneFacts, Sightings, composite, day_told, lane_score, reasons, turn

NOW = datetime(2026, 3, 6, 18, tzinfo=UTC)
FRIDAY = NOW.date()


def seen(inbox: int, spam: int, *, control: bool = False) -> Evidence:
    """Spam spread evenly over so many findings of the last hours."""
    total = inbox + spam
    signs = [Sign.SPAM if (n + 1) * spam // total > n * spam // total else Sign.INBOX for n in range(total)]
    return evidence_of(
        Finding(at=NOW - timedelta(minutes=total - n), sign=sign, control=control) for n, sign in enumerate(signs)
    )


def facts(inbox: int, spam: int, objections: int = 0, complaints: int = 0) -> LaneFacts:
    return LaneFacts(
        estimate=estimate(seen(inbox, spam), NOW),
        tried=inbox + spam + objections,
        objections=objections,
        complaints=complaints,
    )


tallies = st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(0, 20))


@given(tallies)
def test_a_score_lies_in_its_interval_and_within_0_and_100(tally: tuple[int, int, int]) -> None:
    found = lane_score(facts(*tally))
    assert 0 <= found.lower <= found.score <= found.upper <= 100


@given(tallies)
def test_another_objection_never_raises_it(tally: tuple[int, int, int]) -> None:
    inbox, spam, objections = tally
    assert lane_score(facts(inbox, spam, objections + 1)).score < lane_score(facts(inbox, spam, objections)).score


@given(st.dictionaries(st.sampled_from("abcd"), tallies, min_size=1))
def test_the_whole_lies_between_its_lanes_and_knows_more_than_each(lanes: dict[str, tuple[int, int, int]]) -> None:
    found = composite({name: facts(*tally) for name, tally in lanes.items()})
    assert found is not None
    scores = [score.score for score in found.lanes.values()]
    assert min(scores) - 1e-9 <= found.whole.score <= max(scores) + 1e-9
    assert sum(found.shares.values()) == pytest.approx(1)
    widest = max(score.upper - score.lower for score in found.lanes.values())
    assert found.whole.upper - found.whole.lower <= widest + 1e-9


def test_the_formula_is_the_documents() -> None:
    about = replace(estimate(seen(20, 0), NOW), good=18.0, bad=2.0)
    found = lane_score(LaneFacts(estimate=about, tried=95, objections=5))
    assert found.score == pytest.approx(100 * 0.9 * (1 - 5.05 / 100))
    complained = lane_score(LaneFacts(estimate=about, tried=1000, objections=0, complaints=3))
    assert complained.score == pytest.approx(100 * 0.9 * (1 - 0.05 / 1005) * 0.5)


def test_two_complaints_or_few_messages_are_no_rate() -> None:
    assert lane_score(facts(60, 0, complaints=10)) == lane_score(facts(60, 0))
    assert lane_score(facts(150, 0, complaints=2)) == lane_score(facts(150, 0))
    assert lane_score(facts(150, 0, complaints=3)).score < lane_score(facts(150, 0)).score


def test_of_nothing_there_is_no_score() -> None:
    assert composite({}) is None
    with pytest.raises(ValueError, match="objections"):
        LaneFacts(estimate=estimate(Evidence(), NOW), tried=1, objections=2)


def test_the_reason_names_the_turn() -> None:
    course = [(FRIDAY - timedelta(days=n), Sightings(inbox=12)) for n in range(20, 3, -1)]
    course += [(FRIDAY - timedelta(days=n), Sightings(inbox=1, spam=3)) for n in (3, 2, 1)]
    before = composite({"outlook": facts(60, 0), "gmail": facts(60, 1)})
    now = composite({"outlook": facts(20, 20), "gmail": facts(60, 1)})
    assert now is not None
    (reason,) = reasons(now, before, {"outlook": course, "gmail": course}, FRIDAY)
    assert reason.startswith("outlook: 9 of 12 in spam since Tuesday (-")
    assert turn(course) == (FRIDAY - timedelta(days=3), Sightings(inbox=3, spam=9))


def test_a_lane_that_recovers_is_told_by_its_inbox() -> None:
    course = [(FRIDAY - timedelta(days=n), Sightings(inbox=1, spam=3)) for n in range(12, 4, -1)]
    course += [(FRIDAY - timedelta(days=n), Sightings(inbox=9, spam=n % 2)) for n in (4, 3, 2, 1)]
    now, before = composite({"outlook": facts(60, 1)}), composite({"outlook": facts(20, 20)})
    assert now is not None
    (reason,) = reasons(now, before, {"outlook": course}, FRIDAY)
    assert reason.startswith("outlook: 36 of 38 in the inbox since Monday (+")


def test_a_steady_lane_has_no_turn() -> None:
    course = [(FRIDAY - timedelta(days=n), Sightings(inbox=9, spam=n % 2)) for n in range(20, 0, -1)]
    assert turn(course)[0] == course[0][0]
    with pytest.raises(ValueError, match="needs a day"):
        turn([])


def test_days_are_told_by_name_within_a_week() -> None:
    assert day_told(date(2026, 3, 3), FRIDAY) == "Tuesday"
    assert day_told(date(2026, 2, 26), FRIDAY) == "2026-02-26"


def test_the_gap_is_treated_less_control_with_its_doubt() -> None:
    both = halves(seen(40, 0), seen(10, 10, control=True), NOW)
    assert both.gap is not None
    assert 0 < both.gap.lower < both.gap.ratio < both.gap.upper <= 1
    assert both.gap.ratio == pytest.approx(0.5, abs=0.1)
    alone = halves(seen(40, 0), Evidence(), NOW)
    assert (alone.control, alone.gap) == (None, None)


def test_sightings_of_a_day_have_an_interval_that_narrows() -> None:
    few, many = Sightings(inbox=9, spam=1).estimate, Sightings(inbox=90, spam=10).estimate
    assert few is not None
    assert many is not None
    assert few.lower_ratio < many.lower_ratio < many.inbox_ratio < many.upper_ratio < few.upper_ratio
    assert Sightings(objections=3).estimate is None
