"""How far every folder was read: each message is looked at once."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger.prepared import Prepared
from warmup.ledger.tables import cursors
from warmup.policy.mailbox import MailboxId


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last UID that was read in a folder, under its UIDVALIDITY (RFC 3501 2.3.1.1): under another one, none was."""

    folder: str
    uidvalidity: int
    last_uid: int


_CURSORS: Final = Prepared(select(cursors).where(cursors.c.mailbox_id == bindparam("mailbox")))
_NEW = upsert(cursors)
_KEEP: Final = Prepared(
    _NEW.on_conflict_do_update(
        index_elements=["mailbox_id", "folder"],
        set_={"uidvalidity": _NEW.excluded.uidvalidity, "last_uid": _NEW.excluded.last_uid},
    ),
    ("mailbox_id", "folder", "uidvalidity", "last_uid"),
)


def read_cursors(connection: Connection, mailbox_id: MailboxId) -> dict[str, Cursor]:
    """How far each of a mailbox's folders was read, by folder; one that never was is not there."""
    return {
        row["folder"]: Cursor(folder=row["folder"], uidvalidity=row["uidvalidity"], last_uid=row["last_uid"])
        for row in _CURSORS.all(connection, {"mailbox": mailbox_id})
    }


def put_cursor(connection: Connection, mailbox_id: MailboxId, cursor: Cursor) -> None:
    """Keep a folder's cursor in place of the one before."""
    known = {"uidvalidity": cursor.uidvalidity, "last_uid": cursor.last_uid}
    _KEEP.run(connection, {"mailbox_id": mailbox_id, "folder": cursor.folder, **known})
