"""How do receivers treat this mailbox? Evidence in, standings out: of its lanes, of itself and of its domain.

The domain's standing is written by the oldest mailbox that still sends from it, so that twenty mailboxes do not write
the same row twenty times; the others read it, unless the domain was objected to: then
whoever hears of it writes. A judgement that repeats the one before adds no row.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

import structlog

from warmup.ledger.evidence import Evidence as Known
from warmup.ledger.standings import Judged, Judgement, Subject
from warmup.mail.answer import Reply
from warmup.mail.report import Kind
from warmup.policy.authentication import failing as fails
from warmup.policy.blame import Blame, Scope, blame
from warmup.policy.brake import Verdict, judge_domain, judge_lane, judge_mailbox
from warmup.policy.evidence import Evidence, Finding, Sign, evidence_of, sign_of
from warmup.policy.headroom import GROWTH
from warmup.policy.kin import related
from warmup.policy.mailbox import Mailbox, MailboxId
from warmup.policy.objection import Objection, is_about, is_held_against_us, objected, objection, unvouched
from warmup.steps.aside import aside
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
    elders = await circle.ledger.mailboxes.of_domain(mailbox.domain)

    eldest = min((elder.id for elder in elders if elder.role.sends), default=mailbox_id)

    judgements = await aside(judgements_of, mailbox, known, before, now, is_eldest=mailbox_id == eldest)

    added = await circle.ledger.standings.append(judgements, now=now)
    await circle.ledger.standings.judged(mailbox_id, marks=marks, now=now)
    if added:
        _say(judgements, before)


def judgements_of(mailbox: Mailbox, known: Known, before: Judged, now: datetime, *, is_eldest: bool) -> list[Judgement]:
    """What there is to say of a mailbox and its lanes, and of its domain where that is its to judge."""
    lanes, outright = lanes_of(known), outright_of(known, now)
    judgements = judged_lanes(mailbox, lanes, before, now, failing=outright.failing)
    judgements.append(judged_mailbox(mailbox, lanes, before, now, outright.mailboxes.get(mailbox.id, ())))
    if is_eldest or outright.domain:
        judgements.append(judged_domain(mailbox.domain, lanes, before, now, outright.domain))
    return judgements


def lanes_of(known: Known) -> dict[tuple[MailboxId, str], Evidence]:
    """The evidence of every lane in `known`, by mailbox and receiving provider."""
    findings: defaultdict[tuple[MailboxId, str], list[Finding]] = defaultdict(list)
    for seen in known.findings:
        sign = sign_of(seen.placement, reclassified_to_spam=seen.moved)
        if sign is not None:
            lane = (seen.mailbox_id, seen.provider)
            findings[lane].append(Finding(at=seen.sent_at, sign=sign, control=seen.control))
    for word in _words(known):
        if is_held_against_us(word.reply, word.found):
            findings[word.lane].append(Finding(at=word.at, sign=Sign.REBUFF))
    for heard in known.heard:
        if heard.kind is Kind.COMPLAINT:
            findings[heard.mailbox_id, heard.provider].append(Finding(at=heard.at, sign=Sign.COMPLAINT))
    return {lane: evidence_of(sorted(found, key=lambda finding: finding.at)) for lane, found in findings.items()}


@dataclass(frozen=True, slots=True)
class Outright:
    """What needs no weighing: objections to a mailbox or the domain as such, and lanes whose authentication fails."""

    mailboxes: Mapping[MailboxId, Sequence[Objection]] = field(default_factory=dict)
    domain: Sequence[Objection] = ()
    failing: Mapping[tuple[MailboxId, str], str] = field(default_factory=dict)


def outright_of(known: Known, now: datetime) -> Outright:
    """What `known` says outright."""
    mailboxes: defaultdict[MailboxId, list[Objection]] = defaultdict(list)
    domain: list[Objection] = []
    for word in _words(known):
        if is_about(word.found, Scope.MAILBOX):
            mailboxes[word.lane[0]].append(objection(word.reply, word.found, word.at))
        elif is_about(word.found, Scope.DOMAIN):
            domain.append(objection(word.reply, word.found, word.at))
    failing = {lane: words for lane, vouched in known.vouched.items() if (words := fails(vouched, now, lane[1]))}
    return Outright(mailboxes, domain, failing)


@dataclass(frozen=True, slots=True)
class _Word:
    """A server's word against a message: by SMTP, or in a delivery report."""

    lane: tuple[MailboxId, str]
    at: datetime
    reply: Reply
    found: Blame


def _words(known: Known) -> Iterator[_Word]:
    for rebuff in known.rebuffs:
        if rebuff.reply is not None:
            lane = (rebuff.mailbox_id, rebuff.provider)
            yield _Word(lane, rebuff.at, rebuff.reply, _found(rebuff.reply, None))
    for heard in known.heard:
        if heard.kind is Kind.BOUNCE:
            found = _found(heard.reply, heard.action or None)
            yield _Word((heard.mailbox_id, heard.provider), heard.at, heard.reply, found)


@lru_cache(maxsize=4096)
def _found(reply: Reply, action: str | None) -> Blame:
    # Weeks of replies are read again at every judgement, and most of them say the same.
    return blame(reply, action=action)


def judged_lanes(
    mailbox: Mailbox,
    lanes: Lanes,
    before: Judged,
    now: datetime,
    *,
    failing: Mapping[tuple[MailboxId, str], str] = MappingProxyType({}),
) -> list[Judgement]:
    """A judgement of each lane of the mailbox that has evidence; no better than watched where its mail is unvouched."""
    mine = {provider: evidence for (owner, provider), evidence in lanes.items() if owner == mailbox.id}
    return [
        _judgement(
            unvouched(
                judge_lane(
                    evidence,
                    now,
                    operator=related(mine, provider)[0],
                    mailbox=related(mine, provider)[1],
                    domain=[
                        other for (owner, name), other in lanes.items() if name == provider and owner != mailbox.id
                    ],
                    previous=_verdict(before.lanes.get(provider)),
                ),
                failing.get((mailbox.id, provider)),
                now,
                previous=_verdict(before.lanes.get(provider)),
            ),
            kind=Subject.LANE,
            mailbox=mailbox,
            provider=provider,
        )
        for provider, evidence in sorted(mine.items())
    ]


def judged_mailbox(
    mailbox: Mailbox, lanes: Lanes, before: Judged, now: datetime, objections: Sequence[Objection] = ()
) -> Judgement:
    """The judgement of the mailbox over all its lanes, and by what was said of it outright."""
    mine = {provider: evidence for (owner, provider), evidence in lanes.items() if owner == mailbox.id}
    previous = _verdict(before.mailbox)
    verdict = objected(judge_mailbox(mine, now, previous=previous), objections, now, previous=previous, whole="mailbox")
    return _judgement(verdict, kind=Subject.MAILBOX, mailbox=mailbox)


def judged_domain(
    domain: str, lanes: Lanes, before: Judged, now: datetime, objections: Sequence[Objection] = ()
) -> Judgement:
    """The judgement of the domain over all lanes of all its mailboxes, and by what was said of it outright."""
    previous = _verdict(before.domain)
    verdict = objected(judge_domain(lanes, now, previous=previous), objections, now, previous=previous, whole="domain")
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
        growth=GROWTH if judgement.growth is None else judgement.growth,
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
        growth=verdict.growth if kind is Subject.LANE else None,
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
