"""What a mailbox's turn begins with: to send, who it is, what is due and to whom; to look, how far it was read.

Read on one snapshot and by one way to the reader's thread, which costs more than the rows. What may go is not decided
by it: the claim reads everything that matters again, in its own transaction (warmup/ledger/situation).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from warmup.ledger.cursors import Cursor, read_cursors
from warmup.ledger.enrolled import read_mailbox
from warmup.ledger.own import read_last_good
from warmup.ledger.slots import Slot, read_due_of
from warmup.ledger.store import Store
from warmup.policy.mailbox import Mailbox, MailboxId


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnToSend:
    """`due` are the mailbox's slots, earliest first; `recipients` are theirs. `own_read_at`: the last good reading."""

    mailbox: Mailbox
    due: tuple[Slot, ...]
    recipients: Mapping[MailboxId, Mailbox]
    own_read_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnToLook:
    """`cursors` say how far each of the mailbox's folders was read."""

    mailbox: Mailbox
    cursors: Mapping[str, Cursor]


class Turns:
    """Reads them. LookupError where there never was a mailbox of that id, which no row allows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def to_send(self, mailbox_id: MailboxId, now: datetime) -> TurnToSend:
        """With what is due at `now`."""
        return await self._store.read_together(_to_send, mailbox_id, now)

    async def to_look(self, mailbox_id: MailboxId) -> TurnToLook:
        """With the cursors as they are."""
        return await self._store.read_together(_to_look, mailbox_id)


def _to_look(connection: Connection, mailbox_id: MailboxId) -> TurnToLook:
    return TurnToLook(mailbox=_known(connection, mailbox_id), cursors=read_cursors(connection, mailbox_id))


def _to_send(connection: Connection, mailbox_id: MailboxId, now: datetime) -> TurnToSend:
    due = read_due_of(connection, mailbox_id, now)
    return TurnToSend(
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
