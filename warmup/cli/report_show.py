"""A report for people: bars for where mail landed, with what is not known for sure drawn as such."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

import typer

from warmup.ledger.standings import Judgement, Subject
from warmup.policy.attribution import Cause, Suspect
from warmup.policy.fate import Placement
from warmup.policy.reputation import Estimate
from warmup.policy.score import Sightings, day_told
from warmup.policy.window import date_of
from warmup.steps.insight import Insight, LaneInsight

_BAR = 30
_LINES = 14
"""The most bars a lane gets; where there are more dates, several share one."""

_LAST_CHANGES = 6


def show(seen: Insight, days: int) -> None:
    """Print it."""
    typer.echo("\n".join(_printable(line) for line in lines(seen, days)))


def lines(seen: Insight, days: int) -> Iterator[str]:
    """The report, line by line."""
    mailbox, today = seen.mailbox, date_of(seen.now, seen.mailbox.zone)
    yield f"{mailbox.address}  {mailbox.provider}  {mailbox.state}  {days} dates to {today}"
    yield from _reputation(seen)
    for lane in seen.lanes:
        yield ""
        yield from _lane(lane, today)
    yield from _part("standings of mailbox and domain", (_change(one, today) for one in seen.history[-_LAST_CHANGES:]))
    yield from _part("to blame", (_cause(cause, today) for cause in seen.causes), nothing="nothing that stands out")
    yield from _part(
        "left out for now",
        (
            f"{one.candidate.suspect} {one.candidate.name} since {one.since:%Y-%m-%d}: {one.reason}"
            for one in seen.retired
        ),
    )
    advice = [*seen.advice, *(words for lane in seen.lanes for words in lane.advice)]
    yield from _part("what to do", advice, nothing="nothing: let it go on")


def _reputation(seen: Insight) -> Iterator[str]:
    if seen.score is None:
        yield "reputation  not known yet: nothing was seen"
        return
    whole, before = seen.score.whole, seen.before
    week = f", {before.whole.score:.0f} a week ago" if before else ""
    yield f"reputation  {whole.score:.0f} of 100 ({whole.lower:.0f} to {whole.upper:.0f}){week}; an estimate"
    for words in seen.reasons:
        yield f"  {words}"


def _lane(lane: LaneInsight, today: date) -> Iterator[str]:
    judged = lane.judged
    standing = f"{judged.standing} since {day_told(judged.since.date(), today)}: {judged.reason}" if judged else "-"
    yield f"→ {lane.provider}  {standing}"
    yield f"  {_volumes(lane)}"
    yield from (f"  {line}" for line in _halves(lane))
    yield from (f"  {line}" for line in _bars(lane))
    if len(lane.history) > 1:
        yield "  standings"
        yield from (f"    {_change(one, today)}" for one in lane.history[-_LAST_CHANGES:])


def _volumes(lane: LaneInsight) -> str:
    planned = [day for day, _ in lane.days.values() if day is not None]
    sent, target = sum(day.accepted for day in planned), sum(day.target for day in planned)
    found = [f"{place.value} {n}" for place, n in lane.placements.items() if n or place is Placement.INBOX]
    if lane.objections:
        found.append(f"turned away {lane.objections}")
    return f"sent {sent} of {target}  {'  '.join(found)}  replies received {lane.replies}"


def _halves(lane: LaneInsight) -> Iterator[str]:
    treated, control, gap = lane.halves.treated, lane.halves.control, lane.halves.gap
    if control is None:
        return
    yield f"controls {_rate(control)}  treated {_rate(treated) if treated else '-'}"
    if gap is not None:
        yield f"gap {gap.ratio:+.0%} ({gap.lower:+.0%} to {gap.upper:+.0%})"


def _rate(about: Estimate) -> str:
    return f"{about.inbox_ratio:.0%} ({about.lower_ratio:.0%} to {about.upper_ratio:.0%}) of {about.n}"


def _bars(lane: LaneInsight) -> Iterator[str]:
    """One line for a date or for several: █ surely in the inbox, ▓ likely, ░ possibly (95 %)."""
    dates = list(lane.days)
    for span in _spans(dates):
        seen = Sightings()
        for on in dates:
            if span[0] <= on <= span[1]:
                seen = seen.plus(lane.days[on][1])
        name = f"{span[0]} {span[0]:%a}" if span[0] == span[1] else f"{span[0]} to {span[1]:%m-%d}"
        yield f"{name:<20}{_bar(seen)}".rstrip()


def _spans(dates: Sequence[date]) -> Iterator[tuple[date, date]]:
    """First and last dates of at most `_LINES` lines, equally long."""
    if not dates:
        return
    length = -(-((dates[-1] - dates[0]).days + 1) // _LINES)
    start = dates[0]
    while start <= dates[-1]:
        end = min(start + timedelta(days=length - 1), dates[-1])
        if any(start <= on <= end for on in dates):
            yield start, end
        start = end + timedelta(days=1)


def _bar(seen: Sightings) -> str:
    about = seen.estimate
    if about is None:
        return "·"
    sure, likely, possible = (
        round(_BAR * ratio) for ratio in (about.lower_ratio, about.inbox_ratio, about.upper_ratio)
    )
    drawn = "█" * sure + "▓" * (likely - sure) + "░" * (possible - likely)
    interval = f"{about.inbox_ratio:>4.0%} ({about.lower_ratio:.0%} to {about.upper_ratio:.0%})"
    return f"{drawn:<{_BAR}} {seen.inbox:>3} of {seen.seen:<3} {interval}"


def _change(judgement: Judgement, today: date) -> str:
    whose = f"{judgement.subject} " if judgement.kind is not Subject.LANE else ""
    return f"{day_told(judgement.since.date(), today)}  {whose}{judgement.standing}: {judgement.reason}"


def _cause(cause: Cause, today: date) -> str:
    lane = cause.suspect in (Suspect.LANE, Suspect.DOMAIN_LANE)
    name = f"{cause.name[0]} at {cause.name[1]}" if lane else f"{cause.suspect} {cause.name[0]}"
    when = "" if cause.since is None else f" since {day_told(cause.since, today)}"
    when += "" if cause.until is None else f" until {day_told(cause.until, today)}"
    return (
        f"{name}{when}, {cause.probability:.0%} sure: {cause.wrong:g} of {cause.messages} went wrong,"
        f" {cause.rest_wrong:g} of {cause.rest} of all others"
    )


def _part(title: str, told: Iterable[str], *, nothing: str = "") -> Iterator[str]:
    found = [*told] or ([nothing] if nothing else [])
    if found:
        yield ""
        yield title
        yield from (f"  {line}" for line in found)


def _printable(text: str) -> str:
    """Without control characters: servers wrote part of it, and a terminal would obey them."""
    return "".join(letter for letter in text if letter.isprintable())
