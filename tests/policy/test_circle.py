"""The pure circle against modelled receivers: allowance, placement, evidence, verdict, and allowance again.

By the day, seeded, without a ledger, driven as `warmup simulate` drives it.
"""

from dataclasses import replace

import pytest

from warmup.cli.simulation.circle import Circle
from warmup.cli.simulation.course import course_of
from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.tally import Tally
from warmup.policy.allowance import Allowance
from warmup.policy.ramp import ramp_named
from warmup.policy.standing import Standing
from warmup.world import Event, Receiver, World, built_in

BRAKED = (Standing.SLOWED, Standing.HALTED)

Lane = tuple[int, str]


class Played:
    """Some mailboxes in a world; `days[n][mailbox, receiver]` is what happened on day n (from 0)."""

    def __init__(self, world: World, days: int, *, seed: int, mailboxes: int, ramp: str, target: int | None) -> None:
        setting = Setting(world=world, mailboxes=mailboxes, days=days, seed=seed)
        self.receivers = setting.receivers
        self.lanes: list[Lane] = [(box, receiver) for box in range(mailboxes) for receiver in self.receivers]
        self.days: list[dict[Lane, Tally]] = [{} for _ in range(days)]
        self.plans: list[list[Allowance]] = [[] for _ in range(days)]
        for boxes in setting.domains():
            circle = Circle(setting, boxes, ramp=ramp_named(ramp), target=target)
            course = course_of(setting, boxes, circle)
            lanes = [(box, receiver) for box in boxes for receiver in self.receivers]
            for number, tallies in enumerate(course.days):
                self.days[number].update(zip(lanes, tallies, strict=True))
                self.plans[number] += circle.plans[number]

    def standings(self, lane: Lane) -> list[Standing]:
        """The gravest of each day."""
        return [day[lane].standing or Standing.WATCHED for day in self.days]


def played(
    world: World, days: int, *, seed: int, mailboxes: int, ramp: str = "fast", target: int | None = None
) -> Played:
    return Played(world, days, seed=seed, mailboxes=mailboxes, ramp=ramp, target=target)


def calm(name: str, base_spam: float) -> Receiver:
    return replace(built_in("turning").receivers[0], name=name, base_spam=base_spam)


def turning_on_one(base_spam: float) -> World:
    """Three receivers; the first turns against the first mailbox of three on day 10, for four days."""
    return World(
        name="demo",
        receivers=tuple(calm(name, base_spam) for name in ("north", "south", "west")),
        events=(Event(day=10, days=4, shock=6.0, share=1 / 3, receiver="north"),),
    )


@pytest.mark.parametrize("seed", range(20))
def test_one_receivers_turn_brakes_one_lane_and_passes(seed: int) -> None:
    circle = played(turning_on_one(0.01 if seed % 2 else 0.02), 21, seed=seed, mailboxes=3)
    turned = (0, "north")
    standings = circle.standings(turned)
    assert circle.days[9][turned].target >= 4
    assert standings[8] is Standing.SOUND
    assert any(standing in BRAKED for standing in standings[9:11])
    assert standings[20] is Standing.SOUND
    for lane in circle.lanes:
        if lane != turned:
            assert not set(circle.standings(lane)) & set(BRAKED), lane
    for box in (1, 2):
        sums = [sum(day[box, receiver].sent for receiver in circle.receivers) for day in circle.days]
        assert sums[-1] >= 2 * sums[0]


def test_where_receivers_are_gentle_everybody_reaches_the_target_unbraked() -> None:
    circle = played(built_in("gentle"), 32, seed=4, mailboxes=6, ramp="standard")
    for lane in circle.lanes:
        assert not set(circle.standings(lane)) & set(BRAKED)
        assert circle.days[-1][lane].sent == 20
    reached = next(number for number, day in enumerate(circle.days) if day[0, "gentle"].target == 20)
    assert reached <= 17


@pytest.mark.parametrize("seed", range(4))
def test_a_turn_against_everybody_is_braked_in_two_days_and_recovered_from(seed: int) -> None:
    world = World(name="turn", receivers=(calm("r", 0.02),), events=(Event(day=15, days=8, shock=6.0),))
    circle = played(world, 50, seed=seed, mailboxes=3, ramp="standard")
    for lane in circle.lanes:
        assert any(standing in BRAKED for standing in circle.standings(lane)[14:16])
        assert circle.standings(lane)[-1] is Standing.SOUND
        assert circle.days[-1][lane].sent >= 16
        lost = sum(day[lane].spam for day in circle.days[14:22])
        assert lost <= 45, "blind, it would have been about 140"


def test_after_a_month_of_nothing_but_spam_a_lane_comes_back_to_its_target() -> None:
    world = World(name="dark", receivers=(calm("r", 0.01),), events=(Event(day=8, days=30, shock=12.0),))
    circle = played(world, 95, seed=2, mailboxes=2, ramp="standard")
    for lane in circle.lanes:
        dark = [day[lane].sent for day in circle.days[14:37]]
        assert 0 < sum(dark) <= 2 * len(dark)
        assert max(day[lane].sent for day in circle.days[-5:]) >= 16


def test_a_strict_receiver_gets_less_and_so_spam_does() -> None:
    circle = played(built_in("volume-shy"), 45, seed=3, mailboxes=4, ramp="fast", target=40)
    spam = sum(day[lane].spam for day in circle.days for lane in circle.lanes)
    accepted = sum(day[lane].sent for day in circle.days for lane in circle.lanes)
    assert spam / accepted < 0.25, "the blind ramp puts more than half of it in spam"
    assert accepted > 4 * 45, "one message a day is no victory"


def test_twenty_mailboxes_of_a_new_domain_climb_together() -> None:
    circle = played(built_in("new-domain"), 12, seed=1, mailboxes=20, ramp="fast")
    totals = [sum(day[lane].target for lane in circle.lanes) for day in circle.days]
    assert totals[0] <= 20
    assert max(totals) > 30
    assert all(after <= max(20, 1.4 * max(totals[: number + 1]) + 1) for number, after in enumerate(totals[1:]))


def test_no_day_is_above_the_ramp() -> None:
    circle = played(built_in("mixed"), 40, seed=7, mailboxes=3, ramp="standard", target=40)
    ramp = ramp_named("standard").towards(40)
    for number, plans in enumerate(circle.plans):
        for plan in plans:
            assert plan.target <= plan.ceiling <= ramp.ceiling(number + 1)
