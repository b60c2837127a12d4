"""Which receiver gets which part, and how many seeds that takes."""

import math

from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.mix import OTHER, WORLD, seeds_missing, weights

names = st.sampled_from(["gmail", "outlook", "yahoo", "own.test", "two.test"])
counts = st.dictionaries(names, st.integers(1, 30))
mixes = st.dictionaries(st.one_of(names, st.just(OTHER)), st.floats(0, 100), max_size=4)


@given(counts, mixes)
def test_every_weight_is_above_nothing_and_belongs_to_a_seed_or_to_what_was_asked_for(
    seeds: dict[str, int], mix: dict[str, float]
) -> None:
    found = weights(seeds, mix)
    assert all(weight > 0 for weight in found.values())
    assert list(found) == sorted(found)
    assert set(found) <= set(seeds) | {name for name, part in mix.items() if part > 0}


def test_the_worlds_mix_holds_only_where_there_are_seeds() -> None:
    assert weights({"gmail": 1, "outlook": 9}) == {"gmail": WORLD["gmail"], "outlook": WORLD["outlook"]}
    assert math.isclose(sum(WORLD.values()), 100)


def test_receivers_nobody_names_share_their_part_by_their_seeds() -> None:
    found = weights({"a.test": 3, "b.test": 1, "gmail": 5})
    assert found["a.test"] == 3 * found["b.test"]
    assert math.isclose(found["a.test"] + found["b.test"], WORLD[OTHER])
    assert weights({"a.test": 3, "b.test": 1}, {"gmail": 0.0, OTHER: 8}) == {"a.test": 6, "b.test": 2}


def test_a_receiver_that_was_asked_for_is_a_lane_without_seeds_and_one_left_out_is_none() -> None:
    assert weights({"outlook": 3, "yahoo": 3}, {"gmail": 50, "outlook": 50}) == {"gmail": 50, "outlook": 50}


@given(counts, st.dictionaries(names, st.floats(0, 400)), st.integers(1, 9))
def test_with_the_missing_seeds_added_every_volume_fits_and_with_one_less_it_does_not(
    seeds: dict[str, int], volumes: dict[str, float], daily: int
) -> None:
    missing = seeds_missing(volumes, seeds, seed_daily=daily)
    for receiver, volume in volumes.items():
        there = seeds.get(receiver, 0) + missing.get(receiver, 0)
        assert there * daily >= volume - 1e-6
        if receiver in missing:
            assert (there - 1) * daily < volume
