"""What is to blame is named rightly and soon, and the innocent are left alone."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.planted import FIRST, PLANTED, planted
from warmup.policy.attribution import NOTHING, SURE, Suspect, Trial, causes, suspicions
from warmup.policy.retirement import Candidate, decisions

EACH = 40
"""Stories of each cause: 200 in all."""


def test_of_200_planted_causes_most_are_named_within_150_messages_and_few_innocents_retired() -> None:
    right, innocents, retired, runs = Counter[Suspect](), 0, 0, 0
    for number in range(EACH):
        for suspect in PLANTED:
            story = planted(suspect, random.Random(f"{suspect} {number}"))
            found = causes(story.trials)
            right[suspect] += bool(found) and (found[0].suspect, found[0].name) == (suspect, (story.name,))
            out = {one.candidate.name for one in decisions(story.trials, pools(story.trials), retired=frozenset())}
            innocents += len(story.innocents)
            retired += len(out & story.innocents)
            runs += bool(out & story.innocents)
    assert sum(right.values()) >= 0.85 * EACH * len(PLANTED), right
    assert min(right.values()) >= 0.8 * EACH, right
    assert retired <= 0.05 * innocents
    assert runs <= 0.05 * EACH * len(PLANTED)


def pools(trials: list[Trial]) -> dict[Candidate, str]:
    return {Candidate(Suspect.SEED, trial.seed): trial.receiver for trial in trials} | {
        Candidate(Suspect.GRAMMAR, trial.grammar): "en" for trial in trials
    }


def test_where_nothing_is_wrong_something_is_surely_named_no_oftener_than_promised() -> None:
    looks = [causes(planted(None, random.Random(f"calm {number}")).trials) for number in range(200)]
    sure = sum(any(cause.probability >= SURE for cause in look) for look in looks)
    assert sure <= (1 - NOTHING) / NOTHING * (1 - SURE) / SURE * len(looks)


def test_a_receivers_mood_retires_no_seed_where_a_rule_that_counts_retires_many() -> None:
    counted = ours = seeds = 0
    for number in range(20):
        story = planted(Suspect.RECEIVER, random.Random(f"mood {number}"), after=450)
        seeds += len(story.innocents)
        ours += len(decisions(story.trials, pools(story.trials), retired=frozenset()))
        tally, wrong = Counter(trial.seed for trial in story.trials), Counter[str]()
        for trial in story.trials:
            wrong[trial.seed] += trial.harm == 1
        # FACTS.md: content retired at 3 of at least 20, and at least 15 %.
        counted += sum(n >= 20 and wrong[seed] >= 3 and wrong[seed] >= 0.15 * n for seed, n in tally.items())
    assert ours == 0
    assert counted >= 0.1 * seeds


def trial(**changes: object) -> Trial:
    plain = Trial(day=FIRST, mailbox="ann@a.test", domain="a.test", receiver="r", seed="s", grammar="g", harm=0.0)
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_controls_that_nobody_befriends_are_no_bad_seeds() -> None:
    """Every control reads 40 % spam and every treated seed none, at all receivers: that is the gap, not a seed's."""
    rows = [
        trial(
            day=FIRST + timedelta(days=n // 40),
            receiver=f"r{n % 2}",
            seed=f"s{n % 20}@r{n % 2}",
            mailbox=f"m{n % 7}",
            domain=f"d{n % 7 % 2}",
            grammar=f"g{n % 11}",
            control=n % 20 < 4,
            harm=float(n % 20 < 4 and n % 5 < 2),
        )
        for n in range(400)
    ]
    assert not [cause for cause in causes(rows) if cause.suspect is Suspect.SEED and cause.name[0] >= "s4"]


def test_a_receiver_with_one_seed_is_blamed_and_the_seed_stays() -> None:
    rows = [
        trial(receiver=f"r{n % 3}", seed=f"s@r{n % 3}", mailbox=f"m{n % 4}", harm=float(n % 3 == 0)) for n in range(60)
    ]
    (cause,) = causes(rows)
    assert (cause.suspect, cause.name) == (Suspect.RECEIVER, ("r0",))


def test_a_mood_is_dated_and_known_to_be_over() -> None:
    rows = [
        trial(
            day=FIRST + timedelta(days=day),
            receiver=f"r{n % 3}",
            seed=f"s{n % 9}",
            mailbox=f"m{n % 4}",
            grammar=f"g{n % 5}",
            harm=float(n % 3 == 0 and 4 <= day < 7),
        )
        for day in range(12)
        for n in range(36)
    ]
    (cause,) = causes(rows)
    assert (cause.suspect, cause.name) == (Suspect.RECEIVER, ("r0",))
    assert (cause.since, cause.until) == (FIRST + timedelta(days=4), FIRST + timedelta(days=6))
    assert (cause.wrong, cause.messages, cause.rest_wrong) == (36, 36, 0)


def test_one_of_many_seeds_is_suspected_less_than_one_of_few() -> None:
    """The same messages to the same bad seed; only that the others went to fifty instead of five."""

    def suspected(others: int) -> float:
        rows = [
            trial(
                receiver=f"r{n % 2}",
                seed="bad" if n in (0, 20, 40) else f"s{n % others}",
                mailbox=f"m{n % 4}",
                grammar=f"g{n % 7}",
                harm=float(n in (0, 20)),
            )
            for n in range(100)
        ]
        return next(cause.probability for cause in suspicions(rows) if cause.name == ("bad",))

    assert suspected(5) > 1.2 * suspected(50) > 0


def test_two_causes_are_both_found() -> None:
    bad = {"s3": 0, "s7": 1}
    rng = random.Random(5)
    rows = [
        trial(
            day=FIRST + timedelta(days=n // 20),
            receiver=f"r{seed % 3}",
            seed=f"s{seed}",
            mailbox=f"m{rng.randrange(4)}",
            grammar=f"g{rng.randrange(9)}",
            harm=float(f"s{seed}" in bad),
        )
        for n in range(240)
        for seed in [n % 12]
    ]
    assert {cause.name for cause in causes(rows)} == {("s3",), ("s7",)}


names = st.sampled_from(["a", "b", "c"])
rows = st.lists(
    st.builds(
        Trial,
        day=st.integers(0, 6).map(lambda n: FIRST + timedelta(days=n)),
        mailbox=names,
        domain=names,
        receiver=names,
        seed=names,
        grammar=names,
        harm=st.sampled_from([0.0, 0.5, 1.0]),
        control=st.booleans(),
    ),
    max_size=40,
)


@given(rows)
def test_the_probabilities_of_one_look_are_a_share_of_one(trials: list[Trial]) -> None:
    found = suspicions(trials)
    assert all(0 <= cause.probability <= 1 for cause in found)
    assert sum(cause.probability for cause in found) <= 1 + 1e-9


@given(rows)
def test_what_is_found_went_worse_than_the_rest_and_is_counted_rightly(trials: list[Trial]) -> None:
    for cause in suspicions(trials):
        inside = [one for one in trials if cause.covers(one)]
        assert (cause.messages, cause.wrong) == (len(inside), sum(one.harm for one in inside))
        assert cause.messages + cause.rest == len(trials)
        assert cause.wrong * max(cause.rest, 1) > cause.rest_wrong * cause.messages or cause.rest == 0


@given(rows, st.randoms())
def test_order_and_names_change_nothing(trials: list[Trial], rng: random.Random) -> None:
    def shape(rows: list[Trial]) -> list[tuple[float, float, int]]:
        found = [(round(cause.probability, 9), cause.wrong, cause.messages) for cause in suspicions(rows)]
        return sorted(found)

    shuffled = rng.sample(trials, len(trials))
    renamed = [replace(one, seed=f"x{one.seed}", grammar=one.grammar[::-1] + "y") for one in shuffled]
    assert shape(trials) == shape(shuffled) == shape(renamed)


def test_two_sets_of_messages_of_equal_sums_are_two_sets() -> None:
    # Numbers 0, 4, 5 and 1, 2, 6 have the same count, sum and sum of squares.
    seeds = ["a", "b", "b", "c", "a", "a", "b", *"cccccccccccc"]
    trials = [trial(seed=seed, harm=float(seed != "c")) for seed in seeds]
    assert {cause.name for cause in suspicions(trials) if cause.messages == 3} == {("a",), ("b",)}


@given(rows)
def test_without_two_messages_gone_wrong_nothing_is_blamed(trials: list[Trial]) -> None:
    assert suspicions([replace(one, harm=0.0) for one in trials]) == ()
    assert suspicions([replace(one, harm=float(n == 0)) for n, one in enumerate(trials)]) == ()


@pytest.mark.parametrize("harm", [-0.1, 1.1])
def test_a_harm_is_a_share(harm: float) -> None:
    with pytest.raises(ValueError, match="harm"):
        trial(harm=harm)
