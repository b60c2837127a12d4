"""`warmup plan ADDRESS`: the ramp to come, day by day, with its reasons; decided in steps/forecast, drawn here."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from warmup.cli.faults import bad_input, wrong_usage
from warmup.cli.glance import glance
from warmup.cli.invocation import Invocation, invocation
from warmup.cli.output import Json, print_json, print_table, say
from warmup.policy.attribution import Suspect
from warmup.policy.mailbox import Mailbox
from warmup.steps.forecast import DayAhead, forecast
from warmup.steps.roster import Roster
from warmup.steps.seeds import SeedsWanted, seeds_wanted

app = typer.Typer(add_completion=False)

_COLUMNS = ("date", "", "day", "ceiling", "target", "lanes", "capped by", "reason")
_BAR = 40


@app.command()
def plan(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)],
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, max=366, help="How many dates, today first.")] = 30,
    chart: Annotated[bool, typer.Option("--chart", help="Draw it.")] = False,
    json: Json = False,
) -> None:
    """Show the ramp to come: what each day's target will be if all is accepted and no standing changes, and why."""
    if chart and json:
        raise wrong_usage("--chart draws for people and --json prints one document", "leave one of them out")
    mailbox, ahead, wanted = asyncio.run(_forecast(invocation(ctx), address, days))
    if json:
        print_json(
            "plan",
            {
                "address": mailbox.address,
                "ramp": mailbox.ramp,
                "limit": mailbox.daily_limit,
                "target": mailbox.target,
                "days": [_line(day) for day in ahead],
                "seeds_wanted": [
                    {"provider": one.provider, "seeds": one.seeds, "wanted": one.wanted} for one in wanted
                ],
            },
        )
    elif chart:
        _draw(ahead)
    else:
        print_table(_COLUMNS, [_row(day) for day in ahead], numbers=("day", "ceiling", "target"))
    if wanted and not json:
        say(f"seeds to add: {', '.join(one.said for one in wanted)}")


async def _forecast(
    here: Invocation, address: str, days: int
) -> tuple[Mailbox, tuple[DayAhead, ...], tuple[SeedsWanted, ...]]:
    """Raises UnknownMailbox, and Fault for a mailbox that never sends."""
    async with glance(here) as seen:
        mailbox = await seen.ledger.mailboxes.get(address)
        if not mailbox.role.sends:
            fix = f"`warmup mailbox set {mailbox.address} --role both` makes it send too"
            raise bad_input(f"{mailbox.address} is a {mailbox.role} and has no ramp", fix)
        circle = seen.circle()
        roster, retired = await Roster.read(circle), await circle.ledger.retirements.in_force()
        resting = frozenset(one.candidate.name for one in retired if one.candidate.suspect is Suspect.SEED)
        wanted = seeds_wanted([mailbox], roster, seen.settings.pairing.mix, resting)
        return mailbox, await forecast(mailbox, circle, days=days), wanted


def _line(day: DayAhead) -> dict[str, object]:
    return {
        "day": day.day,
        "date": day.date,
        "active": day.active,
        "ceiling": day.ceiling,
        "target": day.target,
        "lanes": day.lanes,
        "capped_by": day.capped_by,
        "reason": day.reason,
    }


def _row(day: DayAhead) -> tuple[object, ...]:
    lanes = ", ".join(f"{provider} {n}" for provider, n in day.lanes.items() if n)
    if not day.active:
        return day.date, f"{day.date:%a}", "", "", "", "", "", day.reason
    return day.date, f"{day.date:%a}", day.day, day.ceiling, day.target, lanes, day.capped_by, day.reason


def _draw(ahead: Sequence[DayAhead]) -> None:
    """Bars: full for the target, light for what the ramp alone would allow besides."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    most = max(1, *(day.ceiling for day in ahead))
    width = min(_BAR, most)
    for day in ahead:
        line = Text(f"{day.date} {day.date:%a} ")
        if day.active:
            target = round(width * day.target / most)
            line.append("█" * target, style="green").append("░" * (round(width * day.ceiling / most) - target), "dim")
            held = "" if day.target == day.ceiling else f" of {day.ceiling} ({day.capped_by})"
            line.append(f" {day.target}{held}")
        else:
            line.append("·", style="dim")
        console.print(line)
