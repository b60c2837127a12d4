"""What a person sees of the demo: a line a day while it runs, then a table, a paragraph and the totals."""

from typing import Any

from warmup.cli.output import print_table, say

MARKS = {"sound": "", "watched": "·", "slowed": "▼", "halted": "■"}


def line_of(day: int, days: int, rows: list[dict[str, Any]]) -> str:
    """One simulated day in a line: volumes, placements, and lanes in trouble."""
    today = [row["days"][-1] for row in rows if row["days"]]
    sums = {key: sum(row[key] for row in today) for key in ("sent", "target", "inbox", "spam", "missing")}
    trouble = [
        f"{row['address']} → {lane['provider']} {lane['standing']}"
        for row in rows
        if row["days"]
        for lane in row["days"][-1]["lanes"]
        if lane["standing"] in ("slowed", "halted")
    ]
    text = (
        f"day {day:>2}/{days}  sent {sums['sent']:>3} of {sums['target']:>3}"
        f"  inbox {sums['inbox']:>3}  spam {sums['spam']:>2}"
    )
    return text + (f"  {'; '.join(trouble)}" if trouble else "")


def show_closing(document: dict[str, Any]) -> None:
    """The closing table, what was seen in words, and the totals."""
    rows = [
        (
            mailbox["address"],
            mailbox["provider"],
            mailbox["limit"],
            mailbox["days"][0]["sent"],
            mailbox["days"][-1]["sent"],
            mailbox["sent"],
            mailbox["max_in_24h"],
            f"{_share(mailbox):.1%}",
            " ".join(f"{lane['provider']} {lane['standing']}" for lane in mailbox["days"][-1]["lanes"]),
        )
        for mailbox in document["mailboxes"]
        if mailbox["days"]
    ]
    columns = (
        "mailbox",
        "provider",
        "limit",
        "first day",
        "last day",
        "sent",
        "most in 24 h",
        "inbox",
        "lanes at the end",
    )
    print_table(columns, rows, numbers=columns[2:8])
    say_plainly(document)
    totals = document["totals"]
    print_table(("total", "messages"), list(totals.items()), numbers=("messages",))


def say_plainly(document: dict[str, Any]) -> None:
    """One paragraph about what was seen."""
    turned, totals = document["turned"], document["totals"]
    lane_days = [
        (day["day"], lane)
        for mailbox in document["mailboxes"]
        if mailbox["address"] == turned["address"]
        for day in mailbox["days"]
        for lane in day["lanes"]
        if lane["provider"] == turned["provider"]
    ]
    braked = next((day for day, lane in lane_days if lane["standing"] in ("slowed", "halted")), None)
    after = [day for day, lane in lane_days if braked and day > braked and lane["standing"] == "sound"]
    text = f"{totals['sent']} of {totals['planned']} planned messages were sent in {document['days']} days; "
    text += f"{totals['inbox']} were found in the inbox, {totals['spam']} in junk, {totals['missing']} nowhere. "
    if braked is not None:
        text += (
            f"{turned['provider']} turned against {turned['address']} from day {turned['from_day']} to "
            f"{turned['to_day']}: the lane was braked on day {braked}, only that lane, "
        )
        text += f"and was sound again on day {after[0]}. " if after else "and has not recovered yet. "
    checks = ("duplicates", "over_limit", "untracked")
    wrong = [f"{totals[key]} {key}" for key in checks if totals[key]]
    text += (
        f"Against the servers' own count: {', '.join(wrong)}."
        if wrong
        else ("The servers' own count agrees: nothing came twice, no limit was passed, nothing is unaccounted for.")
    )
    say(text)


def _share(mailbox: dict[str, Any]) -> float:
    seen = sum(day["inbox"] + day["spam"] + day["missing"] for day in mailbox["days"])
    return sum(day["inbox"] for day in mailbox["days"]) / seen if seen else 0.0
