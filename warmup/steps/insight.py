"""One mailbox in depth, gathered from the ledger for whoever reports it; nothing is written.

Evidence is weighed as the judge weighs it. What is to blame is asked of the whole fleet, and told where it concerns
this mailbox.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from warmup.ledger.evidence import Evidence as Known
from warmup.ledger.evidence import Finding as Found
from warmup.ledger.history import Day, LaneDay
from warmup.ledger.retirements import Retirement
from warmup.ledger.standings import Judged, Judgement, Subject
from warmup.mail.report import Kind
from warmup.policy.advice import UNSEEN, LaneState, on_cause, on_lane
from warmup.policy.attribution import WINDOW, Cause, causes
from warmup.policy.blame import is_objection
from warmup.policy.evidence import Evidence, Finding, Sign, evidence_of, sign_of
from warmup.policy.fate import Placement
from warmup.policy.gap import Halves, halves
from warmup.policy.mailbox import Mailbox, Role, State
from warmup.policy.reputation import Estimate, estimate
from warmup.policy.score import Composite, LaneFacts, Sightings, composite, reasons
from warmup.policy.window import date_of
from warmup.steps.circle import Circle
from warmup.steps.judge import MEMORY
from warmup.steps.retire import trials_of
from warmup.steps.roster import Roster
from warmup.steps.seeds import seeds_wanted
from warmup.steps.view import seeds_of

WEEK = timedelta(days=7)
_BAD = frozenset({Sign.SPAM, Sign.MISSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneInsight:
    """One lane. `days` are its planned dates and the dates on which something was seen, oldest first.

    `placements` counts what was sent in that time by where it landed, `objections` what was turned away; `replies` are
    answers received from there. `score` and `share` are its part in the mailbox's.
    """

    provider: str
    judged: Judgement | None
    days: Mapping[date, tuple[LaneDay | None, Sightings]]
    placements: Mapping[Placement, int]
    objections: int
    replies: int
    estimate: Estimate | None
    halves: Halves
    history: tuple[Judgement, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """A mailbox at `now`, over the dates from `since` on. `before` is the score of a week ago."""

    mailbox: Mailbox
    now: datetime
    since: date
    judged: Judged
    score: Composite | None
    before: Composite | None
    reasons: tuple[str, ...]
    lanes: tuple[LaneInsight, ...]
    history: tuple[Judgement, ...]
    causes: tuple[Cause, ...]
    retired: tuple[Retirement, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Lane:
    """What is known of one lane, as policy wants it."""

    findings: list[tuple[Found, Finding]] = field(default_factory=list)
    objections: list[tuple[datetime, date]] = field(default_factory=list)
    complaints: list[datetime] = field(default_factory=list)

    def evidence(self, until: datetime, *, control: bool | None = None) -> Evidence:
        """The fold by `until`; of one kind of seed alone where `control` is said. Objections are no sightings."""
        found = [
            finding
            for _, finding in self.findings
            if finding.at <= until and (control is None or finding.control is control)
        ]
        return evidence_of(sorted(found, key=lambda finding: finding.at))

    def facts(self, until: datetime) -> LaneFacts:
        """What the score is made of, by `until`."""
        seen = sum(finding.at <= until for _, finding in self.findings)
        turned_away = sum(at <= until for at, _ in self.objections)
        about = estimate(self.evidence(until), until)
        complained = sum(at <= until for at in self.complaints)
        return LaneFacts(estimate=about, tried=seen + turned_away, objections=turned_away, complaints=complained)


async def insight(mailbox: Mailbox, circle: Circle, *, days: int) -> Insight:
    """All that is known of the mailbox over its last `days` dates, today among them."""
    now, ledger = circle.clock.now(), circle.ledger
    today = date_of(now, mailbox.zone)
    since = today - timedelta(days=days - 1)
    lanes = _lanes(await ledger.evidence.of(mailbox.id, since=now - max(MEMORY, timedelta(days=days + 1))), mailbox)
    planned = await ledger.history.of(mailbox.id, since=since, until=today + timedelta(days=1))
    replies = await ledger.history.replies(mailbox.id, since=since)
    judged = await ledger.standings.of(mailbox.id)
    trials = trials_of(await ledger.trials.recent(since=now - WINDOW))
    retired = await ledger.retirements.in_force()
    rests = {one.candidate.name for one in retired}
    roster = await Roster.read(circle)
    fleet = roster.fleet
    wanted = seeds_wanted([mailbox], roster, circle.settings.pairing.mix, frozenset(rests))
    missing = {one.provider: one.wanted - one.seeds for one in wanted}
    seeds = [seed for seed in seeds_of(mailbox, fleet) if seed.may_receive and seed.address not in rests]

    named = {seed.receiver for seed in seeds} | set(lanes) | {lane.provider for day in planned for lane in day.lanes}
    told = [
        _lane(
            provider,
            lanes[provider],
            _Around(now, since, planned, judged.lanes.get(provider), replies.get(provider, 0), seeds, missing),
            _changes(await ledger.standings.history(Subject.LANE, mailbox.address, provider)),
        )
        for provider in sorted(named)
    ]
    mine = [trial for trial in trials if trial.mailbox == mailbox.address]
    blamed = tuple(cause for cause in causes(trials) if any(cause.covers(trial) for trial in mine))
    score, before = (composite({name: lane.facts(at) for name, lane in lanes.items()}) for at in (now, now - WEEK))
    courses = {lane.provider: [(on, seen) for on, (_, seen) in lane.days.items() if seen != _NONE] for lane in told}
    return Insight(
        mailbox=mailbox,
        now=now,
        since=since,
        judged=judged,
        score=score,
        before=before,
        reasons=reasons(score, before, {name: course for name, course in courses.items() if course}, today)
        if score
        else (),
        lanes=tuple(told),
        history=await _history(mailbox, circle),
        causes=blamed,
        retired=retired,
        advice=(*_on_mailbox(mailbox), *(on_cause(cause) for cause in blamed if cause.until is None)),
    )


_NONE = Sightings()


async def _history(mailbox: Mailbox, circle: Circle) -> tuple[Judgement, ...]:
    """How the mailbox's and its domain's standings changed, oldest first."""
    own = await circle.ledger.standings.history(Subject.MAILBOX, mailbox.address)
    domain = await circle.ledger.standings.history(Subject.DOMAIN, mailbox.domain)
    return tuple(sorted((*_changes(own), *_changes(domain)), key=lambda judgement: judgement.since))


def _lanes(known: Known, mailbox: Mailbox) -> defaultdict[str, _Lane]:
    lanes: defaultdict[str, _Lane] = defaultdict(_Lane)
    for found in known.findings:
        sign = sign_of(found.placement)
        if sign is not None:
            lanes[found.provider].findings.append((found, Finding(at=found.sent_at, sign=sign, control=found.control)))
    for rebuff in known.rebuffs:
        if is_objection(rebuff.reply):
            lanes[rebuff.provider].objections.append((rebuff.at, date_of(rebuff.at, mailbox.zone)))
    for heard in known.heard:
        if heard.kind is Kind.COMPLAINT:
            lanes[heard.provider].complaints.append(heard.at)
        elif is_objection(heard.reply):
            lanes[heard.provider].objections.append((heard.at, date_of(heard.at, mailbox.zone)))
    return lanes


@dataclass(frozen=True, slots=True)
class _Around:
    """What is told of a lane besides its evidence."""

    now: datetime
    since: date
    planned: Sequence[Day]
    judged: Judgement | None
    replies: int
    seeds: Sequence[Mailbox]
    missing: Mapping[str, int]


def _lane(provider: str, lane: _Lane, around: _Around, history: tuple[Judgement, ...]) -> LaneInsight:
    now, judged = around.now, around.judged
    whole = lane.evidence(now)
    both = halves(lane.evidence(now, control=False), lane.evidence(now, control=True), now)
    seeds = [seed for seed in around.seeds if seed.receiver == provider]
    lately = [found for found, _ in lane.findings if found.date >= around.since]
    state = LaneState(
        provider=provider,
        standing=judged.standing if judged else None,
        thin=judged.thin if judged else True,
        seeds=len(seeds),
        controls=sum(seed.role is Role.CONTROL for seed in seeds),
        gap=both.gap,
        missing=around.missing.get(provider, 0),
    )
    return LaneInsight(
        provider=provider,
        judged=judged,
        days=_days(provider, lane, around),
        placements={place: sum(found.placement is place for found in lately) for place in Placement},
        objections=sum(on >= around.since for _, on in lane.objections),
        replies=around.replies,
        estimate=estimate(whole, now) if whole.by(now).sightings else None,
        halves=both,
        history=history,
        advice=tuple(on_lane(state)),
    )


def _days(provider: str, lane: _Lane, around: _Around) -> dict[date, tuple[LaneDay | None, Sightings]]:
    """The lane's dates from `since` on that were planned, or on which something was seen."""
    planned = {day.date: mine for day in around.planned for mine in day.lanes if mine.provider == provider}
    seen: defaultdict[date, Sightings] = defaultdict(Sightings)
    for found, finding in lane.findings:
        seen[found.date] = seen[found.date].plus(_seen(finding.sign))
    for _, on in lane.objections:
        seen[on] = seen[on].plus(Sightings(objections=1))
    dates = sorted(on for on in {*planned, *seen} if on >= around.since)
    return {on: (planned.get(on), seen[on]) for on in dates}


def _seen(sign: Sign) -> Sightings:
    return Sightings(inbox=int(sign not in _BAD), spam=int(sign is Sign.SPAM), missing=int(sign is Sign.MISSING))


def _changes(history: Iterable[Judgement]) -> tuple[Judgement, ...]:
    """The judgements with which a standing began."""
    found: list[Judgement] = []
    for judgement in history:
        if not found or found[-1].standing is not judgement.standing:
            found.append(judgement)
    return tuple(found)


def _on_mailbox(mailbox: Mailbox) -> Iterable[str]:
    if mailbox.state is State.UNVERIFIED:
        yield f"log in: `warmup mailbox check {mailbox.address}`; until then nothing is sent"
    if mailbox.state is State.PAUSED:
        yield f"it is paused: `warmup mailbox resume {mailbox.address}` when it is to go on"
    if mailbox.problem:
        yield f"mend this first: {mailbox.problem}"
    if mailbox.role.sends and mailbox.verified_at is not None and mailbox.sent_folder is None:
        yield UNSEEN
