"""What people see of a comparison: a chart of the days, and a table of the measures."""

from collections.abc import Sequence
from typing import Final

from warmup.cli.output import print_table
from warmup.cli.simulation.measures import Account, Measures

_HEIGHTS: Final = " ▁▂▃▄▅▆▇█"
_WIDTH: Final = 60
_COLUMNS: Final = (
    *("ramp", "controller", "value", "inbox", "spam", "missing", "deferred", "refused"),
    *("spam share", "worst day", "days to target", "reached", "braked within", "recovered", "false brakes/lane-week"),
)


def draw(shown: Sequence[tuple[Measures, Account]]) -> None:
    """Per ramp and controller two lines, day by day: the inbox in green, spam in red; full height is the target."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    width = max(len(_name(measures)) for measures, _ in shown)
    for measures, account in shown:
        inbox = _bars(account.daily_inbox, measures.target * account.mailboxes)
        spam = _bars(account.daily_spam, measures.target * account.mailboxes)
        console.print(Text(f"{_name(measures):<{width}} inbox ").append(inbox, "green"))
        console.print(Text(f"{'':<{width}} spam  ").append(spam, "red"))
    console.print(Text(f"{'':<{width}}       day 1 to {len(shown[0][1].daily_sent)}, a full bar is the target", "dim"))


def show(shown: Sequence[Measures]) -> None:
    """The table of measures."""
    print_table(_COLUMNS, [_row(measures) for measures in shown], numbers=_COLUMNS[2:])


def _name(measures: Measures) -> str:
    return f"{measures.ramp} {measures.controller}"


def _row(of: Measures) -> tuple[object, ...]:
    braked = of.braked_within_days
    return (
        of.ramp,
        of.controller,
        f"{of.value:,.0f}",
        *(f"{count:,.1f}" for count in (of.inbox, of.spam, of.missing, of.deferred, of.refused)),
        f"{of.spam_share:.1%}",
        f"{of.worst_day_spam_share:.1%}",
        _days(of.days_to_target.median),
        f"{of.days_to_target.reached_share:.0%}",
        _days(braked.median) if braked else None,
        None if of.recovered_share is None else f"{of.recovered_share:.0%}",
        None if of.false_brakes_per_lane_week is None else f"{of.false_brakes_per_lane_week:.4f}",
    )


def _days(days: float | None) -> str:
    return "–" if days is None else f"{days:.0f}"


def _bars(daily: Sequence[int], full: float) -> str:
    """The days as bars, several to a bar where there are many; anything at all is at least the lowest bar."""
    each = -(-len(daily) // _WIDTH)
    bars = []
    for first in range(0, len(daily), each):
        days = daily[first : first + each]
        share = sum(days) / len(days) / full
        bars.append(_HEIGHTS[min(8, max(1, round(share * 8)))] if share > 0.002 else _HEIGHTS[0])
    return "".join(bars)
