"""A mailbox between its row and its value, and what makes two logins one account."""

from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from warmup.ledger.prepared import Prepared, Row
from warmup.ledger.tables import mailboxes
from warmup.policy.mailbox import (
    AccountId,
    Endpoint,
    Hours,
    Mailbox,
    MailboxId,
    Profile,
    Role,
    Security,
    SmtpAuth,
    State,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMailbox:
    """A mailbox to be enrolled: `Mailbox` without its ids. `verified_at` None: it was not logged in to yet."""

    address: str
    name: str = ""
    provider: str
    receiver: str
    role: Role = Role.BOTH
    ramp: str
    target: int | None = None
    daily_limit: int
    timezone: str = "UTC"
    hours: Hours | None = None
    holidays: str | None = None
    profile: Profile | None = None
    first_level: int = 1
    smtp: Endpoint
    smtp_auth: SmtpAuth = SmtpAuth.PASSWORD
    imap: Endpoint
    username: str
    engage: bool = False
    tags: frozenset[str] = field(default_factory=frozenset)
    junk_folder: str | None = None
    sent_folder: str | None = None
    trash_folder: str | None = None
    enrolled_at: datetime
    verified_at: datetime | None = None


def account_key(smtp_host: str, username: str) -> tuple[str, str]:
    """What providers count as one: the host, and the user name without +tag, case folded."""
    local, at, domain = username.strip().casefold().partition("@")
    return smtp_host.strip().rstrip(".").casefold(), f"{local.partition('+')[0] or local}{at}{domain}"


def account_name(smtp_host: str, username: str) -> str:
    """How an account is shown."""
    return f"{smtp_host}/{username}"


def columns(mailbox: Mailbox | NewMailbox) -> dict[str, Any]:
    """The columns an operator may change."""
    return {
        "name": mailbox.name,
        "provider": mailbox.provider,
        "receiver": mailbox.receiver,
        "role": mailbox.role.value,
        "ramp": mailbox.ramp,
        "target": mailbox.target,
        "daily_limit": mailbox.daily_limit,
        "timezone": mailbox.timezone,
        "hours": _said(mailbox.hours),
        "holidays": mailbox.holidays,
        "profile": mailbox.profile.value if mailbox.profile else None,
        "first_level": mailbox.first_level,
        "smtp_host": mailbox.smtp.host,
        "smtp_port": mailbox.smtp.port,
        "smtp_security": mailbox.smtp.security.value,
        "smtp_auth": mailbox.smtp_auth.value,
        "imap_host": mailbox.imap.host,
        "imap_port": mailbox.imap.port,
        "imap_security": mailbox.imap.security.value,
        "username": mailbox.username,
        "engage": mailbox.engage,
        "tags": sorted(mailbox.tags),
        "junk_folder": mailbox.junk_folder,
        "sent_folder": mailbox.sent_folder,
        "trash_folder": mailbox.trash_folder,
        "verified_at": mailbox.verified_at,
    }


def columns_of_new(new: NewMailbox) -> dict[str, Any]:
    """Those, and what is fixed at enrolment."""
    return {
        **columns(new),
        "address": new.address,
        "address_key": new.address.lower(),
        "domain": new.address.rpartition("@")[2].lower(),
        "enrolled_at": new.enrolled_at,
    }


def read_mailboxes(connection: Connection, domain: str | None = None) -> tuple[Mailbox, ...]:
    """All enrolled mailboxes, or those of one domain, by id."""
    query = select(mailboxes).where(mailboxes.c.removed_at.is_(None)).order_by(mailboxes.c.id)
    query = query if domain is None else query.where(mailboxes.c.domain == domain)
    return tuple(mailbox_of(row) for row in connection.execute(query).mappings())


def read_mailbox(connection: Connection, mailbox_id: MailboxId) -> Mailbox | None:
    """The mailbox of an id, removed ones too."""
    row = _BY_ID.first(connection, {"mailbox": mailbox_id})
    return None if row is None else mailbox_of(row)


_BY_ID: Final = Prepared(select(mailboxes).where(mailboxes.c.id == bindparam("mailbox")))


def mailbox_of(row: Row) -> Mailbox:
    """The value of a row of `mailboxes`."""
    return Mailbox(
        id=MailboxId(row["id"]),
        account_id=AccountId(row["account_id"]),
        address=row["address"],
        name=row["name"],
        provider=row["provider"],
        receiver=row["receiver"],
        role=Role(row["role"]),
        state=state_of(row),
        ramp=row["ramp"],
        target=row["target"],
        daily_limit=row["daily_limit"],
        timezone=row["timezone"],
        hours=_hours(row["hours"]),
        holidays=row["holidays"],
        profile=Profile(row["profile"]) if row["profile"] else None,
        first_level=row["first_level"] or 1,
        smtp=_endpoint(row, "smtp"),
        smtp_auth=SmtpAuth(row["smtp_auth"]),
        imap=_endpoint(row, "imap"),
        username=row["username"],
        engage=row["engage"],
        tags=frozenset(row["tags"]),
        junk_folder=row["junk_folder"],
        sent_folder=row["sent_folder"],
        trash_folder=row["trash_folder"],
        enrolled_at=row["enrolled_at"],
        verified_at=row["verified_at"],
        problem=row["problem"],
    )


def state_of(row: Row) -> State:
    """The state of a mailbox by its `removed_at`, `paused_by` and `verified_at`."""
    if row["removed_at"] is not None:
        return State.REMOVED
    if row["paused_by"] is not None:
        return State.PAUSED
    return State.ACTIVE if row["verified_at"] is not None else State.UNVERIFIED


def _endpoint(row: Row, door: str) -> Endpoint:
    return Endpoint(host=row[f"{door}_host"], port=row[f"{door}_port"], security=Security(row[f"{door}_security"]))


def _said(hours: Hours | None) -> dict[str, Any] | None:
    if hours is None:
        return None
    return {"days": sorted(hours.days), "start": hours.start.isoformat(), "end": hours.end.isoformat()}


def _hours(said: dict[str, Any] | None) -> Hours | None:
    if said is None:
        return None
    start, end = time.fromisoformat(said["start"]), time.fromisoformat(said["end"])
    return Hours(days=frozenset(said["days"]), start=start, end=end)
