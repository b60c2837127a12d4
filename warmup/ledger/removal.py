"""How a mailbox leaves. What it used of its account's limit never leaves with it (DESIGN, Promises 2).

Removed, its history stays. Purged, its history and its name go; a nameless row stays, since what others sent to it is
their history, and the instants of what it sent stay in `kept_uses` until they have left every window.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, delete, func, insert, literal, select, update

from warmup.ledger.belongings import OF_A_MAILBOX, OF_A_REMOVED_MAILBOX, forget_mailbox, forget_messages
from warmup.ledger.columns import UtcDateTime
from warmup.ledger.sightings import NewSighting, Stage, record_one
from warmup.ledger.situation import COUNTED
from warmup.ledger.slots import lapse_of_mailbox
from warmup.ledger.tables import (
    attempts,
    engagements,
    flights,
    kept_uses,
    mailboxes,
    outcomes,
    own_messages,
    slots,
    watches,
)
from warmup.policy.fate import Placement
from warmup.policy.mailbox import MailboxId, SlotId

# Longer than any window with its margin.
_STILL_COUNTS = timedelta(days=3)


def remove_mailbox(connection: Connection, mailbox_id: MailboxId, *, now: datetime) -> None:
    """Take a mailbox out: its secrets go, what is due from it or to it lapses, what is awaited at it is unobserved."""
    changed = update(mailboxes).where(mailboxes.c.id == mailbox_id, mailboxes.c.removed_at.is_(None))
    connection.execute(changed.values(removed_at=now))
    forget_mailbox(connection, mailbox_id, OF_A_REMOVED_MAILBOX)
    lapse_of_mailbox(connection, mailbox_id, now=now, reason="removed")
    awaited = select(watches.c.slot_id, watches.c.stage).where(watches.c.recipient_id == mailbox_id)
    for slot_id, stage in connection.execute(awaited).all():
        if stage == Stage.FIRST:
            unobserved = NewSighting(slot_id=SlotId(slot_id), placement=Placement.UNOBSERVED)
            record_one(connection, unobserved, now=now)
    connection.execute(delete(watches).where(watches.c.recipient_id == mailbox_id))


def purge_mailbox(connection: Connection, mailbox_id: MailboxId, *, now: datetime) -> None:
    """Take a mailbox out with its history, and keep the instants of what counts against its account and domain."""
    remove_mailbox(connection, mailbox_id, now=now)
    _keep_uses(connection, mailbox_id, now=now)
    _forget_slots(connection, mailbox_id)
    forget_mailbox(connection, mailbox_id, OF_A_MAILBOX)
    nobody = {"address": f"purged-{mailbox_id}", "address_key": f"purged-{mailbox_id}", "name": "", "username": ""}
    emptied = dict.fromkeys(("problem", "junk_folder", "sent_folder", "trash_folder"))
    connection.execute(update(mailboxes).where(mailboxes.c.id == mailbox_id).values(tags=[], **nobody, **emptied))


def carry_uses(connection: Connection, mailbox_id: MailboxId, account_id: int) -> None:
    """Count what a mailbox sent under other accounts against this one too, where it is the mailbox's from now on.

    Another name of the same server or user is no other limit, and nobody tells us which it is: doubt brakes. Its domain
    has counted these already, so they bear none.
    """
    last = connection.execute(select(func.max(outcomes.c.at)).where(outcomes.c.mailbox_id == mailbox_id)).scalar()
    elsewhere, flying = outcomes.c.account_id != account_id, flights.c.account_id != account_id
    if last is not None:
        recent = (outcomes.c.at > last - _STILL_COUNTS) & outcomes.c.outcome.in_(COUNTED)
        sent = select(literal(account_id), literal(""), outcomes.c.at)
        _keep(connection, sent.where(outcomes.c.mailbox_id == mailbox_id, elsewhere, recent))
    claimed = select(literal(account_id), literal(""), attempts.c.claimed_at)
    claimed = claimed.join(flights, flights.c.attempt_id == attempts.c.id)
    _keep(connection, claimed.where(flights.c.mailbox_id == mailbox_id, flying))


def _keep(connection: Connection, uses: Select[int, str, datetime]) -> None:
    connection.execute(insert(kept_uses).from_select(["account_id", "domain", "at"], uses))


def _keep_uses(connection: Connection, mailbox_id: MailboxId, *, now: datetime) -> None:
    in_flight = literal(now, type_=UtcDateTime())
    counted = outcomes.c.outcome.in_(COUNTED)
    for query in (
        select(outcomes.c.account_id, outcomes.c.domain, outcomes.c.at).where(
            outcomes.c.mailbox_id == mailbox_id, counted
        ),
        # Nobody will record how these end; they count as if they were accepted now.
        select(flights.c.account_id, flights.c.domain, in_flight).where(flights.c.mailbox_id == mailbox_id),
        select(own_messages.c.account_id, own_messages.c.domain, own_messages.c.at).where(
            own_messages.c.mailbox_id == mailbox_id
        ),
    ):
        _keep(connection, query)


def _forget_slots(connection: Connection, mailbox_id: MailboxId) -> None:
    mine: Select[int] = select(slots.c.id).where(slots.c.mailbox_id == mailbox_id)
    # The answers of others stay theirs; what they answered is gone.
    connection.execute(update(slots).where(slots.c.in_reply_to.in_(mine)).values(in_reply_to=None))
    forget_messages(connection, mine, engaged=engagements.c.mailbox_id == mailbox_id)
