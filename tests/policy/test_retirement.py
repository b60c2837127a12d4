"""Who is retired, who stays and who comes back."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.attribution import WINDOW, Suspect, Trial, causes
from warmup.policy.retirement import Candidate, decisions, spare

FIRST = date(2026, 3, 2)
BAD = Candidate(Suspect.SEED, "s0@r0")


def sent(days: int, *, seeds: int = 12, bad: frozenset[str] = frozenset({"s0@r0"}), skip: str = "") -> list[Trial]:
    """Twenty-four messages a day from four mailboxes to `seeds` seeds in turn; those in `bad` put them all away."""
    found = []
    for day in range(days):
        for n in range(24):
            seed = f"s{n % seeds}@r{n % 3}"
            if seed != skip:
                found.append(
                    Trial(
                        day=FIRST + timedelta(days=day),
                        mailbox=f"m{(n + day) % 4}",
                        domain=f"d{(n + day) % 2}",
                        receiver=f"r{n % 3}",
                        seed=seed,
                        grammar=f"g{(n * 5 + day) % 7}",
                        harm=float(seed in bad),
                    )
                )
    return found


def pools(trials: list[Trial]) -> dict[Candidate, str]:
    return {Candidate(Suspect.SEED, trial.seed): trial.receiver for trial in trials}


def test_a_bad_seed_is_retired_with_its_reason_and_once() -> None:
    trials = sent(4)
    (decision,) = decisions(trials, pools(trials), retired=frozenset())
    assert (decision.candidate, decision.retired) == (BAD, True)
    assert decision.reason.startswith("8 of 8 went wrong, 0 of 88 of all others")
    assert decisions(trials, pools(trials), retired=frozenset({BAD})) == ()


def test_two_messages_gone_wrong_retire_nobody() -> None:
    trials = sent(1)
    assert sum(trial.harm for trial in trials) == 2
    assert decisions(trials, pools(trials), retired=frozenset()) == ()


def test_it_comes_back_when_the_evidence_is_forgotten() -> None:
    early, late = sent(4), [trial for trial in sent(60, skip=BAD.name) if trial.day >= FIRST + timedelta(days=4)]
    for day in range(5, 60):
        today = FIRST + timedelta(days=day)
        known = [trial for trial in (*early, *late) if today - WINDOW < trial.day <= today]
        changes = decisions(known, pools(sent(1)), retired=frozenset({BAD}))
        if changes:
            assert [(change.candidate, change.retired) for change in changes] == [(BAD, False)]
            assert WINDOW.days - 4 <= day <= WINDOW.days + 4
            return
    pytest.fail("it never came back")


def test_a_receiver_keeps_most_of_its_seeds_whatever_they_do() -> None:
    bad = frozenset({"s0@r0", "s3@r0"})
    trials = sent(6, seeds=15, bad=bad)
    assert {cause.name[0] for cause in causes(trials)} == bad
    out = [change.candidate.name for change in decisions(trials, pools(trials), retired=frozenset())]
    assert len(out) == 1
    assert set(out) < bad


@given(st.integers(0, 1000))
def test_there_is_always_somebody_left(size: int) -> None:
    assert spare(size) <= max(0, size - 1)
    assert spare(size) <= max(1, size / 3)


def test_only_seeds_and_grammars_are_retired() -> None:
    with pytest.raises(ValueError, match="only seeds and grammars"):
        Candidate(Suspect.RECEIVER, "r0")
