"""What the dates of a lane came to: folded from the messages' rows, and kept once those are deleted."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.believed import Seen, landing, taken
from warmup.ledger.sightings import Stage
from warmup.ledger.slots import warms
from warmup.ledger.tables import outcomes, sightings
from warmup.ledger.tables_kept import lane_totals
from warmup.policy.fate import Placement
from warmup.policy.mailbox import MailboxId

Lane = tuple[int, date, str]
"""Mailbox, civil date and receiving provider."""

SENT = "sent"
OWN = "own"
_WORDS = (SENT, *(place.value for place in Placement if place is not Placement.UNOBSERVED), OWN)


def sums_of(
    connection: Connection, of_outcomes: ColumnElement[bool], of_sightings: ColumnElement[bool]
) -> Counter[tuple[Lane, str]]:
    """Messages believed accepted (`sent`) of some outcomes, and by first placement of some sightings of them.

    Tests are left out. Missing counts only where the message was taken; unobserved is not counted at all.
    """
    lane = (outcomes.c.mailbox_id, outcomes.c.date, outcomes.c.provider)
    took: dict[int, Lane] = {
        row.slot_id: (row.mailbox_id, row.date, row.provider)
        for row in connection.execute(
            select(outcomes.c.slot_id, *lane).where(of_outcomes, taken(), warms(outcomes.c.slot_id))
        )
    }
    seen: defaultdict[int, list[Seen]] = defaultdict(list)
    for row in connection.execute(select(sightings).where(of_sightings).order_by(sightings.c.id)):
        seen[row.slot_id].append(Seen(stage=Stage(row.stage), placement=Placement(row.placement), at=row.at))
    found = Counter((whose, SENT) for whose in took.values())
    for slot_id, whose in took.items():
        landed = landing(seen[slot_id])
        if landed is not None and landed.placement is not Placement.UNOBSERVED:
            found[whose, landed.placement.value] += 1
    return found


def kept_sums(
    connection: Connection, ids: Collection[MailboxId], since: date, until: date
) -> Counter[tuple[Lane, str]]:
    """What was kept of mailboxes' dates from `since` on and before `until`; their own traffic has the provider ""."""
    mine = lane_totals.c.mailbox_id.in_(ids) & (lane_totals.c.date >= since) & (lane_totals.c.date < until)
    found: Counter[tuple[Lane, str]] = Counter()
    for row in connection.execute(select(lane_totals).where(mine)).mappings():
        found.update({((row["mailbox_id"], row["date"], row["provider"]), word): row[word] for word in _WORDS})
    return found


def keep_sums(connection: Connection, slot_ids: Collection[int]) -> None:
    """Add to `lane_totals` what these slots come to: they are deleted next, in the same transaction."""
    found = sums_of(connection, outcomes.c.slot_id.in_(slot_ids), sightings.c.slot_id.in_(slot_ids))
    _add(connection, found)


def keep_own(connection: Connection, mailbox_id: int, dates: Iterable[date]) -> None:
    """Add own messages of these dates, one each, likewise."""
    _add(connection, Counter(((mailbox_id, on, ""), OWN) for on in dates))


def _add(connection: Connection, found: Mapping[tuple[Lane, str], int]) -> None:
    rows: defaultdict[Lane, dict[str, Any]] = defaultdict(lambda: dict.fromkeys(_WORDS, 0))
    for (whose, word), n in found.items():
        rows[whose][word] += n
    if not rows:
        return
    add = upsert(lane_totals)
    more = {word: lane_totals.c[word] + add.excluded[word] for word in _WORDS}
    connection.execute(
        add.on_conflict_do_update(index_elements=["mailbox_id", "date", "provider"], set_=more),
        [
            {"mailbox_id": mailbox_id, "date": on, "provider": provider, **words}
            for (mailbox_id, on, provider), words in rows.items()
        ],
    )
