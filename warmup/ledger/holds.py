"""Holds: what a server said for a while, and for whom: an account, a domain, or all who hand their mail to a server.

A claim asks for those that are in force (warmup/ledger/situation). The last one of the same kind says how long the next
is meant to last (policy/consequence).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, exists, insert, select

from warmup.ledger.attempts import LONGEST_REPLY
from warmup.ledger.store import Store
from warmup.ledger.tables import accounts, holds, outcomes
from warmup.policy.fate import Outcome
from warmup.policy.mailbox import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHold:
    """Send nothing until then: to the receiving `provider`, or to anybody ("").

    It is the account's that was told, or that of all mailboxes of a `domain`, or of all who hand their mail to a
    `server` (its host, as `enrolled.account_key` spells it).
    """

    until: datetime
    reason: str
    provider: str = ""
    domain: str = ""
    server: str = ""


class HoldWriter:
    """Writes `holds`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def hold(self, account_id: AccountId, hold: NewHold, *, now: datetime) -> None:
        """Send nothing for a while, by a server's word to this account: see `NewHold` for whom it is about."""
        await self._store.write(hold_one, account_id, hold, now=now)

    async def held_before(
        self, account_id: AccountId, provider: str, *, domain: str = "", server: str = ""
    ) -> timedelta | None:
        """How long the last hold of the same kind was meant to last; None where a message of its own went since."""
        return await self._store.read(_held_before, account_id, provider, domain, server)

    async def held_until(
        self, account_id: AccountId, provider: str, *, domain: str = "", server: str = ""
    ) -> datetime | None:
        """When the last hold of the same kind ends or ended; None where there was none."""
        return await self._store.read(_held_until, account_id, provider, domain, server)


def hold_one(connection: Connection, account_id: int, hold: NewHold, *, now: datetime) -> None:
    """See `HoldWriter.hold`; a report's hold is in the report's own transaction."""
    row = {"account_id": account_id, "provider": hold.provider, "domain": hold.domain, "server": hold.server}
    connection.execute(insert(holds).values(at=now, until=hold.until, reason=hold.reason[:LONGEST_REPLY], **row))


def _held_before(
    connection: Connection, account_id: AccountId, provider: str, domain: str, server: str
) -> timedelta | None:
    last = connection.execute(_last_hold(account_id, provider, domain, server)).first()
    if last is None:
        return None
    if domain:
        whose = outcomes.c.domain == domain
    elif server:
        whose = outcomes.c.account_id.in_(select(accounts.c.id).where(accounts.c.smtp_host == server))
    else:
        whose = outcomes.c.account_id == account_id
    went = whose & (outcomes.c.at > last.at) & (outcomes.c.outcome == Outcome.ACCEPTED.value)
    if provider:
        went &= outcomes.c.provider == provider
    accepted = connection.execute(select(exists().where(went))).scalar()
    return None if accepted else last.until - last.at


def _held_until(
    connection: Connection, account_id: AccountId, provider: str, domain: str, server: str
) -> datetime | None:
    last = connection.execute(_last_hold(account_id, provider, domain, server)).first()
    return None if last is None else last.until


def _last_hold(account_id: AccountId, provider: str, domain: str, server: str) -> Select[datetime, datetime]:
    same = (holds.c.provider == provider) & (holds.c.domain == domain) & (holds.c.server == server)
    if not domain and not server:
        same &= holds.c.account_id == account_id
    return select(holds.c.at, holds.c.until).where(same).order_by(holds.c.id.desc()).limit(1)
