"""Sealed secrets put in the place of themselves: another key sealed them, and all else stays as it was."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, select, update

from warmup.ledger.tables import credentials, mailboxes
from warmup.policy.mailbox import MailboxId


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One sealed secret of a mailbox. `protocol` is `smtp`, `imap`, or that of a grant."""

    mailbox: MailboxId
    address: str
    protocol: str
    sealed: bytes = field(repr=False)


def read_sealed(connection: Connection) -> tuple[Sealed, ...]:
    """Every sealed secret there is, by mailbox."""
    query = (
        select(credentials.c.mailbox_id, mailboxes.c.address, credentials.c.protocol, credentials.c.sealed)
        .join(mailboxes, mailboxes.c.id == credentials.c.mailbox_id)
        .order_by(credentials.c.mailbox_id, credentials.c.protocol)
    )
    return tuple(
        Sealed(mailbox=MailboxId(row.mailbox_id), address=row.address, protocol=row.protocol, sealed=row.sealed)
        for row in connection.execute(query)
    )


def reseal(connection: Connection, many: Sequence[tuple[Sealed, bytes]]) -> None:
    """Put each `bytes` in the place of its `Sealed`, where that is still what is kept."""
    leave_no_trace(connection)
    changed = (
        update(credentials)
        .where(
            credentials.c.mailbox_id == bindparam("whose"),
            credentials.c.protocol == bindparam("door"),
            credentials.c.sealed == bindparam("before"),
        )
        .values(sealed=bindparam("after"))
    )
    connection.execute(
        changed,
        [
            {"whose": before.mailbox, "door": before.protocol, "before": before.sealed, "after": after}
            for before, after in many
        ],
    )


def leave_no_trace(connection: Connection) -> None:
    """Where a sealed secret was, the file has zeros (SQLite): a key that is given up must open nothing in it."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
