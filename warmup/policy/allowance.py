"""How much may this mailbox send today? The one pure question, with one answer (DESIGN, "How much today").

The *ceiling* of the mailbox is the ramp at its level; a lane's is its share of that by the receivers' weights, and no
more than the ramp at the lane's own level. The lane's *volume* is what the control law makes of the day before
(policy/brake), no more than its ceiling, its share of the domain's day at that receiver, and what its seeds can take;
`factor` is volume / ceiling. What is taken from a braked lane is not given to the others. The limit less the operator's
own traffic and the reserve is a wall for the sum. Both together, the day's warmup and the own traffic, keep to the
ramp's slope: they are no more than the ramp's ceiling, or than the fastest growth on the most of the last week. So on
the day real sending begins warmup gives way, and receivers see no jump. Every answer names what capped it.

Whole messages are dealt out by date, without a die: first the ceilings, so that they add up, then each lane's volume
for itself. So a lane of less than a message a day gets its turn, and one lane's brake moves no message of another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from warmup.policy.brake import PROBE, Verdict, appetite, is_probe_day, kept, next_volume
from warmup.policy.fate import Cap
from warmup.policy.headroom import GROWTH, headroom
from warmup.policy.level import DayRecord, LaneDay, lane_level, last_active, level
from warmup.policy.mailbox import MailboxId
from warmup.policy.pace import paced
from warmup.policy.quota import reserve
from warmup.policy.ramp import FASTEST, Ramp
from warmup.policy.standing import Standing, worst

DOMAIN_START: Final = 20.0
"""What receivers take from a domain without judging its volume (FACTS.md: about 20 clean messages make one warm)."""

_DOMAIN_MEMORY: Final = timedelta(days=7)
_SLOPE_MEMORY: Final = timedelta(days=7)
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_ALMOST: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainView:
    """The domain at one receiver: `volumes` (date, messages accepted) before the date; `rank` 0 is its oldest."""

    volumes: tuple[tuple[date, int], ...]
    mailboxes: int
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """One lane before the date: its weight in the mix, what was judged, its last days, and its seeds' room today.

    `pace` is the receiver's default speed (policy/pace), (): none is known.
    """

    provider: str
    weight: float
    verdict: Verdict | None
    history: tuple[LaneDay, ...]
    seeds: int
    domain: DomainView | None = None
    pace: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxView:
    """One mailbox before the date. `own` is its own traffic of the last 24 hours, None where it could not be read.

    `first_level` is where its ramp begins: above 1 where it was sending already when it was enrolled.
    """

    mailbox_id: MailboxId
    date: date
    ramp: Ramp
    target: int | None
    limit: int
    own: int | None
    reserve_ratio: float = 0.1
    verified: bool = True
    paused: bool = False
    history: tuple[DayRecord, ...]
    first_level: int = 1
    lanes: tuple[LaneView, ...]
    mailbox: Verdict | None = None
    domain: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneAllowance:
    """What a lane may send; `ceiling` · `factor` is its volume before it was made whole."""

    provider: str
    level: int
    ceiling: float
    factor: float
    target: int
    standing: Standing
    thin: bool
    capped_by: Cap | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The answer: `ceiling` is the ramp alone, `target` what may be sent, the sum of the lanes' targets."""

    ceiling: int
    target: int
    level: int
    capped_by: Cap | None
    reason: str
    lanes: tuple[LaneAllowance, ...]


@dataclass(frozen=True, slots=True)
class _Bound:
    """Something that holds a lane's volume down, in messages, and how to say it."""

    volume: float
    cap: Cap
    reason: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A lane's answer and its volume, not yet whole."""

    lane: LaneAllowance
    volume: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Footing:
    """How a lane stands: the worst of lane, mailbox and domain, and the verdict that says so."""

    standing: Standing
    thin: bool
    hunger: float
    verdict: Verdict | None
    cooling: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """What is open to a lane before the control law is asked: its level, its whole ceiling, and what bounds it."""

    level: int
    ceiling: int
    footing: _Footing
    bounds: tuple[_Bound, ...]

    @classmethod
    def of(cls, lane: LaneView, share: float, view: MailboxView) -> "_Open":
        # What was sent before enrolment counts for the lanes there are then; a receiver added later starts at day 1.
        reached = lane_level(lane.history, today=view.date, begin=1 if view.history else view.first_level)
        footing = _footing(lane, view)
        ramp = view.ramp.towards(view.target)
        pace = paced(lane.pace, ramp.limit * lane.weight / sum(each.weight for each in view.lanes), reached)
        own = min(float(ramp.ceiling(reached)), pace) if lane.pace else float(ramp.ceiling(reached))
        bounds = [
            _Bound(share, Cap.RAMP, "its share of the ramp"),
            _Bound(own, Cap.LANE, f"the lane is at level {reached}"),
            _Bound(lane.seeds, Cap.SEEDS, f"seeds at {lane.provider} can take {lane.seeds}"),
        ]
        if lane.domain is not None:
            part = _domain_share(lane.domain, view.date, hunger=footing.hunger)
            bounds.append(_Bound(part, Cap.DOMAIN, "its share of the domain's day"))
        ceiling = math.ceil(min(share, own) - _ALMOST)
        return cls(level=reached, ceiling=ceiling, footing=footing, bounds=tuple(bounds))

    @property
    def volume(self) -> float:
        """Messages a day."""
        return max(0.0, min(bound.volume for bound in self.bounds))

    def within(self, volume: float, cap: Cap, reason: str) -> "_Open":
        """The same, bounded further."""
        return replace(self, bounds=(*self.bounds, _Bound(volume, cap, reason)))


def allowance(view: MailboxView) -> Allowance:
    """How much the mailbox may send on the view's date."""
    reached = level(view.history, today=view.date, begin=view.first_level)
    ceiling = view.ramp.towards(view.target).ceiling(reached)
    room, wall = _room(view, ceiling)
    shares = _shares(ceiling, view)
    open_to = [_Open.of(lane, share, view) for lane, share in zip(view.lanes, shares, strict=True)]
    total = sum(each.volume for each in open_to)
    squeeze = min(1.0, room / total) if total > 0 else 1.0
    if view.verified and not view.paused and squeeze < 1:
        # What the limit took is recorded as not allowed: the day it is lifted is no jump either. It is shared out
        # before anybody is braked: what a braked lane leaves of it is not given to others.
        open_to = [each.within(each.volume * squeeze, wall, _said(wall, view)) for each in open_to]
    parts = [_lane(lane, each, view) for lane, each in zip(view.lanes, open_to, strict=True)]
    targets = _within(room, _whole(shares, parts, view), view)
    lanes = tuple(replace(part.lane, target=target) for part, target in zip(parts, targets, strict=True))
    answer = Allowance(
        ceiling=ceiling, target=sum(targets), level=reached, capped_by=Cap.RAMP, reason="the ramp", lanes=lanes
    )
    walled = not view.verified or view.paused or any(lane.capped_by is wall for lane in lanes)
    lost = [share - part.volume for share, part in zip(shares, parts, strict=True)]
    return _capped(answer, lost, view, wall if walled else None)


def _shares(ceiling: int, view: MailboxView) -> list[float]:
    """Each lane's part of the ceiling, by weight."""
    total = sum(lane.weight for lane in view.lanes)
    return [ceiling * lane.weight / total for lane in view.lanes]


def _lane(lane: LaneView, open_to: "_Open", view: MailboxView) -> _Part:
    footing, ceiling = open_to.footing, open_to.ceiling
    bounds = [*open_to.bounds, *_control(lane, footing, view.date)]
    tightest = min(bounds, key=lambda bound: bound.volume)
    volume = max(0.0, tightest.volume)
    # A halted lane keeps nothing of its volume; what it sends after all is its probe.
    factor = volume / ceiling if ceiling and footing.standing is not Standing.HALTED else 0.0
    allowed = LaneAllowance(
        provider=lane.provider,
        level=open_to.level,
        ceiling=ceiling,
        factor=factor,
        target=0,
        standing=footing.standing,
        thin=footing.thin,
        capped_by=tightest.cap,
        reason=tightest.reason,
    )
    return _Part(allowed, volume)


def _footing(lane: LaneView, view: MailboxView) -> _Footing:
    verdicts = [verdict for verdict in (lane.verdict, view.mailbox, view.domain) if verdict is not None]
    # A lane nothing is known of is watched, or worse where its mailbox or domain is.
    unknown = () if lane.verdict else (Standing.WATCHED,)
    standing = worst((*(verdict.standing for verdict in verdicts), *unknown))
    gravest = [verdict for verdict in verdicts if verdict.standing is standing]
    return _Footing(
        standing=standing,
        thin=lane.verdict is None or any(verdict.thin for verdict in gravest),
        hunger=appetite(lane.verdict.inbox_ratio if lane.verdict else None),
        verdict=gravest[0] if gravest else None,
        cooling=standing is Standing.HALTED and not _may_probe(lane.history, gravest, view.date),
    )


def _may_probe(history: Sequence[LaneDay], gravest: Sequence[Verdict], today: date) -> bool:
    since = max(verdict.since for verdict in gravest).date()
    probes = [day.date for day in history if day.date > since and day.target > 0 and day.standing is Standing.HALTED]
    return is_probe_day(since, probes, today)


def _control(lane: LaneView, footing: _Footing, today: date) -> list[_Bound]:
    """What the control law makes of the lane's last day; nothing before its first, unless it is braked already."""
    said = footing.verdict.reason if footing.verdict else "nothing seen yet"
    reason = f"{footing.standing}: {said}"
    cap = Cap.LANE if footing.standing is Standing.SOUND else Cap.STANDING
    last = last_active(lane.history, today=today)
    if footing.cooling:
        return [_Bound(0.0, cap, reason)]
    if last is not None:
        room = headroom(lane.history, today=today)
        if lane.verdict is not None:
            room = room.within(lane.verdict.growth)
        volume = next_volume(last.volume, footing.standing, thin=footing.thin, hunger=footing.hunger, headroom=room)
        return [_Bound(volume, cap, reason)]
    return [_Bound(PROBE, cap, reason)] if kept(footing.standing) < 1 else []


def _domain_share(domain: DomainView, today: date, *, hunger: float) -> float:
    """This mailbox's part of what the domain may send to the receiver, the oldest first with what does not divide."""
    recent = [volume for on, volume in domain.volumes if on >= today - _DOMAIN_MEMORY]
    budget = max(DOMAIN_START, (1 + hunger * GROWTH) * max(recent, default=0))
    each, left = divmod(int(budget), max(1, domain.mailboxes))
    return float(each + (domain.rank < left))


def _room(view: MailboxView, ceiling: int) -> tuple[int, Cap]:
    """What limit and slope leave beside own traffic and the reserve; 0 for a mailbox that does not send."""
    if not view.verified:
        return 0, Cap.UNVERIFIED
    if view.paused:
        return 0, Cap.PAUSED
    own = view.own or 0
    room = max(0, view.limit - own - reserve(view.limit, view.reserve_ratio))
    # A day planned up to the wall itself would wait for yesterday's messages to leave the window, and lapse.
    room -= max(1, round(math.sqrt(room) / 3)) if room > 1 else 0
    slope = _slope(view, ceiling)
    if own and slope is not None and slope - own < room:
        return max(0, slope - own), Cap.OWN_TRAFFIC
    return room, Cap.OWN_TRAFFIC if own else Cap.LIMIT


def _slope(view: MailboxView, ceiling: int) -> int | None:
    """The most that warmup and own traffic may come to together; None of a mailbox that never sent: nothing jumps."""
    week = [record for record in view.history if record.date >= view.date - _SLOPE_MEMORY]
    if not week:
        return None
    used_to = max(record.accepted + record.own for record in week)
    return max(ceiling, int(used_to * FASTEST + _ALMOST), used_to + 2)


def _whole(shares: Sequence[float], parts: Sequence[_Part], view: MailboxView) -> list[int]:
    """Whole messages: each lane's fraction of one comes due on some dates and not on others."""
    turn = (view.date.toordinal() + view.mailbox_id * _GOLDEN) * _GOLDEN % 1
    dealt, behind, targets = 0, 0.0, []
    for index, (share, part) in enumerate(zip(shares, parts, strict=True)):
        behind += share
        upto = int(behind + turn + _ALMOST)
        if part.volume >= share - _ALMOST:
            targets.append(upto - dealt)
        else:
            # A turn of its own, or all braked lanes of one mailbox would send on the same dates.
            targets.append(min(upto - dealt, int(part.volume + (turn + index * _GOLDEN) % 1 + _ALMOST)))
        dealt = upto
    return targets


def _within(room: int, targets: list[int], view: MailboxView) -> list[int]:
    """No more than the room; what is too much is taken message by message from the fullest lane."""
    kept_back = list(targets)
    while sum(kept_back) > room:
        fullest = max(range(len(kept_back)), key=lambda index: (kept_back[index] / view.lanes[index].weight, index))
        kept_back[fullest] -= 1
    return kept_back


def _capped(answer: Allowance, lost: Sequence[float], view: MailboxView, wall: Cap | None) -> Allowance:
    """The answer with what capped it: the wall where there is one, else what took most from a lane (`lost`)."""
    if wall is not None:
        return replace(answer, capped_by=wall, reason=_said(wall, view))
    if not answer.lanes:
        return replace(answer, capped_by=Cap.SEEDS, reason="no seeds to write to")
    most = max(range(len(lost)), key=lost.__getitem__)
    if answer.target >= answer.ceiling or lost[most] < _ALMOST:
        return answer
    lane = answer.lanes[most]
    return replace(answer, capped_by=lane.capped_by, reason=f"{lane.provider}: {lane.reason}")


def _said(wall: Cap, view: MailboxView) -> str:
    """A wall in words."""
    words = {
        Cap.UNVERIFIED: "never logged in yet",
        Cap.PAUSED: "paused",
        Cap.LIMIT: f"the limit of {view.limit} in 24 hours, less the reserve",
        Cap.OWN_TRAFFIC: f"{view.own} own messages of the limit of {view.limit}, and both together keep the slope",
    }
    return words[wall]
