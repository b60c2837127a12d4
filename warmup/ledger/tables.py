"""The tables of the ledger, and how an instant is kept in them.

Rows are added, not edited: an attempt and its outcome are two rows, and state is a fold over rows. `due_slots`,
`flights`, `watches`, `standing_heads` and `judge_cursors` are indexes: derivable from the rest, kept so that asking
what is due costs what is due and no more. Mailboxes alone are edited, by their operator.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from warmup.ledger.columns import Date, Identity, identity, instant, optional_instant, optional_reference, reference

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class InstallationRow(SQLModel, table=True):
    """One row: who this ledger is, and the last attempt it knows of (the high-water mark is compared with it)."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: int = Field(default=1, sa_type=Identity, primary_key=True)
    token: str
    incarnation: int
    identity_key_sealed: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    anchor_wall: datetime | None = optional_instant()
    anchor_ledger: datetime | None = optional_instant()
    speed: float
    created_at: datetime = instant()
    last_attempt: int = Field(sa_type=Identity)
    restored_at: datetime | None = optional_instant()
    held_until: datetime | None = optional_instant()


class AccountRow(SQLModel, table=True):
    """What a provider limits: an SMTP host and a user name without +tag. Outlives its mailboxes."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("smtp_host", "username"),)

    id: int | None = identity()
    smtp_host: str
    username: str


class MailboxRow(SQLModel, table=True):
    __tablename__ = "mailboxes"
    __table_args__ = (
        Index(
            "uq_mailboxes_address_key",
            "address_key",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index(
            "uq_mailboxes_account_id",
            "account_id",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index("ix_mailboxes_domain", "domain"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity()
    account_id: int = reference("accounts.id")
    address: str
    address_key: str
    domain: str
    name: str
    provider: str
    receiver: str
    role: str
    ramp: str
    target: int | None = None
    daily_limit: int
    timezone: str
    hours: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True), nullable=True)
    holidays: str | None = None
    profile: str | None = None
    first_level: int | None = None
    smtp_host: str
    smtp_port: int
    smtp_security: str
    smtp_auth: str
    imap_host: str
    imap_port: int
    imap_security: str
    username: str
    engage: bool
    tags: list[str] = Field(sa_type=JSON)
    junk_folder: str | None = None
    sent_folder: str | None = None
    trash_folder: str | None = None
    enrolled_at: datetime = instant()
    verified_at: datetime | None = optional_instant()
    problem: str | None = None
    problem_at: datetime | None = optional_instant()
    paused_by: str | None = None
    removed_at: datetime | None = optional_instant()


class CredentialRow(SQLModel, table=True):
    __tablename__ = "credentials"

    mailbox_id: int = reference("mailboxes.id", key=True)
    protocol: str = Field(primary_key=True)
    host: str
    sealed: bytes = Field(sa_type=LargeBinary)


class DayRow(SQLModel, table=True):
    __tablename__ = "days"

    mailbox_id: int = reference("mailboxes.id", key=True)
    date: Date = Field(primary_key=True)
    day: int
    level: int | None = None
    ceiling: int
    target: int
    capped_by: str | None = None
    reason: str
    planned_at: datetime = instant()


class LaneDayRow(SQLModel, table=True):
    __tablename__ = "lane_days"

    mailbox_id: int = reference("mailboxes.id", key=True)
    date: Date = Field(primary_key=True)
    provider: str = Field(primary_key=True)
    level: int
    ceiling: float
    factor: float
    target: int
    standing: str


class SlotRow(SQLModel, table=True):
    """One message to be: its identity and body are fixed here, over all its attempts."""

    __tablename__ = "slots"
    __table_args__ = (
        UniqueConstraint("mailbox_id", "date", "number"),
        UniqueConstraint("message_id"),
        Index("ix_slots_recipient_id_date", "recipient_id", "date"),
        Index("ix_slots_date", "date"),
        Index("ix_slots_mailbox_id_due_at", "mailbox_id", "due_at"),
        Index("ix_slots_thread_id", "thread_id"),
        Index(
            "ix_slots_in_reply_to",
            "in_reply_to",
            sqlite_where=text("in_reply_to IS NOT NULL"),
            postgresql_where=text("in_reply_to IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity()
    mailbox_id: int = reference("mailboxes.id")
    account_id: int = reference("accounts.id")
    date: Date
    number: int
    recipient_id: int = reference("mailboxes.id")
    provider: str
    kind: str
    thread_id: str
    in_reply_to: int | None = optional_reference("slots.id")
    due_at: datetime = instant()
    nonce: bytes = Field(sa_type=LargeBinary)
    message_id: str
    grammar: str
    language: str
    seed: str
    planned_at: datetime = instant()


class LapseRow(SQLModel, table=True):
    __tablename__ = "lapses"

    slot_id: int = reference("slots.id", key=True)
    at: datetime = instant()
    reason: str


class AttemptRow(SQLModel, table=True):
    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("slot_id", "ordinal"),
        Index("ix_attempts_claimed_at", "claimed_at"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = identity()
    slot_id: int = reference("slots.id")
    ordinal: int
    account_id: int = reference("accounts.id")
    domain: str
    claimed_at: datetime = instant()
    node: str


class OutcomeRow(SQLModel, table=True):
    __tablename__ = "outcomes"
    __table_args__ = (
        Index("ix_outcomes_slot_id", "slot_id"),
        # Whole answers to "how many", so that a count over thousands never touches the table.
        Index("ix_outcomes_account_id_at_outcome", "account_id", "at", "outcome"),
        Index("ix_outcomes_domain_at_outcome", "domain", "at", "outcome"),
        Index("ix_outcomes_mailbox_id_date", "mailbox_id", "date", "provider", "outcome", "slot_id"),
        Index("ix_outcomes_date", "date"),
        Index("ix_outcomes_at", "at"),
    )

    attempt_id: int = reference("attempts.id", key=True)
    slot_id: int = reference("slots.id")
    mailbox_id: int = reference("mailboxes.id")
    account_id: int = reference("accounts.id")
    domain: str
    date: Date
    provider: str
    at: datetime = instant()
    outcome: str
    source: str
    reply_code: int | None = None
    status: str | None = None
    reply: str
    retry_at: datetime | None = optional_instant()


class DueSlotRow(SQLModel, table=True):
    __tablename__ = "due_slots"
    __table_args__ = (
        Index("ix_due_slots_due_at_mailbox_id", "due_at", "mailbox_id"),
        Index("ix_due_slots_mailbox_id_due_at", "mailbox_id", "due_at"),
    )

    slot_id: int = reference("slots.id", key=True)
    mailbox_id: int = reference("mailboxes.id")
    due_at: datetime = instant()


class FlightRow(SQLModel, table=True):
    __tablename__ = "flights"
    __table_args__ = (
        UniqueConstraint("slot_id"),
        Index("ix_flights_account_id", "account_id"),
        Index("ix_flights_domain", "domain"),
        Index("ix_flights_mailbox_id", "mailbox_id"),
    )

    attempt_id: int = reference("attempts.id", key=True)
    slot_id: int = reference("slots.id")
    mailbox_id: int = reference("mailboxes.id")
    account_id: int = reference("accounts.id")
    domain: str
    date: Date
    provider: str


class HoldRow(SQLModel, table=True):
    """Who sends nothing for a while, by a server's word to an account; nothing to `provider`, "": to anybody.

    The account; or all of a `domain`, or all accounts of a `server`, where one is named.
    """

    __tablename__ = "holds"
    __table_args__ = (
        Index("ix_holds_account_id_until", "account_id", "until"),
        Index("ix_holds_until", "until"),
    )

    id: int | None = identity()
    account_id: int = reference("accounts.id")
    provider: str = ""
    domain: str = Field(default="", sa_column_kwargs={"server_default": ""})
    server: str = Field(default="", sa_column_kwargs={"server_default": ""})
    at: datetime = instant()
    until: datetime = instant()
    reason: str


class WatchRow(SQLModel, table=True):
    __tablename__ = "watches"
    __table_args__ = (
        Index("ix_watches_look_at_recipient_id", "look_at", "recipient_id"),
        Index("ix_watches_recipient_id", "recipient_id"),
    )

    slot_id: int = reference("slots.id", key=True)
    recipient_id: int = reference("mailboxes.id")
    since: datetime = instant()
    look_at: datetime = instant()
    deadline_at: datetime = instant()
    stage: str


class LookRow(SQLModel, table=True):
    __tablename__ = "looks"
    __table_args__ = (Index("ix_looks_mailbox_id_at", "mailbox_id", "at"),)

    id: int | None = identity()
    mailbox_id: int = reference("mailboxes.id")
    folder: str
    at: datetime = instant()
    ok: bool
    error: str | None = None


class CursorRow(SQLModel, table=True):
    __tablename__ = "cursors"

    mailbox_id: int = reference("mailboxes.id", key=True)
    folder: str = Field(primary_key=True)
    uidvalidity: int = Field(sa_type=BigInteger)
    last_uid: int = Field(sa_type=BigInteger)


class SightingRow(SQLModel, table=True):
    __tablename__ = "sightings"
    __table_args__ = (
        UniqueConstraint("slot_id", "stage"),
        Index("ix_sightings_mailbox_id_date", "mailbox_id", "date", "provider", "stage", "placement", "slot_id"),
        Index("ix_sightings_at", "at"),
    )

    id: int | None = identity()
    slot_id: int = reference("slots.id")
    mailbox_id: int = reference("mailboxes.id")
    date: Date
    provider: str
    at: datetime = instant()
    stage: str
    placement: str
    folder: str | None = None
    uidvalidity: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    uid: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    delivered_at: datetime | None = optional_instant()
    message_id: str | None = None


class EngagementRow(SQLModel, table=True):
    __tablename__ = "engagements"
    __table_args__ = (
        UniqueConstraint("slot_id", "mailbox_id", "action"),
        Index("ix_engagements_mailbox_id", "mailbox_id"),
    )

    id: int | None = identity()
    slot_id: int = reference("slots.id")
    mailbox_id: int = reference("mailboxes.id")
    action: str
    intended_at: datetime = instant()


class EngagementEndRow(SQLModel, table=True):
    __tablename__ = "engagement_ends"

    engagement_id: int = reference("engagements.id", key=True)
    at: datetime = instant()
    result: str


class OwnMessageRow(SQLModel, table=True):
    """The operator's own traffic: that a message was sent, and when. Nothing else of it is known here."""

    __tablename__ = "own_messages"
    __table_args__ = (
        Index("ix_own_messages_account_id_at", "account_id", "at"),
        Index("ix_own_messages_domain_at", "domain", "at"),
        Index("ix_own_messages_mailbox_id_at", "mailbox_id", "at"),
    )

    mailbox_id: int = reference("mailboxes.id", key=True)
    folder: str = Field(primary_key=True)
    uidvalidity: int = Field(primary_key=True, sa_type=BigInteger)
    uid: int = Field(primary_key=True, sa_type=BigInteger)
    account_id: int = reference("accounts.id")
    domain: str
    at: datetime = instant()


class OwnReadingRow(SQLModel, table=True):
    __tablename__ = "own_readings"
    __table_args__ = (Index("ix_own_readings_mailbox_id_at", "mailbox_id", "at"),)

    id: int | None = identity()
    mailbox_id: int = reference("mailboxes.id")
    at: datetime = instant()
    ok: bool
    error: str | None = None


class KeptUseRow(SQLModel, table=True):
    """A use of an account's limit that outlives the purge of the mailbox it was made with."""

    __tablename__ = "kept_uses"
    __table_args__ = (
        Index("ix_kept_uses_account_id_at", "account_id", "at"),
        Index("ix_kept_uses_domain_at", "domain", "at"),
    )

    id: int | None = identity()
    account_id: int = reference("accounts.id")
    domain: str
    at: datetime = instant()


class StandingRow(SQLModel, table=True):
    """What was judged of a subject, added when it changed. `provider` is "" where the judgement spans them all."""

    __tablename__ = "standings"
    __table_args__ = (
        Index("ix_standings_subject_kind_subject_provider", "subject_kind", "subject", "provider"),
        Index("ix_standings_at", "at"),
    )

    id: int | None = identity()
    at: datetime = instant()
    subject_kind: str
    subject: str
    mailbox_id: int | None = optional_reference("mailboxes.id")
    provider: str
    standing: str
    thin: bool
    since: datetime = instant()
    reason: str
    n: float
    inbox_ratio: float | None = None
    lower_ratio: float | None = None
    upper_ratio: float | None = None
    factor: float
    growth: float | None = None


class StandingHeadRow(SQLModel, table=True):
    """The last row of `standings` of every subject."""

    __tablename__ = "standing_heads"
    __table_args__ = (Index("ix_standing_heads_mailbox_id", "mailbox_id"),)

    subject_kind: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    provider: str = Field(primary_key=True)
    standing_id: int = reference("standings.id")
    mailbox_id: int | None = optional_reference("mailboxes.id")


class JudgeCursorRow(SQLModel, table=True):
    """How much evidence came in since a mailbox was last judged (`fresh` marks), and when that was."""

    __tablename__ = "judge_cursors"
    __table_args__ = (
        Index(
            "ix_judge_cursors_fresh", "mailbox_id", sqlite_where=text("fresh > 0"), postgresql_where=text("fresh > 0")
        ),
        Index("ix_judge_cursors_judged_at", "judged_at"),
    )

    mailbox_id: int = reference("mailboxes.id", key=True)
    fresh: int
    judged_at: datetime | None = optional_instant()


class SuppressionRow(SQLModel, table=True):
    __tablename__ = "suppressions"

    address: str = Field(primary_key=True)
    at: datetime = instant()
    reason: str = Field(sa_type=Text)


class RetirementRow(SQLModel, table=True):
    """A seed or a grammar is left out from now on, or is back."""

    __tablename__ = "retirements"
    __table_args__ = (Index("ix_retirements_kind_name", "kind", "name"),)

    id: int | None = identity()
    at: datetime = instant()
    kind: str
    name: str
    mailbox_id: int | None = optional_reference("mailboxes.id")
    retired: bool
    reason: str


metadata = SQLModel.metadata


def _table(name: str) -> Table:
    return metadata.tables[name]


installation = _table("installation")
accounts = _table("accounts")
mailboxes = _table("mailboxes")
credentials = _table("credentials")
days = _table("days")
lane_days = _table("lane_days")
slots = _table("slots")
lapses = _table("lapses")
attempts = _table("attempts")
outcomes = _table("outcomes")
due_slots = _table("due_slots")
flights = _table("flights")
holds = _table("holds")
watches = _table("watches")
looks = _table("looks")
cursors = _table("cursors")
sightings = _table("sightings")
engagements = _table("engagements")
engagement_ends = _table("engagement_ends")
own_messages = _table("own_messages")
own_readings = _table("own_readings")
kept_uses = _table("kept_uses")
standings = _table("standings")
standing_heads = _table("standing_heads")
judge_cursors = _table("judge_cursors")
suppressions = _table("suppressions")
retirements = _table("retirements")
