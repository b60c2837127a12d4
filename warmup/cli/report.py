"""`warmup report ADDRESS`: one mailbox in depth, gathered in steps/insight; the document here, drawn in report_show."""

import asyncio
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any

import typer

from warmup.cli.faults import bad_input
from warmup.cli.glance import glance
from warmup.cli.invocation import Invocation, invocation
from warmup.cli.output import Json, print_json
from warmup.cli.report_show import show
from warmup.ledger.history import LaneDay
from warmup.ledger.standings import Judgement
from warmup.policy.attribution import Cause, Suspect
from warmup.policy.fate import Placement
from warmup.policy.gap import Gap
from warmup.policy.reputation import Estimate
from warmup.policy.score import Composite, Score, Sightings
from warmup.steps.insight import Insight, LaneInsight, insight

app = typer.Typer(add_completion=False)

_DIGITS = 4


@app.command()
def report(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)],
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, max=366, help="How many dates, today last.")] = 30,
    json: Json = False,
) -> None:
    """Show one mailbox in depth: placement over time, standings with reasons, what is to blame and what to do."""
    seen = asyncio.run(_look(invocation(ctx), address, days))
    if json:
        print_json("report", document(seen, days))
    else:
        show(seen, days)


async def _look(here: Invocation, address: str, days: int) -> Insight:
    """Raises UnknownMailbox, and Fault for a mailbox that never sends."""
    async with glance(here) as seen:
        mailbox = await seen.ledger.mailboxes.get(address)
        if not mailbox.role.sends:
            fix = f"`warmup mailbox set {mailbox.address} --role both` makes it send too"
            raise bad_input(f"{mailbox.address} is a {mailbox.role} and is not warmed", fix)
        return await insight(mailbox, seen.circle(), days=days)


def document(seen: Insight, days: int) -> dict[str, Any]:
    """The document of `report --json`."""
    mailbox, judged = seen.mailbox, seen.judged.mailbox
    return {
        "at": seen.now,
        "address": mailbox.address,
        "provider": mailbox.provider,
        "role": mailbox.role,
        "state": mailbox.state,
        "days": days,
        "since": seen.since,
        "reputation": _reputation(seen.score, seen.before, seen.reasons),
        "standing": judged.standing if judged else None,
        "replies": sum(lane.replies for lane in seen.lanes),
        "lanes": [_lane(lane, seen.score) for lane in seen.lanes],
        "standings": [_standing(judgement) for judgement in seen.history],
        "causes": [_cause(cause) for cause in seen.causes],
        "retired": [
            {"kind": one.candidate.suspect, "name": one.candidate.name, "since": one.since, "reason": one.reason}
            for one in seen.retired
        ],
        "advice": list(seen.advice),
        "problem": mailbox.problem,
    }


def _reputation(score: Composite | None, before: Composite | None, reasons: Iterable[str]) -> dict[str, Any] | None:
    if score is None:
        return None
    return {
        **_score(score.whole),
        "week_ago_score": round(before.whole.score, 1) if before else None,
        "reasons": list(reasons),
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        "score": round(score.score, 1),
        "lower_score": round(score.lower, 1),
        "upper_score": round(score.upper, 1),
    }


def _lane(lane: LaneInsight, score: Composite | None) -> dict[str, Any]:
    judged, mine = lane.judged, score.lanes.get(lane.provider) if score else None
    days = [day for day, _ in lane.days.values() if day is not None]
    return {
        "provider": lane.provider,
        "standing": judged.standing if judged else None,
        "thin": judged.thin if judged else None,
        "since": judged.since if judged else None,
        "reason": judged.reason if judged else None,
        "score": _score(mine) if mine else None,
        "target": sum(day.target for day in days),
        "sent": sum(day.accepted for day in days),
        **{place.value: lane.placements[place] for place in Placement if place is not Placement.UNOBSERVED},
        "objections": lane.objections,
        "replies": lane.replies,
        **_ratios(lane.estimate),
        "treated": _half(lane.halves.treated),
        "control": _half(lane.halves.control),
        "gap": _gap(lane.halves.gap),
        "days": [_day(on, planned, seen) for on, (planned, seen) in lane.days.items()],
        "standings": [_standing(judgement) for judgement in lane.history],
        "advice": list(lane.advice),
    }


def _day(on: date, planned: LaneDay | None, seen: Sightings) -> dict[str, Any]:
    return {
        "date": on,
        "target": planned.target if planned else 0,
        "sent": planned.accepted if planned else 0,
        "standing": planned.standing if planned else None,
        "inbox": seen.inbox,
        "spam": seen.spam,
        "missing": seen.missing,
        "objections": seen.objections,
        **_ratios(seen.estimate),
    }


def _ratios(about: Estimate | None) -> dict[str, Any]:
    return {
        "inbox_ratio": round(about.inbox_ratio, _DIGITS) if about else None,
        "lower_ratio": round(about.lower_ratio, _DIGITS) if about else None,
        "upper_ratio": round(about.upper_ratio, _DIGITS) if about else None,
    }


def _half(about: Estimate | None) -> dict[str, Any] | None:
    return None if about is None else {"n": about.n, **_ratios(about)}


def _gap(gap: Gap | None) -> dict[str, Any] | None:
    if gap is None:
        return None
    return {
        "ratio": round(gap.ratio, _DIGITS),
        "lower_ratio": round(gap.lower, _DIGITS),
        "upper_ratio": round(gap.upper, _DIGITS),
    }


def _standing(judgement: Judgement) -> dict[str, Any]:
    return {
        "subject_kind": judgement.kind,
        "subject": judgement.subject,
        "provider": judgement.provider,
        "since": judgement.since,
        "standing": judgement.standing,
        "thin": judgement.thin,
        "reason": judgement.reason,
    }


def _cause(cause: Cause) -> dict[str, Any]:
    lane = cause.suspect in (Suspect.LANE, Suspect.DOMAIN_LANE)
    return {
        "kind": cause.suspect,
        "name": cause.name[0],
        "provider": cause.name[1] if lane else None,
        "since": cause.since,
        "until": cause.until,
        "probability": round(cause.probability, _DIGITS),
        "wrong": cause.wrong,
        "messages": cause.messages,
        "rest_wrong": cause.rest_wrong,
        "rest_messages": cause.rest,
    }
