"""The tables of what servers said later, or beside their replies: reports, authentication, refused logins.

`listens` is an index like `watches`: whose inbox may still receive a report, and when to look into it next.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from warmup.ledger.columns import Date, identity, instant, reference
from warmup.ledger.tables import metadata


class ReportRow(SQLModel, table=True):
    """A report that named a message of ours, found in its sender's folders. `mailbox_id` is the sender."""

    __tablename__ = "reports"
    __table_args__ = (
        UniqueConstraint("slot_id", "kind", "action"),
        Index("ix_reports_mailbox_id_date", "mailbox_id", "date"),
        Index("ix_reports_kind", "kind"),
    )

    id: int | None = identity()
    slot_id: int = reference("slots.id")
    mailbox_id: int = reference("mailboxes.id")
    date: Date
    provider: str
    at: datetime = instant()
    kind: str
    action: str
    reply_code: int
    status: str | None = None
    reply: str
    feedback_type: str | None = None
    folder: str
    uidvalidity: int = Field(sa_type=BigInteger)
    uid: int = Field(sa_type=BigInteger)


class AuthenticationRow(SQLModel, table=True):
    """What the receiving provider said of a message's SPF, DKIM and DMARC; null where it said nothing."""

    __tablename__ = "authentications"
    __table_args__ = (Index("ix_authentications_mailbox_id_date", "mailbox_id", "date"),)

    slot_id: int = reference("slots.id", key=True)
    mailbox_id: int = reference("mailboxes.id")
    date: Date
    provider: str
    at: datetime = instant()
    spf: str | None = None
    dkim: str | None = None
    dmarc: str | None = None


class LoginRefusalRow(SQLModel, table=True):
    """A login that a server refused. The rows go when the same door opens, or its credential is replaced."""

    __tablename__ = "login_refusals"
    __table_args__ = (Index("ix_login_refusals_mailbox_id_protocol", "mailbox_id", "protocol"),)

    id: int | None = identity()
    mailbox_id: int = reference("mailboxes.id")
    protocol: str
    at: datetime = instant()


class ListenRow(SQLModel, table=True):
    __tablename__ = "listens"
    __table_args__ = (Index("ix_listens_look_at", "look_at"),)

    mailbox_id: int = reference("mailboxes.id", key=True)
    look_at: datetime = instant()
    until: datetime = instant()


reports = metadata.tables["reports"]
authentications = metadata.tables["authentications"]
login_refusals = metadata.tables["login_refusals"]
listens = metadata.tables["listens"]
