"""What is known of a mail provider: where one logs in, how, how much it lets an account send, whose mail it takes.

The figures come from the shipped presets and from the operator; this is only their shape. A provider that is a wall
(`is_wall`) refuses more than its limit, so no mailbox may be enrolled above it; `custom` merely starts low.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique

from warmup.policy.authority import AuthorityName
from warmup.policy.mailbox import Endpoint, Security

# The preset of a server nobody knows anything about.
CUSTOM = "custom"

# RFC 8314 3.3, 7.3: 465 and 993 speak TLS from the first byte; RFC 6409 and custom: 587, 25 and 2525 upgrade.
_TLS_PORTS = frozenset({465, 993})


@unique
class SignInKind(StrEnum):
    """How an account proves itself. APP_PASSWORD: the account's own password is refused."""

    PASSWORD = "password"  # noqa: S105 (a kind of secret, not one)
    APP_PASSWORD = "app-password"  # noqa: S105
    GOOGLE = "google"
    MICROSOFT = "microsoft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider as enrolment and planning see it.

    `daily_limit` is messages in any 24 hours for the usual account; `account_limits` names the unusual ones. `smtp` is
    in order of preference. `receiver` is the lane its mailboxes' mail lands in. `per_minute` None: not known. `pace` is
    how fast it takes growing volume as a receiver (policy/pace), (): not known.
    `wants_local_part`: the user name is the address without its domain. `files_sent`: what is sent over SMTP appears in
    the Sent folder by itself.
    """

    name: str
    title: str
    receiver: str
    smtp: tuple[Endpoint, ...] = ()
    imap: Endpoint | None = None
    domains: frozenset[str] = frozenset()
    mx: tuple[str, ...] = ()
    daily_limit: int
    account_limits: Mapping[str, int] = field(default_factory=dict)
    per_minute: int | None = None
    pace: tuple[float, ...] = ()
    is_wall: bool = True
    wants_local_part: bool = False
    sign_in: tuple[SignInKind, ...] = (SignInKind.PASSWORD,)
    app_password_letters: int | None = None
    app_password_help: str = ""
    junk_folder: str | None = None
    sent_folder: str | None = None
    trash_folder: str | None = None
    files_sent: bool = False

    def __post_init__(self) -> None:
        if min(self.daily_limit, *self.account_limits.values(), self.daily_limit) < 1:
            raise ValueError(f"a daily limit is at least 1, got {self.daily_limit}, {dict(self.account_limits)}")

    def limit_of(self, account_type: str | None) -> int:
        """Messages in any 24 hours for an account of that type, None: the usual one. KeyError where it is unknown."""
        return self.daily_limit if account_type is None else self.account_limits[account_type]

    @property
    def wants_app_password(self) -> bool:
        """True where the account's own password is refused over SMTP and IMAP."""
        return SignInKind.APP_PASSWORD in self.sign_in

    @property
    def takes_passwords(self) -> bool:
        """True where some kind of password is taken at all."""
        return bool({SignInKind.PASSWORD, SignInKind.APP_PASSWORD} & set(self.sign_in))

    @property
    def authorities(self) -> tuple[AuthorityName, ...]:
        """Whose OAuth 2.0 sign-in it takes."""
        return tuple(name for name in AuthorityName if SignInKind(name.value) in self.sign_in)

    def mx_suffix(self, host: str) -> str:
        """The longest of this provider's `mx` that `host`, an MX, is under; empty where it is none of its own."""
        name = host.lower().rstrip(".")
        under = (suffix for suffix in self.mx if name == suffix or name.endswith(f".{suffix}"))
        return max(under, key=len, default="")


def _door(server: Endpoint) -> tuple[str, int]:
    return server.host.lower().rstrip("."), server.port


def security_of(port: int) -> Security:
    """How a connection to `port` is secured where nobody says."""
    return Security.TLS if port in _TLS_PORTS else Security.STARTTLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """All providers by name: ours, changed and added to by the operator. `registrable` knows public suffixes."""

    by_name: Mapping[str, Provider]
    registrable: Callable[[str], str]

    def named(self, name: str) -> Provider:
        """The provider of that name; KeyError."""
        return self.by_name[name]

    def find_by_domain(self, domain: str) -> Provider | None:
        """The provider whose addresses end in `domain`, or None."""
        wanted = domain.lower()
        return next((provider for provider in self.by_name.values() if wanted in provider.domains), None)

    def find_by_mx(self, hosts: Iterable[str]) -> Provider | None:
        """The provider that takes mail at the first of `hosts` anybody is known for, or None; the narrowest wins."""
        for host in hosts:
            nearest = max(self.by_name.values(), key=lambda provider: len(provider.mx_suffix(host)), default=None)
            if nearest is not None and nearest.mx_suffix(host):
                return nearest
        return None

    def receiver_at(self, imap: Endpoint) -> str | None:
        """The lane of mail that is read at `imap`, by the presets that name that server; None where they do not agree.

        A provider without domains of its own is asked before one that has some: whose address is a stranger's domain
        there is a business customer.
        """
        here = [one for one in self.by_name.values() if one.imap and _door(one.imap) == _door(imap)]
        lanes = {one.receiver for one in here if not one.domains} or {one.receiver for one in here}
        return next(iter(lanes)) if len(lanes) == 1 else None

    def receiver_of(self, domain: str, provider: str | None = None) -> str:
        """The lane that mail to `domain` belongs to.

        That of the provider who owns the domain, else of `provider` (the one its mailbox was enrolled with, unless that
        is `custom`), else the registrable domain: a receiver we do not know is a receiver of its own.
        """
        owner = self.find_by_domain(domain)
        if owner is None and provider is not None and provider != CUSTOM:
            owner = self.by_name.get(provider)
        return owner.receiver if owner is not None else self.registrable(domain.lower())
