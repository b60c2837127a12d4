"""Ramps climb by their own slope to the target and never above it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.ramp import RAMP_NAMES, Auto, Geometric, Linear, Ramp, RampUnknown, Table, ramp_named

RAMPS: st.SearchStrategy[Ramp] = st.one_of(
    st.builds(
        lambda start, step, more: Linear(start=start, step=step, limit=start + more),
        st.integers(1, 50),
        st.integers(1, 20),
        st.integers(0, 500),
    ),
    st.builds(
        lambda start, growth, more: Geometric(start=start, growth=growth, limit=start + more),
        st.integers(1, 50),
        st.floats(1.01, 3.0),
        st.integers(0, 500),
    ),
    st.builds(lambda start, more: Auto(start=start, limit=start + more), st.integers(1, 50), st.integers(0, 500)),
    st.lists(st.integers(1, 200), min_size=1, max_size=20).map(lambda levels: Table(levels=tuple(sorted(levels)))),
)


@given(RAMPS, st.integers(1, 400), st.none() | st.integers(1, 2000))
def test_a_ramp_never_falls_and_never_passes_its_limit(ramp: Ramp, level: int, target: int | None) -> None:
    ramp = ramp.towards(target)
    assert 1 <= ramp.ceiling(level) <= ramp.ceiling(level + 1) <= ramp.limit
    assert target is None or ramp.limit == target


@given(RAMPS, st.integers(1, 2000))
def test_every_ramp_arrives_at_its_target(ramp: Ramp, target: int) -> None:
    assert ramp.towards(target).ceiling(3000) == target


@given(RAMPS, st.integers(1, 60))
def test_a_target_beyond_the_end_changes_nothing_before_it(ramp: Ramp, level: int) -> None:
    longer = ramp.towards(ramp.limit + 100)
    if ramp.ceiling(level + 1) < ramp.limit:
        assert longer.ceiling(level) == ramp.ceiling(level)


def test_auto_has_no_calendar_and_blind_it_would_be_the_steepest_ramp() -> None:
    auto = ramp_named("auto").towards(60)
    assert [auto.ceiling(level) for level in (1, 2, 99)] == [5, 60, 60]
    assert [auto.calendar.ceiling(day) for day in (1, 2, 3, 99)] == [5, 7, 9, 60]
    assert ramp_named("fast").calendar == ramp_named("fast")


def test_the_presets_are_those_of_the_field() -> None:
    assert [ramp_named("standard").ceiling(level) for level in (1, 2, 16, 99)] == [5, 6, 20, 20]
    assert [ramp_named("fast").ceiling(level) for level in (1, 2, 99)] == [7, 9, 28]
    assert [ramp_named("careful").ceiling(level) for level in (1, 2)] == [2, 4]
    assert [ramp_named("esp").ceiling(level) for level in (1, 2, 3, 4)] == [5, 7, 9, 12]
    assert ramp_named("standard").towards(40).ceiling(36) == 40


def test_an_unknown_ramp_is_answered_with_the_choices() -> None:
    with pytest.raises(RampUnknown, match="steep is no ramp; choose one of careful, standard, fast, esp, auto"):
        ramp_named("steep")
    assert len(RAMP_NAMES) == 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: Auto(start=6, limit=5),
        lambda: Linear(start=0, step=1, limit=5),
        lambda: Linear(start=6, step=1, limit=5),
        lambda: Linear(start=1, step=0, limit=5),
        lambda: Geometric(start=1, growth=1.0, limit=5),
        lambda: Table(levels=()),
        lambda: Table(levels=(3, 2)),
    ],
)
def test_a_ramp_that_does_not_climb_cannot_exist(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match="needs"):
        make()


def test_levels_count_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        ramp_named("standard").ceiling(0)
