"""The enrolled account as a value: who it is, where it logs in, and what its operator allows.

`Mailbox` is the account a person enrolled; the IMAP thing is a `Folder` (mail/folder). A mailbox is never invalid:
the checks of a single value are here, what needs other rows (a duplicate, a known preset) is asked by whoever enrols.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum, unique
from typing import NewType
from zoneinfo import ZoneInfo

MailboxId = NewType("MailboxId", int)
AccountId = NewType("AccountId", int)
SlotId = NewType("SlotId", int)
AttemptId = NewType("AttemptId", int)


@unique
class Role(StrEnum):
    """What a mailbox does. A control is a seed that is never engaged with (DESIGN, Words)."""

    SENDER = "sender"
    SEED = "seed"
    BOTH = "both"
    CONTROL = "control"

    @property
    def sends(self) -> bool:
        """True where the mailbox is being warmed."""
        return self in (Role.SENDER, Role.BOTH)

    @property
    def receives(self) -> bool:
        """True where new messages may be addressed to it."""
        return self in (Role.SEED, Role.BOTH, Role.CONTROL)


@unique
class State(StrEnum):
    """Whether a mailbox takes part. UNVERIFIED is planned and never sent from or to; a hand's PAUSED stays."""

    ACTIVE = "active"
    PAUSED = "paused"
    UNVERIFIED = "unverified"
    REMOVED = "removed"


@unique
class Security(StrEnum):
    """How a connection is secured. NONE is for loopback only, and only when said."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


@unique
class Protocol(StrEnum):
    """Which door a login or a secret belongs to."""

    SMTP = "smtp"
    IMAP = "imap"


@unique
class SmtpAuth(StrEnum):
    """How a mailbox signs in where it hands mail over. NONE: a relay that knows us by other means; TLS it must have."""

    PASSWORD = "password"  # noqa: S105 (a kind of secret, not one)
    NONE = "none"

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The doors that take a secret: IMAP always does."""
        return (Protocol.IMAP,) if self is SmtpAuth.NONE else (Protocol.SMTP, Protocol.IMAP)


@unique
class Profile(StrEnum):
    """Where a mailbox's hours come from. LEARNED: the dates in its Sent folder, as far as there are enough."""

    FIXED = "fixed"
    LEARNED = "learned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server to log in to."""

    host: str
    port: int
    security: Security

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("an endpoint needs a host")
        if not 0 < self.port < 65536:
            raise ValueError(f"a port is 1 to 65535, got {self.port}")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When a mailbox may send: weekdays (Monday is 0) and a span of the day in its own zone, `start` < `end`.

    `closed` are dates on which it sends nothing whatever the weekday: holidays.
    """

    days: frozenset[int] = frozenset({0, 1, 2, 3, 4})
    start: time = time(8)
    end: time = time(18)
    closed: frozenset[date] = frozenset()

    def is_open_on(self, day: date) -> bool:
        """True where the mailbox sends on that civil date at all."""
        return day.weekday() in self.days and day not in self.closed

    def __post_init__(self) -> None:
        if not self.days or not self.days <= set(range(7)):
            raise ValueError("the window needs at least one weekday, 0 (Monday) to 6")
        if not self.start < self.end:
            raise ValueError(f"the window must open before it closes, got {self.start} to {self.end}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One enrolled account.

    `receiver` is the receiving provider this mailbox's mail lands at: the key of every lane towards it. `provider` is
    the preset it was enrolled with. `daily_limit` is messages in any rolling 24 hours. `target` is the daily volume the
    operator will really send, None: the ramp's own end. `hours` None: the configuration's window; so with `holidays`
    (a country's, ISO 3166: `DE`, `DE-BY`; empty: none are kept) and `profile`. `first_level` is where its ramp begins.
    """

    id: MailboxId
    account_id: AccountId
    address: str
    name: str = ""
    provider: str
    receiver: str
    role: Role
    state: State
    ramp: str
    target: int | None
    daily_limit: int
    timezone: str
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
    problem: str | None = None

    def __post_init__(self) -> None:
        if self.daily_limit < 1:
            raise ValueError(f"a daily limit is at least 1, got {self.daily_limit}")
        if self.target is not None and self.target < 1:
            raise ValueError(f"a target is at least 1 message a day, got {self.target}")

    @property
    def domain(self) -> str:
        """The address's domain, in lower case."""
        return self.address.rpartition("@")[2].lower()

    @property
    def zone(self) -> ZoneInfo:
        """The zone its dates and window are in."""
        return ZoneInfo(self.timezone)

    @property
    def may_send(self) -> bool:
        """True where the daemon may send from it."""
        return self.role.sends and self.state is State.ACTIVE

    @property
    def may_receive(self) -> bool:
        """True where the daemon may write to it: it has logged in, so it is the operator's own."""
        return self.role.receives and self.state is State.ACTIVE
