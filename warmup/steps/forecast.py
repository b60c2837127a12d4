"""The ramp to come: today's allowance folded forward, day by day, by the functions that will decide it.

Supposed is that every message planned is accepted, that every standing stays what it is, and that the operator's own
traffic and the seeds stay as they are. The other mailboxes of the domain are folded along, since they share its day. A
date that is planned already is shown as it was planned. Nothing is drawn and nothing is written.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from warmup.ledger.history import Day
from warmup.policy.allowance import LaneView, MailboxView, allowance
from warmup.policy.fate import Cap
from warmup.policy.level import DayRecord, LaneDay, level
from warmup.policy.mailbox import Hours, Mailbox
from warmup.policy.window import date_of, spans
from warmup.steps.circle import Circle
from warmup.steps.hours import habits_of
from warmup.steps.roster import Roster
from warmup.steps.view import MEMORY, Before

SHUT = "the window is shut"
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayAhead:
    """One date to come. `ceiling` is what the ramp alone would come to, `target` what can be sent as things stand.

    `day` counts the mailbox's sending days; a date on which the window is shut has the number of the next.
    """

    day: int
    date: date
    active: bool
    ceiling: int
    target: int
    lanes: Mapping[str, int]
    capped_by: Cap | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """A mailbox before its next date: what is decided from, its hours, and that date's plan where there is one."""

    mailbox: Mailbox
    view: MailboxView
    hours: Hours
    planned: Day | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Date:
    """What a mailbox's date comes to where all of it is accepted; without any record where the window is shut."""

    record: DayRecord | None = None
    lanes: Mapping[str, LaneDay] = field(default_factory=dict)
    capped_by: Cap | None = None
    reason: str = SHUT


async def forecast(mailbox: Mailbox, circle: Circle, *, days: int) -> tuple[DayAhead, ...]:
    """The mailbox's next `days` dates, today first; it must be one that sends."""
    now = circle.clock.now()
    on, roster = date_of(now, mailbox.zone), await Roster.read(circle)
    kin = roster.kin[mailbox.domain]
    before = await Before.gathered(kin, on, circle, roster)
    habits = await habits_of(kin, on, circle)
    planned = {one.id: await _planned(one, on, circle) for one in kin}
    prospects = [
        Prospect(mailbox=one, view=before.view(one), hours=habits[one.id].hours, planned=planned[one.id]) for one in kin
    ]
    (subject,) = (prospect for prospect in prospects if prospect.mailbox.id == mailbox.id)
    others = [prospect for prospect in prospects if prospect.mailbox.id != mailbox.id]

    return ahead(subject, others, now=now, days=days)


def ahead(subject: Prospect, others: Sequence[Prospect], *, now: datetime, days: int) -> tuple[DayAhead, ...]:
    """The next `days` dates of `subject`; `others` are the domain's other senders."""
    dates = list(_dates(subject, others, now, days))
    found = []
    for n, (ceiling, day) in enumerate(_ramp_alone(subject, dates)):
        lanes = {lane.provider: 0 for lane in subject.view.lanes}
        lanes |= {provider: lane.target for provider, lane in dates[n].lanes.items()}
        record = dates[n].record
        found.append(
            DayAhead(
                day=day,
                date=subject.view.date + n * _ONE_DAY,
                active=record is not None,
                ceiling=ceiling,
                target=record.target if record else 0,
                lanes=dict(sorted(lanes.items())),
                capped_by=dates[n].capped_by,
                reason=dates[n].reason,
            )
        )
    return tuple(found)


def _dates(subject: Prospect, others: Sequence[Prospect], now: datetime, days: int) -> Iterator[_Date]:
    """What each of the subject's dates comes to, one after the other."""
    everyone = [subject, *others]
    for _ in range(days):
        dates = [_date(prospect, now) for prospect in everyone]
        yield dates[0]
        volumes: Counter[str] = Counter()
        for each in dates:
            volumes.update({provider: lane.accepted for provider, lane in each.lanes.items()})
        everyone = [_after(prospect, each, volumes) for prospect, each in zip(everyone, dates, strict=True)]


def _date(prospect: Prospect, now: datetime) -> _Date:
    view, planned = prospect.view, prospect.planned
    open_ = spans(prospect.hours, prospect.mailbox.zone, view.date)
    if planned is not None and open_:
        return _as_planned(planned)
    if not any(span.end > now for span in open_):
        return _Date()
    answer = allowance(view)
    return _Date(
        record=DayRecord(
            date=view.date,
            ceiling=answer.ceiling,
            target=answer.target,
            accepted=answer.target,
            own=view.own or 0,
            level=answer.level,
        ),
        lanes={
            lane.provider: LaneDay(
                date=view.date,
                ceiling=lane.ceiling,
                factor=lane.factor,
                target=lane.target,
                accepted=lane.target,
                level=lane.level,
            )
            for lane in answer.lanes
        },
        capped_by=answer.capped_by,
        reason=answer.reason,
    )


def _as_planned(day: Day) -> _Date:
    return _Date(
        record=DayRecord(date=day.date, ceiling=day.ceiling, target=day.target, accepted=day.target, level=day.level),
        lanes={
            lane.provider: LaneDay(
                date=day.date,
                ceiling=lane.ceiling,
                factor=lane.factor,
                target=lane.target,
                accepted=lane.target,
                level=lane.level,
            )
            for lane in day.lanes
        },
        capped_by=day.capped_by,
        reason=day.reason,
    )


def _after(prospect: Prospect, today: _Date, volumes: Mapping[str, int]) -> Prospect:
    """The mailbox on the day after; `volumes` is what the whole domain sent on this one."""
    view = prospect.view
    tomorrow = view.date + _ONE_DAY
    history = view.history if today.record is None else (*view.history, today.record)
    return replace(
        prospect,
        planned=None,
        view=replace(
            view,
            date=tomorrow,
            history=tuple(record for record in history if record.date >= tomorrow - MEMORY),
            lanes=tuple(_lane_after(lane, today, view.date, volumes[lane.provider]) for lane in view.lanes),
        ),
    )


def _lane_after(lane: LaneView, today: _Date, on: date, volume: int) -> LaneView:
    sent = today.lanes.get(lane.provider)
    history = lane.history if sent is None else (*lane.history, sent)
    domain = lane.domain
    return replace(
        lane,
        history=tuple(day for day in history if day.date > on - MEMORY),
        domain=domain and replace(domain, volumes=(*domain.volumes, (on, volume))),
    )


def _ramp_alone(subject: Prospect, dates: Sequence[_Date]) -> Iterator[tuple[int, int]]:
    """Ceiling and number of each date if every open one were sent in full, whatever holds the mailbox back."""
    view, planned = subject.view, subject.planned
    ramp, history = view.ramp.towards(view.target), list(view.history)
    number = planned.day if planned else 1 + sum(1 for record in history if record.target > 0)
    for n, each in enumerate(dates):
        on = view.date + n * _ONE_DAY
        known = [record for record in history if record.date >= on - MEMORY]
        reached = level(known, today=on, begin=view.first_level)
        ceiling = planned.ceiling if planned and n == 0 else ramp.ceiling(reached)
        yield ceiling, number
        if each.record is not None:
            history.append(DayRecord(date=on, ceiling=ceiling, target=ceiling, accepted=ceiling, level=reached))
            number += 1


async def _planned(mailbox: Mailbox, on: date, circle: Circle) -> Day | None:
    # What was planned before a pause will not go: then it counts for nothing.
    return await circle.ledger.history.day(mailbox.id, on) if mailbox.may_send else None
