"""`warmup status`: the fleet at a glance, from the ledger alone, whether the daemon runs or not."""

import asyncio
import gc
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from warmup.cli.faults import wrong_usage
from warmup.cli.glance import Glance, glance
from warmup.cli.invocation import Invocation, invocation
from warmup.cli.opening import holder_of
from warmup.cli.output import Json, instant, print_json, say
from warmup.cli.restored import restored_line, restored_of
from warmup.clock import pause
from warmup.config import Settings
from warmup.ledger.lock import Holder
from warmup.ledger.retirements import Retirement
from warmup.ledger.status import Overview
from warmup.policy.attribution import Suspect
from warmup.policy.authentication import Method, Share
from warmup.policy.mailbox import State
from warmup.steps.roster import Roster
from warmup.steps.seeds import SeedsWanted, seeds_wanted

app = typer.Typer(add_completion=False)

_COLUMNS = ("mailbox", "provider", "day", "sent/target/limit", "inbox", "standing", "problem")
_NUMBERS = frozenset({"day", "sent/target/limit"})
_GAP = "  "
_EVERY_SECONDS = 2.0
_NAMED = 3


@app.command()
def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it again every two seconds, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show every mailbox: what it sent of its target and limit today, its inbox rate, its standing, its problem."""
    if watch and json:
        raise wrong_usage("--watch draws for people and --json prints one document", "leave one of them out")
    here = invocation(ctx)
    if not watch:
        # Thousands of values, all in use until the end: collecting would only walk them, a quarter of the time.
        gc.disable()
        asyncio.run(_once(here, as_json=json))
        return
    try:
        asyncio.run(_again_and_again(here))
    except KeyboardInterrupt:
        # Ctrl-C is how a watch ends, and no failure.
        return


async def _once(here: Invocation, *, as_json: bool) -> None:
    async with glance(here) as seen:
        fleet, now, daemon = await _read(seen)
        retired = await seen.ledger.retirements.in_force()
        restored = await restored_of(seen.ledger, now)
    if as_json:
        document = {
            "at": now,
            "daemon": _daemon(daemon),
            "restored": restored,
            "mailboxes": [_line(one) for one in fleet],
            "retired": [_retired(one) for one in retired],
            "seeds_wanted": [
                {"provider": one.provider, "seeds": one.seeds, "wanted": one.wanted}
                for one in _wanted(fleet, retired, seen.settings)
            ],
        }
        print_json("status", document)
    else:
        _print(fleet, now, daemon)
        _print_retired(retired)
        _print_restored(restored)
        _print_wanted(_wanted(fleet, retired, seen.settings))


async def _again_and_again(here: Invocation) -> None:
    async with glance(here) as seen:
        while True:
            fleet, now, daemon = await _read(seen)
            _clear()
            retired = await seen.ledger.retirements.in_force()
            _print(fleet, now, daemon, height=shutil.get_terminal_size().lines if sys.stdout.isatty() else None)
            _print_retired(retired)
            _print_restored(await restored_of(seen.ledger, now))
            _print_wanted(_wanted(fleet, retired, seen.settings))
            sys.stdout.flush()
            await pause(_EVERY_SECONDS)


async def _read(seen: Glance) -> tuple[tuple[Overview, ...], datetime, Holder | None]:
    now = seen.clock.now()
    return await seen.ledger.status.fleet(now=now), now, await asyncio.to_thread(holder_of, seen.settings)


def _daemon(found: Holder | None) -> dict[str, Any] | None:
    return None if found is None else {"host": found.host, "pid": found.pid, "since": found.since}


def _retired(one: Retirement) -> dict[str, Any]:
    return {"kind": one.candidate.suspect, "name": one.candidate.name, "since": one.since, "reason": one.reason}


def _line(one: Overview) -> dict[str, Any]:
    """One mailbox of the document."""
    mailbox, judged = one.mailbox, one.judged.mailbox
    return {
        "address": mailbox.address,
        "account": one.account,
        "provider": mailbox.provider,
        "receiver": mailbox.receiver,
        "role": mailbox.role.value,
        "state": mailbox.state.value,
        "limit": mailbox.daily_limit,
        "target": mailbox.target,
        "ramp": mailbox.ramp,
        "timezone": mailbox.timezone,
        "day": one.day,
        "sent_today": one.sent_today,
        "target_today": one.target_today,
        "sent_24h": one.sent_24h,
        "own_24h": one.own_24h,
        "inbox_ratio": judged.inbox_ratio if judged else None,
        "lower_ratio": judged.lower_ratio if judged else None,
        "upper_ratio": judged.upper_ratio if judged else None,
        "standing": one.standing.value if one.standing else None,
        "capped_by": one.capped_by.value if one.capped_by else None,
        "suppressed": one.suppressed,
        "holds": [
            {"provider": held.provider, "of": held.of, "until": held.until, "reason": held.reason} for held in one.holds
        ],
        "authentication": [
            {"provider": provider, **{method.value: _ratio(found.get(method)) for method in Method}}
            for provider, found in sorted(one.authentication.items())
        ],
        "problem": mailbox.problem,
        "problem_at": instant(one.problem_at) if one.problem_at else None,
    }


def _ratio(share: Share | None) -> float | None:
    return None if share is None else share.ratio


def _print(fleet: Sequence[Overview], now: datetime, daemon: Holder | None, *, height: int | None = None) -> None:
    """The table for people; with a `height` no more lines than that."""
    typer.echo(f"{instant(now.replace(microsecond=0))}{_GAP}{_told(daemon)}{_GAP}{_sums(fleet)}")
    if not fleet:
        say("no mailbox is enrolled; begin with `warmup mailbox add ADDRESS`")
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    room = len(fleet) if height is None else max(1, height - 7)
    lines = _grid(_COLUMNS, [_row(one) for one in fleet[:room]])
    typer.echo("\n".join(["", *(line[:width] for line in lines)]))
    if room < len(fleet):
        typer.echo(f"and {len(fleet) - room} more")


def _print_retired(retired: Sequence[Retirement]) -> None:
    """One line, so that a watch keeps its height; `report` has the reasons."""
    if retired:
        names = ", ".join(f"{one.candidate.suspect} {one.candidate.name}" for one in retired[:_NAMED])
        more = f" and {len(retired) - _NAMED} more" if len(retired) > _NAMED else ""
        typer.echo(f"left out for now: {names}{more}")


def _wanted(fleet: Sequence[Overview], retired: Sequence[Retirement], settings: Settings) -> tuple[SeedsWanted, ...]:
    """The seeds that are missing; none where nobody is enrolled to be written to yet."""
    mailboxes = [one.mailbox for one in fleet]
    roster = Roster(mailboxes, frozenset(one.mailbox.address.lower() for one in fleet if one.suppressed is not None))
    resting = frozenset(one.candidate.name for one in retired if one.candidate.suspect is Suspect.SEED)
    return seeds_wanted(mailboxes, roster, settings.pairing.mix, resting)


def _print_wanted(wanted: Sequence[SeedsWanted]) -> None:
    """One line, so that a watch keeps its height."""
    if wanted:
        more = f" and {len(wanted) - _NAMED} receivers more" if len(wanted) > _NAMED else ""
        typer.echo(f"seeds to add: {', '.join(one.said for one in wanted[:_NAMED])}{more}")


def _print_restored(restored: dict[str, Any] | None) -> None:
    if restored is not None:
        typer.echo(restored_line(restored))


def _told(daemon: Holder | None) -> str:
    return f"daemon: {daemon}" if daemon else "daemon: not running"


def _sums(fleet: Sequence[Overview]) -> str:
    sent, target = sum(one.sent_today for one in fleet), sum(one.target_today for one in fleet)
    return f"{len(fleet)} mailboxes, {sent} of {target} sent today"


def _row(one: Overview) -> tuple[str, ...]:
    mailbox = one.mailbox
    return (
        mailbox.address,
        mailbox.provider,
        str(one.day),
        f"{one.sent_today}/{one.target_today}/{mailbox.daily_limit}",
        _inbox(one),
        _standing(one),
        _printable(mailbox.problem or _suppression(one) or _holds(one)),
    )


def _inbox(one: Overview) -> str:
    judged = one.judged.mailbox
    if judged is None or judged.inbox_ratio is None:
        return "-"
    if judged.lower_ratio is None or judged.upper_ratio is None:
        return f"{judged.inbox_ratio:.0%}"
    return f"{judged.inbox_ratio:.0%} ({judged.lower_ratio:.0%} to {judged.upper_ratio:.0%})"


def _suppression(one: Overview) -> str:
    if one.suppressed is None:
        return ""
    return f"nobody writes to it until `warmup mailbox check {one.mailbox.address}`: {one.suppressed}"


def _holds(one: Overview) -> str:
    return "; ".join(
        f"{held.provider or 'all sending'}{of} waits until {instant(held.until.replace(microsecond=0))}: {held.reason}"
        for held in one.holds
        for of in [f" of all of {held.of}" if held.of else ""]
    )


def _standing(one: Overview) -> str:
    standing = one.standing.value if one.standing else "-"
    return standing if one.mailbox.state is State.ACTIVE else f"{one.mailbox.state} ({standing})"


def _printable(text: str) -> str:
    """One line without control characters: servers wrote part of it, and a terminal would obey them."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def _grid(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns in line. rich needs five seconds for ten thousand rows, this a twentieth of one."""
    table = [columns, *rows]
    widths = [max(map(_cells, column)) for column in zip(*table, strict=True)]
    ruled = [columns, ["─" * width for width in widths], *table[1:]]
    right = [column in _NUMBERS for column in columns]
    return [
        _GAP.join(
            _padded(cell, width, right=side) for cell, width, side in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in ruled
    ]


def _padded(cell: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - _cells(cell))
    return blanks + cell if right else cell + blanks


def _cells(text: str) -> int:
    """How wide a terminal draws it."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _clear() -> None:
    if sys.stdout.isatty():
        # Home, and clear to the end: the lines change, the window does not flicker.
        sys.stdout.write("\x1b[H\x1b[J")
