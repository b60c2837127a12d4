"""Enrolled accounts and their sealed credentials: the one table its operator edits.

An account is what a provider limits: an SMTP host and a user name, without +tag and case. An address, and an account,
is enrolled at most once at a time; the account's row outlives its mailboxes, so that enrolling again finds what was
used of its limit. Secrets come and go sealed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert

from warmup.ledger import enrolled
from warmup.ledger.enrolled import NewMailbox, read_mailbox, read_mailboxes
from warmup.ledger.errors import DuplicateMailbox, UnknownMailbox
from warmup.ledger.logins import forget_refusals, read_refusals
from warmup.ledger.prepared import Prepared
from warmup.ledger.removal import carry_uses, purge_mailbox, remove_mailbox
from warmup.ledger.resealing import Sealed, read_sealed, reseal
from warmup.ledger.store import Store
from warmup.ledger.tables import accounts, credentials, mailboxes
from warmup.mail.address import AddressError, parse_address
from warmup.policy.authority import AuthorityName
from warmup.policy.mailbox import AccountId, Mailbox, MailboxId, Protocol


@unique
class PausedBy(StrEnum):
    """Who paused. What a hand paused the program never resumes."""

    HAND = "hand"
    PROGRAM = "program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A sealed secret, bound by the vault to the mailbox's address, the protocol and the host."""

    protocol: Protocol
    host: str
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLogin:
    """What is kept of a mailbox's login: its sealed passwords, and how often each was refused since a door opened."""

    credentials: Mapping[Protocol, Credential]
    refusals: Mapping[Protocol, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedGrant:
    """A sealed refresh token of an OAuth 2.0 sign-in, both doors' key. `host` is the one it is renewed at."""

    authority: AuthorityName
    host: str
    sealed: bytes

    @property
    def protocol(self) -> str:
        """What it is bound to where a password has smtp or imap: it says who granted it."""
        return f"{_OAUTH}{self.authority.value}"


# A mailbox signs in with passwords or with a grant, so one takes the other's place.
Secret = Credential | SealedGrant
_OAUTH = "oauth-"


class MailboxWriter:
    """Writes `mailboxes`, `accounts` and `credentials`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, new: NewMailbox, credentials: Sequence[Secret] = ()) -> Mailbox:
        """Enrol one, account and credentials in the same transaction. DuplicateMailbox, and nothing is saved."""
        (mailbox,) = await self.add_all([(new, credentials)])
        return mailbox

    async def add_all(self, many: Iterable[tuple[NewMailbox, Sequence[Secret]]]) -> tuple[Mailbox, ...]:
        """Enrol all or none; DuplicateMailbox also where two of `many` are the same."""
        return await self._store.write(_add_all, tuple(many))

    async def duplicate_of(self, new: NewMailbox) -> str | None:
        """The address that is enrolled already as this one or under another name of its account; None: it is new."""
        return await self._store.read(_duplicate_of, new)

    async def list(self) -> tuple[Mailbox, ...]:
        """All enrolled mailboxes, by id."""
        return await self._store.read(read_mailboxes)

    async def of_domain(self, domain: str) -> tuple[Mailbox, ...]:
        """The enrolled mailboxes of a domain, by id."""
        return await self._store.read(read_mailboxes, domain)

    async def get(self, address: str) -> Mailbox:
        """The enrolled mailbox of an address, whatever its case; UnknownMailbox."""
        return await self._store.read(_named, address)

    async def by_id(self, mailbox_id: MailboxId) -> Mailbox | None:
        """The mailbox of an id, removed ones too; None where there never was one."""
        return await self._store.read_together(read_mailbox, mailbox_id)

    async def tagged(self, tag: str) -> tuple[Mailbox, ...]:
        """The enrolled mailboxes that bear the tag, by id."""
        return tuple(mailbox for mailbox in await self.list() if tag in mailbox.tags)

    async def accounts(self) -> dict[AccountId, str]:
        """The name of every account, as exports show it: `host/username`."""
        return await self._store.read(_accounts)

    async def save(self, mailbox: Mailbox, credentials: Sequence[Secret] = ()) -> Mailbox:
        """Keep the operator's changes, and new credentials with them; DuplicateMailbox where the account is taken.

        `address`, `state` and `problem` are not changed here; `verified_at` is.
        """
        return await self._store.write(_save, mailbox, tuple(credentials))

    async def pause(self, ids: Collection[MailboxId], *, by: PausedBy = PausedBy.HAND) -> int:
        """Take mailboxes out of the work; the number that was not paused before."""
        return await self._store.write(_pause, tuple(ids), by)

    async def resume(self, ids: Collection[MailboxId], *, by: PausedBy = PausedBy.HAND) -> int:
        """Take them in again; the number changed. PROGRAM lifts only its own pauses."""
        return await self._store.write(_resume, tuple(ids), by)

    async def remove(self, mailbox_id: MailboxId, *, now: datetime, purge: bool = False) -> None:
        """Take a mailbox out for good. `purge` takes its history along, but never its account's uses of the window."""
        await self._store.write(purge_mailbox if purge else remove_mailbox, mailbox_id, now=now)

    async def credentials(self, mailbox_id: MailboxId) -> dict[Protocol, Credential]:
        """The sealed passwords of a mailbox."""
        return await self._store.read_together(_credentials, mailbox_id)

    async def login(self, mailbox_id: MailboxId) -> KeptLogin:
        """The same, and how often they were refused."""
        return await self._store.read_together(_login, mailbox_id)

    async def grant(self, mailbox_id: MailboxId) -> SealedGrant | None:
        """The sealed grant of a mailbox that signs in with OAuth 2.0, or None."""
        return await self._store.read(_grant, mailbox_id)

    async def sign_in(self, mailbox_id: MailboxId) -> str | None:
        """How a mailbox signs in: `password`, or the authority of its grant; None: nothing is kept for it."""
        return await self._store.read(_sign_in, mailbox_id)

    async def rotate_grant(self, mailbox_id: MailboxId, before: SealedGrant, after: SealedGrant) -> bool:
        """Put `after` in the place of `before`; False, and nothing done, where another is kept by now."""
        return await self._store.write(_rotate_grant, mailbox_id, before, after)

    async def sealed(self) -> tuple[Sealed, ...]:
        """Every sealed secret of every mailbox."""
        return await self._store.read(read_sealed)

    async def reseal(self, many: Sequence[tuple[Sealed, bytes]]) -> None:
        """Put each in the place of what was read, where that is still kept. The old leave no trace in the file."""
        await self._store.write(reseal, many)

    async def set_credentials(self, mailbox_id: MailboxId, credentials: Sequence[Secret]) -> None:
        """Replace the sealed credentials of the protocols given (a new password)."""
        await self._store.write(_put_credentials, mailbox_id, tuple(credentials))

    async def note_problem(self, mailbox_id: MailboxId, problem: str, *, now: datetime) -> bool:
        """Keep what is wrong with a mailbox, in one line; True where it was not noted in these words yet."""
        return await self._store.write(_note_problem, mailbox_id, problem, now=now)

    async def clear_problem(self, mailbox_id: MailboxId) -> bool:
        """Forget it; True where there was one."""
        return await self._store.write(_note_problem, mailbox_id, None, now=None)


def _add_all(connection: Connection, many: tuple[tuple[NewMailbox, Sequence[Secret]], ...]) -> tuple[Mailbox, ...]:
    return tuple(_add(connection, new, secrets) for new, secrets in many)


def _add(connection: Connection, new: NewMailbox, secrets: Sequence[Secret]) -> Mailbox:
    taken = _duplicate_of(connection, new)
    if taken is not None:
        raise DuplicateMailbox(new.address, taken)
    account_id = _account(connection, new.smtp.host, new.username)
    added = connection.execute(insert(mailboxes).values(account_id=account_id, **enrolled.columns_of_new(new)))
    (mailbox_id,) = added.inserted_primary_key or (None,)
    assert mailbox_id is not None
    _put_credentials(connection, MailboxId(mailbox_id), secrets)
    before = (mailboxes.c.address_key == new.address.lower()) & (mailboxes.c.account_id != account_id)
    for removed in connection.execute(select(mailboxes.c.id).where(before)).scalars().all():
        carry_uses(connection, MailboxId(removed), account_id)
    return _get(connection, MailboxId(mailbox_id))


def _duplicate_of(connection: Connection, new: NewMailbox) -> str | None:
    host, username = enrolled.account_key(new.smtp.host, new.username)
    here = mailboxes.c.removed_at.is_(None)
    same_address = select(mailboxes.c.address).where(mailboxes.c.address_key == new.address.lower(), here)
    same_account = (
        select(mailboxes.c.address)
        .join(accounts, accounts.c.id == mailboxes.c.account_id)
        .where(accounts.c.smtp_host == host, accounts.c.username == username, here)
    )
    return connection.execute(same_address).scalar() or connection.execute(same_account).scalar()


def _account(connection: Connection, smtp_host: str, username: str) -> int:
    host, name = enrolled.account_key(smtp_host, username)
    connection.execute(upsert(accounts).values(smtp_host=host, username=name).on_conflict_do_nothing())
    query = select(accounts.c.id).where(accounts.c.smtp_host == host, accounts.c.username == name)
    return int(connection.execute(query).scalar_one())


def _get(connection: Connection, mailbox_id: MailboxId) -> Mailbox:
    mailbox = read_mailbox(connection, mailbox_id)
    if mailbox is None:
        raise UnknownMailbox(f"mailbox {mailbox_id}")
    return mailbox


def _named(connection: Connection, address: str) -> Mailbox:
    key = _spelled(address).lower()
    query = select(mailboxes.c.id).where(mailboxes.c.address_key == key, mailboxes.c.removed_at.is_(None))
    mailbox_id = connection.execute(query).scalar()
    if mailbox_id is None:
        raise UnknownMailbox(address)
    return _get(connection, MailboxId(mailbox_id))


def _spelled(address: str) -> str:
    """The address as enrolment spells it: a domain in A-labels has another spelling there."""
    try:
        return parse_address(address)
    except AddressError:
        return address


def _accounts(connection: Connection) -> dict[AccountId, str]:
    rows = connection.execute(select(accounts.c.id, accounts.c.smtp_host, accounts.c.username))
    return {AccountId(row.id): enrolled.account_name(row.smtp_host, row.username) for row in rows}


def _save(connection: Connection, mailbox: Mailbox, secrets: tuple[Secret, ...]) -> Mailbox:
    account_id = _account(connection, mailbox.smtp.host, mailbox.username)
    taken = connection.execute(
        select(mailboxes.c.address).where(
            mailboxes.c.account_id == account_id, mailboxes.c.id != mailbox.id, mailboxes.c.removed_at.is_(None)
        )
    ).scalar()
    if taken is not None:
        raise DuplicateMailbox(mailbox.address, taken)
    changes: dict[str, Any] = enrolled.columns(mailbox)
    if account_id != mailbox.account_id:
        carry_uses(connection, mailbox.id, account_id)
    connection.execute(update(mailboxes).where(mailboxes.c.id == mailbox.id).values(account_id=account_id, **changes))
    _drop_credentials(connection, mailbox)
    _put_credentials(connection, mailbox.id, secrets)
    return _get(connection, mailbox.id)


def _drop_credentials(connection: Connection, mailbox: Mailbox) -> None:
    """Of doors that take no secret any more, none is kept."""
    wanted = [protocol.value for protocol in mailbox.smtp_auth.protocols]
    mine = (credentials.c.mailbox_id == mailbox.id) & ~_is_grant()
    connection.execute(delete(credentials).where(mine, credentials.c.protocol.not_in(wanted)))


def _put_credentials(connection: Connection, mailbox_id: MailboxId, secrets: Sequence[Secret]) -> None:
    for secret in secrets:
        protocol = str(secret.protocol)
        gone = (credentials.c.protocol == protocol) | _is_grant()
        replaced = gone if isinstance(secret, Credential) else true()
        connection.execute(delete(credentials).where(credentials.c.mailbox_id == mailbox_id, replaced))
        forget_refusals(connection, mailbox_id, secret.protocol if isinstance(secret, Credential) else None)
        connection.execute(
            insert(credentials).values(mailbox_id=mailbox_id, protocol=protocol, host=secret.host, sealed=secret.sealed)
        )


def _is_grant() -> ColumnElement[bool]:
    return credentials.c.protocol.startswith(_OAUTH, autoescape=True)


_PASSWORDS: Final = Prepared(select(credentials).where(credentials.c.mailbox_id == bindparam("mailbox"), ~_is_grant()))


def _credentials(connection: Connection, mailbox_id: MailboxId) -> dict[Protocol, Credential]:
    rows = _PASSWORDS.all(connection, {"mailbox": mailbox_id})
    found = (Credential(protocol=Protocol(row["protocol"]), host=row["host"], sealed=row["sealed"]) for row in rows)
    return {credential.protocol: credential for credential in found}


def _login(connection: Connection, mailbox_id: MailboxId) -> KeptLogin:
    return KeptLogin(credentials=_credentials(connection, mailbox_id), refusals=read_refusals(connection, mailbox_id))


def _grant(connection: Connection, mailbox_id: MailboxId) -> SealedGrant | None:
    query = select(credentials).where(credentials.c.mailbox_id == mailbox_id, _is_grant())
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return SealedGrant(authority=AuthorityName(row.protocol.removeprefix(_OAUTH)), host=row.host, sealed=row.sealed)


def _sign_in(connection: Connection, mailbox_id: MailboxId) -> str | None:
    query = select(credentials.c.protocol).where(credentials.c.mailbox_id == mailbox_id).limit(1)
    protocol = connection.execute(query).scalar()
    if protocol is None:
        return None
    return str(protocol).removeprefix(_OAUTH) if str(protocol).startswith(_OAUTH) else "password"


def _rotate_grant(connection: Connection, mailbox_id: MailboxId, before: SealedGrant, after: SealedGrant) -> bool:
    changed = (
        update(credentials)
        .where(
            credentials.c.mailbox_id == mailbox_id,
            credentials.c.protocol == before.protocol,
            credentials.c.sealed == before.sealed,
        )
        .values(host=after.host, sealed=after.sealed)
    )
    return connection.execute(changed).rowcount > 0


def _pause(connection: Connection, ids: tuple[MailboxId, ...], by: PausedBy) -> int:
    running = mailboxes.c.paused_by.is_(None)
    # A hand's pause covers the program's own, so that the program does not lift it.
    open_to = running if by is PausedBy.PROGRAM else running | (mailboxes.c.paused_by == PausedBy.PROGRAM.value)
    changed = update(mailboxes).where(mailboxes.c.id.in_(ids), open_to).values(paused_by=by.value)
    return connection.execute(changed).rowcount


def _resume(connection: Connection, ids: tuple[MailboxId, ...], by: PausedBy) -> int:
    paused = mailboxes.c.paused_by.is_not(None)
    mine = paused if by is PausedBy.HAND else mailboxes.c.paused_by == PausedBy.PROGRAM.value
    changed = update(mailboxes).where(mailboxes.c.id.in_(ids), mine).values(paused_by=None)
    return connection.execute(changed).rowcount


def _note_problem(connection: Connection, mailbox_id: MailboxId, problem: str | None, *, now: datetime | None) -> bool:
    changed = (
        update(mailboxes)
        .where(mailboxes.c.id == mailbox_id, mailboxes.c.problem.is_distinct_from(problem))
        .values(problem=problem, problem_at=now)
    )
    return connection.execute(changed).rowcount > 0
