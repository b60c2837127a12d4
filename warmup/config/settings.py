"""Every setting there is: its section, its default, its check and what it means.

The descriptions here are the comments of config.example.toml. Durations carry their unit in the key; a key without a
reader is a bug. Relative paths were resolved by `load`, against the folder of the configuration file.
"""

from contextlib import suppress
from datetime import time
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from warmup.config.kinds import (
    WEEKDAYS,
    Calendar,
    Count,
    Domains,
    Endpoints,
    HeaderName,
    Hours,
    Listen,
    MaybeEndpoint,
    Nameserver,
    Pace,
    Ratio,
    Seconds,
    Share,
    Speed,
    TimeOfDay,
    Weekdays,
    Whole,
    Words,
    host_and_port,
    is_loopback,
)
from warmup.config.mistakes import did_you_mean
from warmup.config.oauth import OAuthSettings
from warmup.config.section import Section
from warmup.policy import mailbox
from warmup.policy.provider import SignInKind


def is_zone(name: str) -> bool:
    """True where `name` is a time zone of the IANA database."""
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        return bool(name) and ZoneInfo(name).key == name
    return False


def zone_hint(name: str) -> str:
    """A guess at the zone that was meant, or an example."""
    return did_you_mean(name, available_timezones()) or "; write for example Europe/Berlin"


def _zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError(f'"{name}" is not a time zone{zone_hint(name)}')
    return name


Zone = Annotated[str, AfterValidator(_zone)]


def _has_port_or_none(url: str) -> bool:
    try:
        # Everything up to the last @ is the login, slashes too: so SQLAlchemy reads it.
        return urlsplit("//" + url.partition("://")[2].rpartition("@")[2]).port != 0
    except ValueError:
        return False


class LedgerSettings(Section):
    """Where everything that happened is kept."""

    url: str = Field(
        default="sqlite:///warmup.db", description="sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME"
    )

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        if url.startswith("sqlite:///") and url.removeprefix("sqlite:///") not in ("", ":memory:"):
            return url
        if url.startswith("postgresql+psycopg://") and _has_port_or_none(url):
            return url
        raise ValueError("a ledger is sqlite:///FILE or postgresql+psycopg://USER@HOST:PORT/NAME")


class VaultSettings(Section):
    """Secrets are sealed with this key. Without it they cannot be read again: keep a copy elsewhere."""

    key_file: Path = Field(
        default=Path("warmup.key"),
        description="made by `warmup init`, mode 0600; $CREDENTIALS_DIRECTORY/warmup.key wins",
    )

    @field_validator("key_file")
    @classmethod
    def _named(cls, file: Path) -> Path:
        if not file.name:
            raise ValueError("it names no file; warmup.key is the usual name")
        return file


class HttpSettings(Section):
    """The daemon's doors: pages, API, metrics, health."""

    listen: Listen = Field(
        default="127.0.0.1:8465", description="HOST:PORT; port 0 takes a free one and writes it to <ledger>.http"
    )
    hosts: Words = Field(
        default=(), description="names it may be asked for as (Host header), besides the address above"
    )
    token_file: Path | None = Field(default=None, description="a file with the token; any bind but loopback needs it")

    @field_validator("token_file", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return value or None

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        host, _ = host_and_port(self.listen)
        if not is_loopback(host) and self.token_file is None:
            raise ValueError(f'listen = "{self.listen}" is open to others and needs token_file')
        return self


class DaemonSettings(Section):
    """The process itself; real seconds."""

    tick_seconds: Seconds = Field(default=5, description="how often it asks the ledger what is due")
    drain_seconds: Seconds = Field(
        default=30, description="SIGTERM ends it within this: what runs comes to its end, then it closes"
    )
    concurrency: Count = Field(default=20, description="how many mailboxes are worked on at once")


class EngineSettings(Section):
    """Where due work runs."""

    kind: Literal["local", "cluster"] = Field(
        default="local", description="local: in this process; cluster: many machines on one PostgreSQL ledger"
    )


class SendSettings(Section):
    """Handing messages over."""

    grace_seconds: Seconds = Field(
        default=1800, description="a message that is later than this lapses; it is never sent late"
    )
    session_seconds: Seconds = Field(default=300, description="the longest a connection is used")
    lease_seconds: Seconds = Field(
        default=600, description="an attempt without an end is uncertain after this; > session"
    )

    @model_validator(mode="after")
    def _longer(self) -> Self:
        if self.lease_seconds <= self.session_seconds:
            raise ValueError(
                f"lease_seconds ({self.lease_seconds:g}) must be longer than session_seconds ({self.session_seconds:g})"
            )
        return self


class LimitSettings(Section):
    """The walls: what no mailbox and no domain passes in any 24 hours."""

    margin_seconds: Whole = Field(default=300, description="added to the 24 hours, for clocks that differ")
    own_reserve_ratio: Ratio = Field(default=0.1, description="share of the limit kept free for your own mail")
    own_fresh_minutes: Count = Field(default=60, description="own mail counted longer ago than this holds the mailbox")
    domain_daily: Count = Field(
        default=5000, description="messages of all mailboxes of a domain together, in any 24 hours"
    )
    listening_days: Whole = Field(default=0, description="days a new mailbox only receives and answers")


class ObserveSettings(Section):
    """Looking for what was sent."""

    first_seconds: Seconds = Field(default=60, description="the first look after a message was accepted")
    missing_after_hours: Hours = Field(default=24, description="not found by then, in any folder: missing")
    second_look_hours: Hours = Field(default=48, description="within this, one more look: was it moved?")


class EngageSettings(Section):
    """What `--engage` does with our own messages, in mailboxes that were enrolled with it."""

    folder: str = Field(default="", description='file them into this folder once they were read; "": leave them')
    file_after_hours: Hours = Field(default=24, description="how long they stay in the inbox before that")
    expire_after_days: Count = Field(
        default=30, description="then they are deleted (to Trash where UIDPLUS is missing)"
    )


class WindowSettings(Section):
    """When mail is sent, for mailboxes without hours of their own; in the mailbox's own zone."""

    days: Weekdays = Field(
        default=("mon", "tue", "wed", "thu", "fri"), description=f"weekdays out of {' '.join(WEEKDAYS)}"
    )
    start: TimeOfDay = Field(default=time(8), description="HH:MM")
    end: TimeOfDay = Field(default=time(18), description="HH:MM, after start")
    timezone: Zone = Field(default="UTC", description="zone of a mailbox that is enrolled without --timezone")
    holidays: Calendar = Field(
        default="",
        description="public holidays of a country (DE) or a part (DE-BY), on which nothing is sent; empty: none",
    )
    profile: mailbox.Profile = Field(
        default=mailbox.Profile.FIXED, description="fixed, or learned: hours and weekdays from your own mail's dates"
    )

    @model_validator(mode="after")
    def _opens_first(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start ({self.start:%H:%M}) must come before end ({self.end:%H:%M})")
        return self

    @property
    def hours(self) -> mailbox.Hours:
        """The window as policy wants it."""
        days = frozenset(WEEKDAYS.index(day) for day in self.days)
        return mailbox.Hours(days=days, start=self.start, end=self.end)


class PairingSettings(Section):
    """Who writes to whom."""

    mix: dict[str, Share] = Field(
        default={},
        description="parts of the messages by receiver, { gmail = 50, other = 10 }; empty: the world's inboxes",
    )


class NetworkSettings(Section):
    """How servers are reached."""

    ca_file: Path | None = Field(default=None, description="PEM file of CAs to believe besides the system's")
    allow_private_hosts: bool = Field(
        default=False, description="reach names that DNS says are private or loopback addresses"
    )
    resolver: Nameserver = Field(default="", description="IP or IP:PORT of a DNS server; empty: the system's")
    smtp_timeout_seconds: Seconds = Field(default=60, description="for one answer, real time")
    imap_timeout_seconds: Seconds = Field(default=60, description="for one answer, real time")

    @field_validator("ca_file", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return value or None


class IdentitySettings(Section):
    """How our own messages are known again."""

    header: HeaderName = Field(default="X-Warmup-Id", description='carries the signed id besides Message-ID; "": none')


class ContentSettings(Section):
    """What the messages say."""

    folder: Path | None = Field(default=None, description="a folder of your own grammars (*.toml), besides ours")

    @field_validator("folder", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return value or None


class LogSettings(Section):
    """Lines on stderr, instants in UTC."""

    format: Literal["logfmt", "json"] = Field(default="logfmt", description="logfmt or json")
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="--log-level wins")


class RetentionSettings(Section):
    """How long history is kept; what is older is deleted daily, and its room in the file used again."""

    days: Annotated[Count, Field(ge=3)] = Field(
        default=400, description="at least 3; what judgements read stays 62, what dates came to 400"
    )


class RehearsalSettings(Section):
    """A clock that runs faster, for trying out; refused unless every host is loopback."""

    speed: Speed = Field(default=1.0, description="ledger seconds in a real second")


class ProviderSettings(Section):
    """One provider of [providers.NAME]: a new one, or a shipped one's values changed. See `warmup config show`."""

    title: str = Field(default="", description="its name for people")
    receiver: str = Field(default="", description="the lane its mailboxes' mail lands in; empty: NAME")
    domains: Domains = Field(default=(), description="domains of its addresses")
    mx: Domains = Field(default=(), description="what the names of its MX hosts end with")
    smtp: Endpoints = Field(
        default=(), description="HOST:PORT in order of preference; 465 is TLS, other ports STARTTLS"
    )
    imap: MaybeEndpoint = Field(default="", description="HOST:PORT, implicit TLS")
    daily_limit: Count = Field(default=100, description="messages in any 24 hours; no mailbox may be enrolled above it")
    account_limits: dict[str, Count] = Field(
        default={}, description="the same for other account types: { trial = 500 }"
    )
    per_minute: Count | None = Field(default=None, description="messages a minute, where the provider says")
    pace: Pace = Field(
        default=(), description="as a receiver: the share of full volume it takes by sending day 7, 14, 21 and 30"
    )
    is_wall: bool = Field(
        default=True, description="false: daily_limit is a start, and mailboxes may be enrolled above it"
    )
    wants_local_part: bool = Field(default=False, description="its user names are addresses without the domain")
    sign_in: tuple[SignInKind, ...] = Field(
        default=(SignInKind.PASSWORD,), description="password, app-password, google, microsoft"
    )
    app_password_letters: Count | None = Field(default=None, description="length of its app passwords, without spaces")
    app_password_help: str = Field(default="", description="where to make an app password")
    junk_folder: str | None = Field(default=None, description="where it does not say by itself (RFC 6154)")
    sent_folder: str | None = Field(default=None, description="likewise")
    trash_folder: str | None = Field(default=None, description="likewise")
    files_sent: bool = Field(default=False, description="it files what was sent over SMTP in Sent by itself")


class Settings(BaseSettings):
    """All of it. `Settings()` is the defaults: nothing is read from the process's surroundings (see `load`)."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)

    ledger: LedgerSettings = LedgerSettings()
    vault: VaultSettings = VaultSettings()
    http: HttpSettings = HttpSettings()
    daemon: DaemonSettings = DaemonSettings()
    engine: EngineSettings = EngineSettings()
    send: SendSettings = SendSettings()
    limits: LimitSettings = LimitSettings()
    observe: ObserveSettings = ObserveSettings()
    engage: EngageSettings = EngageSettings()
    window: WindowSettings = WindowSettings()
    pairing: PairingSettings = PairingSettings()
    network: NetworkSettings = NetworkSettings()
    oauth: OAuthSettings = OAuthSettings()
    identity: IdentitySettings = IdentitySettings()
    content: ContentSettings = ContentSettings()
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    rehearsal: RehearsalSettings = RehearsalSettings()
    providers: dict[str, ProviderSettings] = Field(default={}, description="receivers and hosts of your own")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: `load` asks the sources itself, so that it can tell where each value came from."""
        return (init_settings,)

    @model_validator(mode="after")
    def _shared(self) -> Self:
        if self.engine.kind == "cluster" and self.ledger_file is not None:
            raise ValueError(
                'engine.kind = "cluster" needs a ledger that many machines reach: set ledger.url to PostgreSQL'
            )
        return self

    @property
    def is_rehearsal(self) -> bool:
        """True where ledger time runs faster than real time: no host but loopback may be reached."""
        return self.rehearsal.speed != 1

    @property
    def ledger_file(self) -> Path | None:
        """The ledger's own file; None where it is a server's."""
        url = self.ledger.url
        return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

    @property
    def lock_file(self) -> Path:
        """Held by the one daemon."""
        return self.beside_ledger(".lock")

    @property
    def http_file(self) -> Path:
        """Where the daemon writes the address it listens on."""
        return self.beside_ledger(".http")

    def beside_ledger(self, suffix: str) -> Path:
        """`<ledger><suffix>`; beside the key file where the ledger is a server's."""
        ledger = self.ledger_file or self.vault.key_file.with_suffix("")
        return ledger.with_name(ledger.name + suffix)
