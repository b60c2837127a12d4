"""How do receivers treat this mailbox? Evidence in, standings out: of its lanes, of itself and of its domain.

The domain's standing is written by the oldest mailbox that still sends from it, so that twenty mailboxes do not write
the same row twenty times; the others read it. A judgement that repeats the one before adds no row.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import structlog

from warmup.ledger.evidence import Evidence as Known
from warmup.ledger.standings import Judged, Judgement, Subject
from warmup.policy.blame import is_objection
from warmup.policy.brake import Verdict, judge_domain, judge_lane, judge_mailbox
from warmup.policy.evidence import Evidence, Finding, Sign, evidence_of, sign_of
from warmup.policy.mailbox import Mailbox, MailboxId
from warmup.steps.circle import Circle

log = structlog.get_logger("judge")

MEMORY = timedelta(days=60)
"""Findings older than this change nothing (policy/evidence)."""

Lanes = Mapping[tuple[MailboxId, str], Evidence]


async def judge(mailbox_id: MailboxId, circle: Circle) -> None:
    """Judge one mailbox by all that is known now, and its domain where that is its to judge."""
    now = circle.clock.now()
    marks = await circle.ledger.standings.marks(mailbox_id)
    mailbox = await circle.mailbox(mailbox_id)
    known = await circle.ledger.evidence.of_domain(mailbox.domain, since=now - MEMORY)
    before = await circle.ledger.standings.of(mailbox_id)
    elders = [other for other in await circle.ledger.mailboxes.list() if other.domain == mailbox.domain]

    lanes = lanes_of(known)
    judgements = judged_lanes(mailbox, lanes, before, now)
    judgements.append(judged_mailbox(mailbox, lanes, before, now))
    if mailbox_id == min((elder.id for elder in elders if elder.role.sends), default=mailbox_id):
        judgements.append(judged_domain(mailbox.domain, lanes, before, now))

    added = await circle.ledger.standings.append(judgements, now=now)
    await circle.ledger.standings.judged(mailbox_id, marks=marks, now=now)
    if added:
        _say(judgements, before)


def lanes_of(known: Known) -> dict[tuple[MailboxId, str], Evidence]:
    """The evidence of every lane in `known`, by mailbox and receiving provider."""
    findings: defaultdict[tuple[MailboxId, str], list[Finding]] = defaultdict(list)
    for seen in known.findings:
        sign = sign_of(seen.placement, reclassified_to_spam=seen.moved)
        if sign is not None:
            lane = (seen.mailbox_id, seen.provider)
            findings[lane].append(Finding(at=seen.sent_at, sign=sign, control=seen.control))
    for rebuff in known.rebuffs:
        if is_objection(rebuff.reply):
            findings[rebuff.mailbox_id, rebuff.provider].append(Finding(at=rebuff.at, sign=Sign.REBUFF))
    return {lane: evidence_of(sorted(found, key=lambda finding: finding.at)) for lane, found in findings.items()}


def judged_lanes(mailbox: Mailbox, lanes: Lanes, before: Judged, now: datetime) -> list[Judgement]:
    """A judgement of each lane of the mailbox that has evidence."""
    mine = {provider: evidence for (owner, provider), evidence in lanes.items() if owner == mailbox.id}
    return [
        _judgement(
            judge_lane(
                evidence,
                now,
                mailbox=[other for name, other in mine.items() if name != provider],
                domain=[other for (owner, name), other in lanes.items() if name == provider and owner != mailbox.id],
                previous=_verdict(before.lanes.get(provider)),
            ),
            kind=Subject.LANE,
            mailbox=mailbox,
            provider=provider,
        )
        for provider, evidence in sorted(mine.items())
    ]


def judged_mailbox(mailbox: Mailbox, lanes: Lanes, before: Judged, now: datetime) -> Judgement:
    """The judgement of the mailbox over all its lanes."""
    mine = {provider: evidence for (owner, provider), evidence in lanes.items() if owner == mailbox.id}
    verdict = judge_mailbox(mine, now, previous=_verdict(before.mailbox))
    return _judgement(verdict, kind=Subject.MAILBOX, mailbox=mailbox)


def judged_domain(domain: str, lanes: Lanes, before: Judged, now: datetime) -> Judgement:
    """The judgement of the domain over all lanes of all its mailboxes."""
    verdict = judge_domain(lanes, now, previous=_verdict(before.domain))
    return _judgement(verdict, kind=Subject.DOMAIN, domain=domain)


def verdict_of(judgement: Judgement | None) -> Verdict | None:
    """A recorded judgement as policy wants it."""
    if judgement is None:
        return None
    return Verdict(
        standing=judgement.standing,
        factor=judgement.factor,
        thin=judgement.thin,
        since=judgement.since,
        reason=judgement.reason,
        n=judgement.n,
        inbox_ratio=judgement.inbox_ratio,
        lower_ratio=judgement.lower_ratio,
        upper_ratio=judgement.upper_ratio,
    )


_verdict = verdict_of


def _judgement(
    verdict: Verdict, *, kind: Subject, mailbox: Mailbox | None = None, domain: str = "", provider: str | None = None
) -> Judgement:
    return Judgement(
        kind=kind,
        subject=mailbox.address if mailbox else domain,
        mailbox_id=mailbox.id if mailbox else None,
        provider=provider,
        standing=verdict.standing,
        factor=verdict.factor,
        thin=verdict.thin,
        since=verdict.since,
        reason=verdict.reason,
        n=verdict.n,
        inbox_ratio=verdict.inbox_ratio,
        lower_ratio=verdict.lower_ratio,
        upper_ratio=verdict.upper_ratio,
    )


def _say(judgements: Iterable[Judgement], before: Judged) -> None:
    """One line for each standing that changed."""
    earlier = [before.mailbox, before.domain, *before.lanes.values()]
    known = {(old.kind, old.subject, old.provider): old.standing for old in earlier if old is not None}
    for new in judgements:
        if known.get((new.kind, new.subject, new.provider)) is not new.standing:
            log.info(
                "standing",
                kind=new.kind.value,
                subject=new.subject,
                provider=new.provider,
                standing=new.standing.value,
                reason=new.reason,
            )
