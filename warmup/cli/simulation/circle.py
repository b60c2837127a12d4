"""The adaptive controller: our own circle over one domain's mailboxes, by the functions that the steps call.

It sees what the ledger would hold: what it planned, what was accepted, and findings once they are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from warmup.cli.simulation.memory import LaneMemory
from warmup.cli.simulation.post import Learnt
from warmup.cli.simulation.setting import Setting, date_of, instant
from warmup.cli.simulation.tally import Tally
from warmup.policy.allowance import Allowance, DomainView, LaneAllowance, LaneView, MailboxView, allowance
from warmup.policy.brake import Verdict, judge_domain, judge_lane, judge_mailbox, kept
from warmup.policy.evidence import Evidence
from warmup.policy.kin import related
from warmup.policy.level import DayRecord, LaneDay
from warmup.policy.mailbox import MailboxId
from warmup.policy.quota import LaneDay as LaneNow
from warmup.policy.ramp import Ramp
from warmup.policy.standing import Standing, worst

MEMORY_DAYS: Final = 60
"""How far back levels and volumes are read (steps/view)."""

DOMAIN_DAYS: Final = 8
"""And the domain's volumes: a day more than `allowance` remembers."""

SEED_ROOM: Final = 100_000
"""Seeds are not what caps a lane here: pairing is not simulated."""

NO_LIMIT: Final = 1_000_000


@dataclass(slots=True)
class _Lane:
    """One lane: what is known, how it was judged, and its planned days."""

    box: int
    provider: str
    weight: float
    memory: LaneMemory = field(default_factory=LaneMemory)
    verdict: Verdict | None = None
    days: list[LaneDay] = field(default_factory=list)
    is_news: bool = False


@dataclass(slots=True)
class _Box:
    """One mailbox."""

    number: int
    lanes: list[_Lane]
    verdict: Verdict | None = None
    plan: Allowance | None = None
    days: list[DayRecord] = field(default_factory=list)


class Circle:
    """Plans, learns and judges; a `course.Controller`. `plans[n]` are the allowances of day n + 1."""

    def __init__(self, setting: Setting, boxes: range, *, ramp: Ramp, target: int | None = None) -> None:
        self._ramp, self._target = ramp, target
        mix = list(zip(setting.receivers, setting.weights, strict=True))
        self._boxes = [_Box(number, [_Lane(number, name, weight) for name, weight in mix]) for number in boxes]
        self._lanes = [lane for box in self._boxes for lane in box.lanes]
        self._domain: Verdict | None = None
        self.plans: list[list[Allowance]] = []

    def plan(self, day: int) -> list[int]:
        """Every lane's target of the day, by `allowance`."""
        domains = self._domains()
        for rank, box in enumerate(self._boxes):
            box.plan = allowance(self._view(box, rank, day, domains))
        self.plans.append([box.plan for box in self._boxes if box.plan])
        return [lane.target for plan in self.plans[-1] for lane in plan.lanes]

    def learn(self, news: Learnt) -> None:
        """Keep it until the next look."""
        lane = self._lanes[news.lane]
        lane.memory.learn(news)
        lane.is_news = True

    def look(self, minutes: float) -> None:
        """Judge whatever there is news of, lanes before mailboxes before the domain; everything before a plan."""
        now, is_morning = instant(minutes), self._boxes[0].plan is None
        known = {key: lane.memory.evidence.by(now) for key, lane in enumerate(self._lanes) if lane.memory.is_begun}
        for box in self._boxes:
            if is_morning or any(lane.is_news for lane in box.lanes):
                self._judge(box, known, now)
        if known and (is_morning or any(lane.is_news for lane in self._lanes)):
            self._domain = judge_domain(known, now, previous=self._domain, interval=False)
        for lane in self._lanes:
            lane.is_news = False

    def room(self, lane: int, sent: int) -> int:
        """As the claim decides it (policy/quota)."""
        of, allowed = self._lanes[lane], self._allowed(lane)
        if of.verdict is None:
            return max(0, allowed.target - sent)
        standing = self.standing(lane)
        # As ledger/situation reads it: what a brake since the plan takes goes by the standings alone.
        now = LaneNow(
            standing_planned=allowed.standing,
            factor_planned=kept(allowed.standing),
            target=allowed.target,
            standing_now=standing,
            factor_now=kept(standing),
            sent=sent,
        )
        return now.room

    def standing(self, lane: int) -> Standing:
        """The worst of lane, mailbox and domain; watched where nothing is known."""
        of = self._lanes[lane]
        box = self._boxes[lane // len(self._boxes[0].lanes)]
        verdicts = [verdict for verdict in (of.verdict, box.verdict, self._domain) if verdict is not None]
        return worst(verdict.standing for verdict in verdicts) if verdicts else Standing.WATCHED

    def evidence(self, lane: int) -> Evidence:
        """What is known of the lane."""
        return self._lanes[lane].memory.evidence

    def close(self, day: int, tallies: list[Tally]) -> None:
        """Write the day down as the ledger does."""
        date, at = date_of(day), 0
        for box in self._boxes:
            assert box.plan is not None, "a day is planned before it is closed"
            taken = 0
            for lane, allowed in zip(box.lanes, box.plan.lanes, strict=True):
                taken += tallies[at].sent
                lane.days.append(
                    LaneDay(
                        date=date,
                        ceiling=allowed.ceiling,
                        factor=allowed.factor,
                        target=allowed.target,
                        accepted=tallies[at].sent,
                        standing=allowed.standing,
                        level=allowed.level,
                    )
                )
                at += 1
            box.days.append(
                DayRecord(
                    date=date,
                    ceiling=box.plan.ceiling,
                    target=box.plan.target,
                    accepted=taken,
                    level=box.plan.level,
                )
            )
            box.plan = None

    def _allowed(self, lane: int) -> LaneAllowance:
        lanes = len(self._boxes[0].lanes)
        plan = self._boxes[lane // lanes].plan
        assert plan is not None, "nothing is sent on a day without a plan"
        return plan.lanes[lane % lanes]

    def _judge(self, box: _Box, known: Mapping[int, Evidence], now: datetime) -> None:
        width = len(box.lanes)
        first = (box.number - self._boxes[0].number) * width
        mine = {at: known[first + at] for at in range(width) if first + at in known}
        named = {box.lanes[at].provider: evidence for at, evidence in mine.items()}
        for at, evidence in mine.items():
            lane = box.lanes[at]
            kin, others = related(named, lane.provider)
            lane.verdict = judge_lane(
                evidence,
                now,
                operator=kin,
                mailbox=others,
                domain=[other for key, other in known.items() if key % width == at and key != first + at],
                previous=lane.verdict,
                interval=False,
            )
        if mine:
            box.verdict = judge_mailbox(mine, now, previous=box.verdict, interval=False)

    def _view(self, box: _Box, rank: int, day: int, domains: Sequence[DomainView]) -> MailboxView:
        return MailboxView(
            mailbox_id=MailboxId(box.number + 1),
            date=date_of(day),
            ramp=self._ramp,
            target=self._target,
            limit=NO_LIMIT,
            own=0,
            history=tuple(box.days[-MEMORY_DAYS:]),
            lanes=tuple(
                LaneView(
                    provider=lane.provider,
                    weight=lane.weight,
                    verdict=lane.verdict,
                    history=tuple(lane.days[-MEMORY_DAYS:]),
                    seeds=SEED_ROOM,
                    domain=replace(domain, rank=rank),
                )
                for lane, domain in zip(box.lanes, domains, strict=True)
            ),
            mailbox=box.verdict,
            domain=self._domain,
        )

    def _domains(self) -> list[DomainView]:
        """The domain at each receiver: what its mailboxes together had accepted of late."""
        width = len(self._boxes[0].lanes)
        views = []
        for at in range(width):
            kin = [box.lanes[at].days[-DOMAIN_DAYS:] for box in self._boxes]
            volumes = tuple((days[0].date, sum(day.accepted for day in days)) for days in zip(*kin, strict=True))
            views.append(DomainView(volumes=volumes, mailboxes=len(self._boxes), rank=0))
        return views
