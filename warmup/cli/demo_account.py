"""The demo's closing account: what the ledger says, day by day and in all, against what the servers counted."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from warmup.ledger.export import Row
from warmup.ledger.history import Day
from warmup.ledger.standings import Subject
from warmup.policy.fate import Placement
from warmup.policy.mailbox import Mailbox
from warmup.policy.standing import Standing, worst
from warmup.sandbox import Record
from warmup.steps.circle import Circle

ENDINGS = {
    "accepted": "sent",
    "lapsed": "lapsed",
    "deferred": "deferred",
    "refused": "refused",
    "uncertain": "uncertain",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`mailboxes` and `totals` in the shape of CONTRACT's `demo --json`; `messages` are the ledger's own rows."""

    mailboxes: list[dict[str, Any]]
    totals: dict[str, int]

    @property
    def is_sound(self) -> bool:
        """True where the servers saw nothing twice, nothing above a limit and nothing the ledger lacks."""
        return not any(self.totals[key] for key in ("duplicates", "over_limit", "untracked"))


async def account_of(circle: Circle, record: Record, *, first: date, days: int) -> Account:
    """The account of `days` days from `first` on."""
    messages = [row async for row in circle.ledger.export.messages()]
    fleet = [mailbox for mailbox in await circle.ledger.mailboxes.list() if mailbox.role.sends]
    limits = {mailbox.address: mailbox.daily_limit for mailbox in fleet}
    placed = placements(messages)
    return Account(
        mailboxes=[await _mailbox(mailbox, placed, record, circle, first=first, days=days) for mailbox in fleet],
        totals=totals(messages, record, limits),
    )


def totals(messages: list[Row], record: Record, limits: dict[str, int]) -> dict[str, int]:
    """The sums of the contract: the ledger's on the left, the servers' in the last three."""
    ends = Counter(ENDINGS.get(row["outcome"], row["outcome"]) for row in messages)
    landed = Counter(row["placement"] or "unobserved" for row in messages if row["outcome"] == "accepted")
    known = {row["message_id"] for row in messages}
    slots_by_id = Counter(row["message_id"] for row in messages)
    twice = set(record.duplicates()) | {each for each, count in slots_by_id.items() if count > 1}
    return {
        "planned": len(messages),
        **{name: ends[name] for name in ENDINGS.values()},
        "seen": sum(landed[place.value] for place in Placement if place.is_seen),
        **{place.value: landed[place.value] for place in Placement},
        "duplicates": len(twice),
        "over_limit": len(record.over_limit(limits)),
        "untracked": sum(1 for message_id in record.received if message_id not in known),
    }


def placements(messages: list[Row]) -> dict[tuple[str, str, str], Counter[str]]:
    """Sent messages by sender, date and receiving provider: how many, and where they landed."""
    found: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for row in messages:
        if row["outcome"] == "accepted":
            lane = found[row["mailbox"], row["date"], row["provider"]]
            lane["sent"] += 1
            lane[row["placement"] or "unobserved"] += 1
    return dict(found)


async def _mailbox(
    mailbox: Mailbox,
    placed: dict[tuple[str, str, str], Counter[str]],
    record: Record,
    circle: Circle,
    *,
    first: date,
    days: int,
) -> dict[str, Any]:
    history = await circle.ledger.history.of(mailbox.id, since=first, until=first + timedelta(days=days))
    standings = await _Standings.read(mailbox, circle)
    shown = [_day(mailbox, day, placed, standings, number=(day.date - first).days + 1) for day in history]
    return {
        "address": mailbox.address,
        "provider": mailbox.provider,
        "limit": mailbox.daily_limit,
        "sent": sum(day["sent"] for day in shown),
        "max_in_24h": record.most_in_24h(mailbox.address),
        "days": shown,
    }


def _day(
    mailbox: Mailbox,
    day: Day,
    placed: dict[tuple[str, str, str], Counter[str]],
    standings: "_Standings",
    *,
    number: int,
) -> dict[str, Any]:
    on = day.date.isoformat()
    lanes = []
    for lane in day.lanes:
        counts = placed.get((mailbox.address, on, lane.provider), Counter())
        lanes.append(
            {
                "provider": lane.provider,
                "target": lane.target,
                "sent": counts["sent"],
                "inbox": counts["inbox"],
                "spam": counts["spam"],
                "standing": standings.at_end_of(day.date, lane.provider).value,
            }
        )
    whole: Counter[str] = sum(
        (placed.get((mailbox.address, on, lane.provider), Counter()) for lane in day.lanes), Counter()
    )
    return {
        "day": number,
        "date": on,
        "ceiling": day.ceiling,
        "target": day.target,
        "sent": whole["sent"],
        "inbox": whole["inbox"],
        "spam": whole["spam"],
        "missing": whole["missing"],
        "standing": worst(standings.at_end_of(day.date, lane.provider) for lane in day.lanes).value,
        "lanes": lanes,
    }


@dataclass(frozen=True, slots=True)
class _Standings:
    """The standings of one mailbox's lanes over time."""

    by_lane: dict[str, list[tuple[datetime, Standing]]]
    zone: Any

    @classmethod
    async def read(cls, mailbox: Mailbox, circle: Circle) -> "_Standings":
        found: defaultdict[str, list[tuple[datetime, Standing]]] = defaultdict(list)
        async for row in circle.ledger.export.standings():
            if row["subject_kind"] == Subject.LANE.value and row["subject"] == mailbox.address:
                found[row["provider"]].append((datetime.fromisoformat(row["at"]), Standing(row["standing"])))
        return cls(dict(found), mailbox.zone)

    def at_end_of(self, on: date, provider: str) -> Standing:
        """The standing of a lane when the date ended in the mailbox's zone; WATCHED before anything was judged."""
        known = [standing for at, standing in self.by_lane.get(provider, ()) if at.astimezone(self.zone).date() <= on]
        return known[-1] if known else Standing.WATCHED
