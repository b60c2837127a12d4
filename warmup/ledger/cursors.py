"""How far every folder was read: each message is looked at once."""

from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.tables import cursors
from warmup.policy.mailbox import MailboxId


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last UID that was read in a folder, under its UIDVALIDITY (RFC 3501 2.3.1.1): under another one, none was."""

    folder: str
    uidvalidity: int
    last_uid: int


def read_cursor(connection: Connection, mailbox_id: MailboxId, folder: str) -> Cursor | None:
    """The folder's cursor; None where it was never read."""
    query = select(cursors).where(cursors.c.mailbox_id == mailbox_id, cursors.c.folder == folder)
    row = connection.execute(query).one_or_none()
    return None if row is None else Cursor(folder=row.folder, uidvalidity=row.uidvalidity, last_uid=row.last_uid)


def put_cursor(connection: Connection, mailbox_id: MailboxId, cursor: Cursor) -> None:
    """Keep a folder's cursor in place of the one before."""
    known = {"uidvalidity": cursor.uidvalidity, "last_uid": cursor.last_uid}
    connection.execute(
        upsert(cursors)
        .values(mailbox_id=mailbox_id, folder=cursor.folder, **known)
        .on_conflict_do_update(index_elements=["mailbox_id", "folder"], set_=known)
    )
