"""What belongs to a message and to a mailbox: the one list of tables whose rows go with either.

Whoever deletes a message, since it is past its horizon or its mailbox is purged, deletes by these. What is about an
account, a domain or an address (holds, kept uses, suppressions) belongs to neither and stays.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, select

from warmup.ledger.tables import (
    attempts,
    credentials,
    cursors,
    days,
    due_slots,
    engagement_ends,
    engagements,
    flights,
    judge_cursors,
    lane_days,
    lapses,
    looks,
    outcomes,
    own_messages,
    own_readings,
    retirements,
    sightings,
    slots,
    standing_heads,
    standings,
    watches,
)
from warmup.ledger.tables_kept import bygones, lane_totals
from warmup.ledger.tables_said import authentications, listens, login_refusals, reports

OF_A_MESSAGE: Final[tuple[Table, ...]] = (
    reports,
    authentications,
    sightings,
    watches,
    flights,
    outcomes,
    attempts,
    due_slots,
    lapses,
)
"""Rows that go with their slot, in an order in which none is gone before what refers to it."""

OF_A_REMOVED_MAILBOX: Final[tuple[Table, ...]] = (credentials, listens)
"""Rows that go as soon as a mailbox is removed."""

OF_A_MAILBOX: Final[tuple[Table, ...]] = (
    cursors,
    looks,
    own_messages,
    own_readings,
    standing_heads,
    standings,
    judge_cursors,
    login_refusals,
    retirements,
    bygones,
    lane_totals,
    lane_days,
    days,
)
"""Rows that go when it is purged, once its messages have gone, in such an order too."""

Messages = Sequence[int] | Select[int]


def forget_messages(connection: Connection, which: Messages, *, engaged: ColumnElement[bool] | None = None) -> None:
    """Delete slots, by their ids, with all their rows, and the engagements that are `engaged` besides."""
    theirs = engagements.c.slot_id.in_(which)
    intents = select(engagements.c.id).where(theirs if engaged is None else theirs | engaged)
    connection.execute(delete(engagement_ends).where(engagement_ends.c.engagement_id.in_(intents)))
    connection.execute(delete(engagements).where(engagements.c.id.in_(intents)))
    for table in OF_A_MESSAGE:
        connection.execute(delete(table).where(table.c.slot_id.in_(which)))
    connection.execute(delete(slots).where(slots.c.id.in_(which)))


def forget_mailbox(connection: Connection, mailbox_id: int, tables: Sequence[Table]) -> None:
    """Delete a mailbox's rows from these tables."""
    for table in tables:
        connection.execute(delete(table).where(table.c.mailbox_id == mailbox_id))
