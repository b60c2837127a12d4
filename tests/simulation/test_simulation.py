"""The simulation decides by the steps' own functions, opponents by their rules, and measures judge as MODEL.md says."""

from dataclasses import replace

import pytest

import warmup.cli.simulation.circle as simulated
import warmup.steps.judge as judge_step
import warmup.steps.plan as plan_step
from warmup.cli.simulation.course import course_of
from warmup.cli.simulation.crew import crew
from warmup.cli.simulation.measures import Measures, account_of, measures_of, percentile
from warmup.cli.simulation.opponents import Blind, Notch, Stage, family
from warmup.cli.simulation.post import Learnt
from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.tally import Course, Tally
from warmup.cli.simulation.trial import Trial
from warmup.policy.evidence import Sign
from warmup.policy.ramp import Linear, ramp_named
from warmup.policy.standing import Standing
from warmup.world import Event, World, built_in

GENTLE = built_in("gentle")
RAMP = Linear(start=4, step=4, limit=40)


def setting(world: World = GENTLE, *, mailboxes: int = 1, days: int = 10) -> Setting:
    return Setting(world=world, mailboxes=mailboxes, days=days, seed=3)


def test_what_decides_is_what_the_steps_decide_with() -> None:
    assert vars(simulated)["allowance"] is vars(plan_step)["allowance"]
    for name in ("judge_lane", "judge_mailbox", "judge_domain"):
        assert vars(simulated)[name] is vars(judge_step)[name]


@pytest.mark.parametrize("controller", ["adaptive", "blind"])
def test_the_figures_are_the_same_on_any_number_of_processes(controller: str) -> None:
    given = setting(built_in("mixed"), mailboxes=9, days=60)
    trial = Trial(ramp=ramp_named("fast"), controller=controller, target=20)
    accounts = []
    for processes in (1, 2):
        with crew(10**6, processes=processes, told=lambda _: None) as hands:
            accounts.append(hands.accounts(given, [trial])[0])
    assert accounts[0] == accounts[1]


def test_a_mailbox_of_a_bigger_fleet_has_the_same_days() -> None:
    alone, many = setting(mailboxes=1), setting(mailboxes=5)
    days = [
        course_of(given, range(1), simulated.Circle(given, range(1), ramp=RAMP, target=40)).days
        for given in (alone, many)
    ]
    assert days[0] == days[1]


def test_blind_follows_the_calendar_and_deals_its_volume_out_by_weight() -> None:
    given = setting(built_in("mixed"), mailboxes=3)
    blind = Blind(given, range(3), ramp=RAMP)
    for day in range(1, 12):
        plan = blind.plan(day)
        for box in range(3):
            lanes = plan[box * 3 : box * 3 + 3]
            assert sum(lanes) == RAMP.ceiling(day)
            assert abs(lanes[0] - RAMP.ceiling(day) / 2) <= 1


def spam(at: float) -> Learnt:
    return Learnt(at, at, 0, 1, Sign.SPAM, control=False)


def test_notch_sends_three_quarters_for_two_days_and_stands_still_for_three() -> None:
    notch = Notch(setting(), range(1), ramp=RAMP)
    assert [notch.plan(day)[0] for day in (1, 2)] == [4, 8]
    notch.learn(spam(1440 + 700))
    assert [notch.plan(day)[0] for day in (3, 4, 5, 6)] == [6, 6, 8, 12]


def test_stage_climbs_only_when_all_was_accepted() -> None:
    stage = Stage(setting(), range(1), ramp=RAMP)
    assert stage.plan(1) == [4]
    stage.close(1, [Tally(target=4, sent=3)])
    assert stage.plan(2) == [4]
    stage.close(2, [Tally(target=4, sent=4)])
    assert stage.plan(3) == [8]


def test_the_family_of_hindsight_is_that_of_the_page() -> None:
    names = {named.name for named in family(40, 90)}
    for said in ("linear 2 +0.1 to 40", "linear 5 +3 to 40", "geometric 2 ×1.01 to 40", "geometric 5 ×1.4 to 40"):
        assert said in names
    assert any(name.endswith("to 14") for name in names)
    assert all(named.ramp.ceiling(90) <= 40 for named in family(40, 90))


def judged(world: World, days: list[Tally]) -> Measures:
    given = setting(world, days=len(days))
    account = account_of(given, Course(boxes=range(1), days=[[day] for day in days]), target=10)
    return measures_of(account, ramp="r", controller="adaptive", target=10, has_events=bool(world.events))


def day(inbox: int = 10, spam: int = 0, *, standing: Standing = Standing.SOUND, truth: float = 0.01) -> Tally:
    return Tally(
        target=inbox + spam, sent=inbox + spam, inbox=inbox, spam=spam, strangers=inbox + spam, stranger_spam=spam,
        true_spam=truth, standing=standing,
    )  # fmt: skip


def test_value_shares_and_days_to_target() -> None:
    told = judged(GENTLE, [day(2), day(4, 1), day(8), *[day()] * 6])
    value, share = 74 - 5 * 1, 1 / 75
    assert told.value == value
    assert told.spam_share == pytest.approx(share, abs=1e-6)
    assert told.worst_day_spam_share == pytest.approx(0.2)
    assert told.days_to_target.median == 6
    assert told.braked_within_days is None


def test_a_turn_is_braked_within_days_and_recovered_from() -> None:
    world = replace(GENTLE, events=(Event(day=4, days=3, shock=8.0),))
    turned = [day(), day(), day(), day(3, 7, truth=0.8), day(1, 2, truth=0.8, standing=Standing.HALTED)]
    back = [day(3, standing=Standing.SLOWED, truth=0.2), day(6), day(9)]
    told = judged(world, [*turned, *back])
    assert told.braked_within_days is not None
    assert told.braked_within_days.median == 2
    assert told.recovered_share == 1.0
    assert told.false_brakes_per_lane_week == 0
    lost = judged(world, [*turned, back[0]])
    assert lost.recovered_share == 0.0


def test_a_brake_on_a_harmless_day_is_false_and_counts_once() -> None:
    told = judged(GENTLE, [day(), day(standing=Standing.SLOWED), day(standing=Standing.SLOWED), *[day()] * 4])
    assert told.false_brakes_per_lane_week == 1.0


def test_a_percentile_among_those_who_never_arrive_is_none() -> None:
    assert percentile([3, None, 1, None], 0.5) == 3
    assert percentile([3, None, None], 0.5) is None
    assert percentile([], 0.5) is None
