"""What a mailbox's turn to send begins with: who it is, what is due, to whom, and how fresh its own reading is.

Read on one snapshot and by one way to the reader's thread, which costs more than the rows. What may go is not decided
by it: the claim reads everything that matters again, in its own transaction (warmup/ledger/situation).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from warmup.ledger.enrolled import read_mailbox
from warmup.ledger.own import read_last_good
from warmup.ledger.slots import Slot, read_due_of
from warmup.ledger.store import Store
from warmup.policy.mailbox import Mailbox, MailboxId


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`due` are the mailbox's slots, earliest first; `recipients` are theirs. `own_read_at`: the last good reading."""

    mailbox: Mailbox
    due: tuple[Slot, ...]
    recipients: Mapping[MailboxId, Mailbox]
    own_read_at: datetime | None


class Turns:
    """Reads them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, mailbox_id: MailboxId, now: datetime) -> Turn:
        """The mailbox's turn at `now`; LookupError where there never was one of that id, which no row allows."""
        return await self._store.read_together(_of, mailbox_id, now)


def _of(connection: Connection, mailbox_id: MailboxId, now: datetime) -> Turn:
    due = read_due_of(connection, mailbox_id, now)
    return Turn(
        mailbox=_known(connection, mailbox_id),
        due=due,
        recipients={each: _known(connection, each) for each in dict.fromkeys(slot.recipient_id for slot in due)},
        own_read_at=read_last_good(connection, mailbox_id) if due else None,
    )


def _known(connection: Connection, mailbox_id: MailboxId) -> Mailbox:
    found = read_mailbox(connection, mailbox_id)
    if found is None:
        raise LookupError(f"no mailbox {mailbox_id}")
    return found
