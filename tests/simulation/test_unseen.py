"""In worlds drawn at random the control law keeps what it promises: it was fitted to none of them."""

import pytest

from tests.simulation.worlds import drawn
from warmup.cli.simulation.crew import crew
from warmup.cli.simulation.measures import Measures, measures_of
from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.trial import Trial
from warmup.policy.ramp import ramp_named
from warmup.world import World


def judged(world: World, ramp: str, *controllers: str, mailboxes: int = 4) -> list[Measures]:
    given = Setting(world=world, mailboxes=mailboxes, days=90, seed=1)
    trials = [Trial(ramp=ramp_named(ramp), controller=by, target=40) for by in controllers]
    with crew(1, told=lambda _: None) as hands:
        accounts = hands.accounts(given, trials)
    return [
        measures_of(account, ramp=ramp, controller=trial.controller, target=40, has_events=bool(world.events))
        for account, trial in zip(accounts, trials, strict=True)
    ]


@pytest.mark.parametrize("number", [100, 101, 102, 103, 104, 105])
def test_where_the_blind_ramp_lands_in_spam_ours_does_not_and_elsewhere_it_is_as_quick(number: int) -> None:
    ours, blind = judged(drawn(number), "standard", "adaptive", "blind")
    if blind.spam_share > 0.05:
        assert ours.spam_share <= 0.4 * blind.spam_share
        assert ours.value > blind.value
    else:
        assert ours.spam_share <= blind.spam_share + 0.01
        assert ours.inbox >= 0.75 * blind.inbox


@pytest.mark.parametrize("number", [200, 201, 202, 203])
def test_a_hard_turn_is_braked_within_two_days(number: int) -> None:
    (ours,) = judged(drawn(number, shock=7.0), "standard", "adaptive")
    assert ours.braked_within_days is not None
    assert ours.braked_within_days.p95 is not None
    assert ours.braked_within_days.p95 <= 2
