"""Logins that servers refused, so that a restart does not try them again: accounts are locked for less."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from warmup.ledger.prepared import Prepared
from warmup.ledger.store import Store
from warmup.ledger.tables_said import login_refusals
from warmup.policy.mailbox import MailboxId, Protocol

_REFUSALS: Final = Prepared(
    select(login_refusals.c.protocol, func.count().label("n"))
    .where(login_refusals.c.mailbox_id == bindparam("mailbox"))
    .group_by(login_refusals.c.protocol)
)


class LoginWriter:
    """Writes `login_refusals`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def refused(self, mailbox_id: MailboxId, protocol: Protocol, *, now: datetime) -> Mapping[Protocol, int]:
        """Keep a refusal; how many there are now, by protocol."""
        return await self._store.write(_refused, mailbox_id, protocol, now=now)

    async def refusals(self, mailbox_id: MailboxId) -> Mapping[Protocol, int]:
        """How many logins were refused since the door last opened, by protocol."""
        return await self._store.read_together(read_refusals, mailbox_id)

    async def last_refused(self, mailbox_id: MailboxId, protocol: Protocol) -> datetime | None:
        """When the last login was refused, if the door did not open since."""
        return await self._store.read(_last_refused, mailbox_id, protocol)

    async def forget(self, mailbox_id: MailboxId, protocol: Protocol | None = None) -> None:
        """Forget the refusals of one protocol, or of both: the login was taken, or proven by its operator."""
        await self._store.write(forget_refusals, mailbox_id, protocol)


def forget_refusals(connection: Connection, mailbox_id: MailboxId, protocol: Protocol | None) -> None:
    """See `LoginWriter.forget`; a new credential forgets them in its own transaction."""
    mine = login_refusals.c.mailbox_id == mailbox_id
    if protocol is not None:
        mine &= login_refusals.c.protocol == protocol.value
    connection.execute(delete(login_refusals).where(mine))


def _refused(
    connection: Connection, mailbox_id: MailboxId, protocol: Protocol, *, now: datetime
) -> Mapping[Protocol, int]:
    connection.execute(insert(login_refusals).values(mailbox_id=mailbox_id, protocol=protocol.value, at=now))
    return read_refusals(connection, mailbox_id)


def read_refusals(connection: Connection, mailbox_id: MailboxId) -> Mapping[Protocol, int]:
    """See `LoginWriter.refusals`."""
    return {Protocol(row["protocol"]): row["n"] for row in _REFUSALS.all(connection, {"mailbox": mailbox_id})}


def _last_refused(connection: Connection, mailbox_id: MailboxId, protocol: Protocol) -> datetime | None:
    mine = (login_refusals.c.mailbox_id == mailbox_id) & (login_refusals.c.protocol == protocol.value)
    return connection.execute(select(func.max(login_refusals.c.at)).where(mine)).scalar()
