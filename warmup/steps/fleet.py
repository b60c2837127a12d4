"""The fleet as it stands, in the words of metrics."""

from collections import Counter

from warmup.ledger.status import Overview
from warmup.ledger.totals import Totals
from warmup.metrics import Figures, LaneFigures, MailboxFigures
from warmup.policy.blame import blame, cause_of
from warmup.steps.circle import Circle


async def figures(circle: Circle) -> Figures:
    """All that the ledger knows and a scrape shows."""
    now = circle.clock.now()
    fleet = await circle.ledger.status.fleet(now=now)
    totals = await circle.ledger.status.totals()
    bounces = Counter(totals.causes)
    for (provider, reply), count in totals.rebuffs.items():
        bounces[provider, cause_of(reply)] += count
    for (provider, reply, action), count in totals.bounces.items():
        bounces[provider, blame(reply, action=action or None).cause.value] += count
    return Figures(
        messages=totals.messages,
        placements=totals.placements,
        bounces=bounces,
        complaints=totals.complaints,
        authentication={
            (overview.mailbox.address, provider, method.value): share.ratio
            for overview in fleet
            for provider, found in overview.authentication.items()
            for method, share in found.items()
        },
        mailboxes=tuple(_mailbox(overview, totals) for overview in fleet if overview.mailbox.role.sends),
        lanes=tuple(lane for overview in fleet for lane in _lanes(overview)),
    )


def _mailbox(overview: Overview, totals: Totals) -> MailboxFigures:
    mailbox = overview.mailbox
    return MailboxFigures(
        mailbox=mailbox.address,
        day=overview.day,
        day_target=overview.target_today,
        day_sent=overview.sent_today,
        limit=mailbox.daily_limit,
        limit_used=overview.sent_24h + overview.own_24h,
        replies=totals.replies.get(mailbox.address, 0),
        rescues=totals.rescues.get(mailbox.address, 0),
    )


def _lanes(overview: Overview) -> list[LaneFigures]:
    return [
        LaneFigures(
            mailbox=overview.mailbox.address,
            provider=provider,
            standing=judgement.standing,
            inbox_ratio=judgement.inbox_ratio,
            lower_ratio=judgement.lower_ratio,
            upper_ratio=judgement.upper_ratio,
        )
        for provider, judgement in sorted(overview.judged.lanes.items())
    ]
