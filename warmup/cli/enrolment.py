"""What a person said about a mailbox, checked before anything is connected to or saved.

Every check answers with the value that will be kept, or with a fault that says what is right instead. Nothing here
touches a network or a disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from warmup.cli.faults import Fault, bad_input, wrong_usage
from warmup.config import Settings, is_zone
from warmup.config.holidays import calendar_named
from warmup.config.kinds import endpoint, is_loopback, times_in, weekdays_in
from warmup.config.mistakes import did_you_mean
from warmup.config.settings import zone_hint
from warmup.ledger.enrolled import NewMailbox
from warmup.mail.address import Address, domain_of, local_part, needs_smtputf8, parse_address
from warmup.policy.mailbox import Endpoint, Hours, Profile, Protocol, Role, Security, SmtpAuth
from warmup.policy.provider import CUSTOM, Provider, Providers
from warmup.policy.ramp import RAMP_NAMES, RampUnknown, ramp_named
from warmup.wire.discovery import Found, strangers

DEFAULT_RAMP = "standard"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The options of `mailbox add` as they were said; None: not said."""

    address: str
    provider: str | None = None
    account_type: str | None = None
    daily_limit: int | None = None
    target: int | None = None
    ramp: str | None = None
    timezone: str | None = None
    weekdays: str | None = None
    hours: str | None = None
    holidays: str | None = None
    profile: Profile | None = None
    role: Role = Role.BOTH
    smtp: str | None = None
    smtp_security: Security | None = None
    smtp_auth: SmtpAuth = SmtpAuth.PASSWORD
    imap: str | None = None
    imap_security: Security | None = None
    username: str | None = None
    accept_host: bool = False
    engage: bool = False
    tags: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A mailbox that may be enrolled once its logins hold; what its operator should hear before that, and after."""

    new: NewMailbox
    provider: Provider
    doubts: tuple[str, ...]
    notes: tuple[str, ...]


def wanted(wish: Wish, providers: Providers) -> frozenset[Protocol]:
    """The servers that have to be found, because neither `wish` nor a preset names them. Raises AddressError."""
    if wish.provider is not None or providers.find_by_domain(domain_of(parse_address(wish.address))) is not None:
        return frozenset()
    said = {Protocol.SMTP: wish.smtp, Protocol.IMAP: wish.imap}
    return frozenset(protocol for protocol, text in said.items() if text is None)


def draft(wish: Wish, *, settings: Settings, providers: Providers, now: datetime, found: Found | None = None) -> Draft:
    """The mailbox `wish` asks for; `found` is what its domain says of the servers `wanted`. Raises Fault (65)."""
    address = checked_address(wish.address)
    found = found or Found()
    provider = found.provider or provider_for(wish, domain_of(address), providers, found)
    limit = checked_limit(provider, account_type=wish.account_type, asked=wish.daily_limit)
    smtp = _smtp_or(wish, provider, found)
    imap = _imap_or(wish, provider, found)
    for server in (smtp, imap):
        check_host(server, settings)
    _check_strangers(wish, found, providers)
    new = NewMailbox(
        address=address,
        name=checked_name(wish.name),
        provider=provider.name,
        receiver=_receiver(address, provider, imap, providers),
        role=wish.role,
        ramp=checked_ramp(wish.ramp or DEFAULT_RAMP),
        target=checked_target(wish.target, limit=limit),
        daily_limit=limit,
        timezone=checked_zone(wish.timezone or settings.window.timezone),
        hours=checked_hours(wish.weekdays, wish.hours, usual=settings.window.hours),
        holidays=checked_holidays(wish.holidays),
        profile=wish.profile,
        smtp=smtp,
        smtp_auth=wish.smtp_auth,
        imap=imap,
        username=checked_username(wish.username or found.username or _usual_username(address, provider)),
        engage=wish.engage,
        tags=checked_tags(wish.tags),
        enrolled_at=now,
    )
    if new.engage and new.role is Role.CONTROL:
        raise bad_input("a control is never engaged with", "leave --engage out, or choose --role seed")
    return Draft(
        new=new, provider=provider, doubts=tuple(_doubts(new, provider)), notes=tuple(_notes(wish, new, found))
    )


def _receiver(address: str, provider: Provider, imap: Endpoint, providers: Providers) -> str:
    """The lane of mail to `address`: its provider's, else that of whoever keeps the server it is read at."""
    domain = domain_of(address)
    if provider.name == CUSTOM and providers.find_by_domain(domain) is None:
        return providers.receiver_at(imap) or providers.receiver_of(domain)
    return providers.receiver_of(domain, provider.name)


def provider_for(wish: Wish, domain: str, providers: Providers, found: Found) -> Provider:
    """The provider named, else the one `domain` belongs to, else `custom` where both servers are said or found."""
    if wish.provider is not None:
        if wish.provider not in providers.by_name:
            near = did_you_mean(wish.provider, providers.by_name).removeprefix("; ")
            known = ", ".join(sorted(providers.by_name))
            raise wrong_usage(f'there is no provider "{wish.provider}"', near or f"choose one of {known}")
        return providers.named(wish.provider)
    owner = providers.find_by_domain(domain)
    if owner is None and not ((wish.smtp or found.smtp) and (wish.imap or found.imap)):
        tried = f" ({', '.join(found.tried)})" if found.tried else ""
        raise bad_input(
            f"no mail settings are known for {domain}{tried}",
            "say --provider NAME, or --smtp HOST:PORT and --imap HOST:PORT",
        )
    return owner or providers.named(CUSTOM)


def checked_limit(provider: Provider, *, account_type: str | None, asked: int | None) -> int:
    """Messages in any 24 hours: what was asked, never above the provider's own limit."""
    try:
        limit = provider.limit_of(account_type)
    except KeyError:
        known = ", ".join(sorted(provider.account_limits)) or "none"
        raise bad_input(
            f'{provider.name} has no account type "{account_type}"', f"it knows: {known}; or leave the option out"
        ) from None
    if asked is None:
        return limit
    if asked < 1:
        raise bad_input(f"a daily limit of {asked} sends nothing", "say at least 1, or pause the mailbox")
    if asked > limit and provider.is_wall:
        raise bad_input(
            f"a daily limit of {asked} is above the {limit} in 24 hours of {provider.title}",
            f"say at most {limit}, or change daily_limit under [providers.{provider.name}]",
        )
    return asked


def checked_target(target: int | None, *, limit: int) -> int | None:
    """The volume a day to arrive at; None: the ramp's own end."""
    if target is not None and not 1 <= target <= limit:
        raise bad_input(f"a target of {target} a day does not fit", f"say 1 to {limit}, the daily limit")
    return target


def checked_address(text: str) -> Address:
    """The address, where mail from and to it can be spelled in ASCII. Raises AddressError, Fault (65)."""
    address = parse_address(text)
    if needs_smtputf8(address):
        # RFC 6531: every server on the way would have to offer SMTPUTF8, and every reader of our ids to know it.
        raise bad_input(f"{address} is beyond ASCII before its @", "enrol the account's address in plain letters")
    return address


def checked_ramp(name: str) -> str:
    """The name of a ramp there is."""
    try:
        ramp_named(name)
    except RampUnknown as unknown:
        raise wrong_usage(f'there is no ramp "{name}"', f"choose one of {', '.join(RAMP_NAMES)}") from unknown
    return name


def checked_zone(name: str) -> str:
    """The name of a time zone there is."""
    if not is_zone(name):
        raise bad_input(f'"{name}" is not a time zone{zone_hint(name)}')
    return name


def checked_hours(weekdays: str | None, hours: str | None, *, usual: Hours) -> Hours | None:
    """The window that was said, what was not said as it is `usual`ly; None where nothing was."""
    if weekdays is None and hours is None:
        return None
    try:
        days = usual.days if weekdays is None else weekdays_in(weekdays)
        start, end = (usual.start, usual.end) if hours is None else times_in(hours)
        return Hours(days=days, start=start, end=end)
    except ValueError as wrong:
        raise bad_input(str(wrong)) from wrong


def checked_holidays(calendar: str | None) -> str | None:
    """The name of a calendar of holidays there is, "" for none; None where nothing was said."""
    try:
        return None if calendar is None else calendar_named(calendar)
    except ValueError as wrong:
        raise bad_input(str(wrong)) from wrong


def checked_name(name: str) -> str:
    """A display name that stays on its line."""
    if any(not char.isprintable() for char in name):
        raise bad_input("a display name is one line of plain text", "leave control characters out")
    if len(name) > _LONGEST_NAME:
        # RFC 5322 2.1.1: no line of a header is longer than 998, and what is encoded grows.
        raise bad_input(f"a display name of {len(name)} letters is too long", f"say at most {_LONGEST_NAME}")
    return name.strip()


def checked_username(username: str) -> str:
    """A user name that fits into one command."""
    if not username.strip() or any(not char.isprintable() for char in username):
        raise bad_input("a user name is one line of plain text", "say it with --username")
    return username.strip()


def checked_tags(tags: tuple[str, ...]) -> frozenset[str]:
    """Tags without blanks, so that they can be said on a command line."""
    wrong = [tag for tag in tags if not tag or any(char.isspace() or not char.isprintable() for char in tag)]
    if wrong:
        raise bad_input(f"{wrong[0]!r} is no tag", "a tag is a word without blanks")
    return frozenset(tags)


def smtp_endpoint(text: str, security: Security | None) -> Endpoint:
    """The SMTP server HOST:PORT names, secured as said or as its port is by custom."""
    found = _endpoint(text, "--smtp")
    return replace(found, security=security or found.security)


def imap_endpoint(text: str, security: Security | None) -> Endpoint:
    """The IMAP server HOST:PORT names; TLS from the first byte unless plain text is asked for."""
    if security is Security.STARTTLS:
        raise bad_input("IMAP is spoken with implicit TLS here", "use port 993 with --imap-security tls")
    return replace(_endpoint(text, "--imap"), security=security or Security.TLS)


def check_host(server: Endpoint, settings: Settings) -> None:
    """Nothing where `server` may be used: plain text is for loopback, and so is everything in a rehearsal."""
    if is_loopback(server.host):
        return
    if server.security is Security.NONE:
        raise bad_input(f"{server} would be spoken to without TLS, which is for loopback alone", "use tls or starttls")
    if settings.is_rehearsal:
        raise bad_input(
            f"{server.host} is not on this machine, and a rehearsal reaches nothing else", "set rehearsal.speed to 1"
        )


def _secured(server: Endpoint) -> str:
    return f"{server} ({server.security})"


def _endpoint(text: str, option: str) -> Endpoint:
    try:
        return endpoint(text)
    except ValueError as wrong:
        raise bad_input(f"{option}: {wrong}") from wrong


def _check_strangers(wish: Wish, found: Found, providers: Providers) -> None:
    """Nothing where the servers found are the domain's own, a preset's, or accepted by the operator."""
    # What the operator said is not of anybody's finding.
    taken = replace(found, smtp=None if wish.smtp else found.smtp, imap=None if wish.imap else found.imap)
    foreign = strangers(taken, parse_address(wish.address), providers)
    if foreign and not wish.accept_host:
        raise bad_input(
            f"{found.source} of {domain_of(wish.address)} names {' and '.join(foreign)}, outside its own domain",
            "if that is where the password belongs, add --accept-host; else say --smtp HOST:PORT and --imap HOST:PORT",
        )


def _usual_username(address: str, provider: Provider) -> str:
    return local_part(address) if provider.wants_local_part else address


def _smtp_or(wish: Wish, provider: Provider, found: Found) -> Endpoint:
    if wish.smtp is not None:
        return smtp_endpoint(wish.smtp, wish.smtp_security)
    if found.smtp is None and not provider.smtp:
        raise _no_server(provider, "--smtp")
    preferred = found.smtp or provider.smtp[0]
    return preferred if wish.smtp_security is None else replace(preferred, security=wish.smtp_security)


def _imap_or(wish: Wish, provider: Provider, found: Found) -> Endpoint:
    if wish.imap is not None:
        return imap_endpoint(wish.imap, wish.imap_security)
    preferred = found.imap or provider.imap
    if preferred is None:
        raise _no_server(provider, "--imap")
    return imap_endpoint(str(preferred), wish.imap_security)


def _no_server(provider: Provider, option: str) -> Fault:
    return bad_input(f"{provider.title} has no server in its preset", f"say {option} HOST:PORT")


def _doubts(new: NewMailbox, provider: Provider) -> Iterator[str]:
    if "@" not in new.username and provider.name != CUSTOM and not provider.wants_local_part:
        yield f"{provider.title} usually wants the whole address as user name: --username {new.address}"


def _notes(wish: Wish, new: NewMailbox, found: Found) -> Iterator[str]:
    if found.source:
        what = f"{new.provider}: " if found.provider else ""
        yield f"found by {found.source}: {what}{_secured(new.smtp)} and {_secured(new.imap)}, user name {new.username}"
    if wish.timezone is None:
        fix = f"warmup mailbox set {new.address} --timezone TZ"
        yield f"its days and hours are in {new.timezone}; if it is elsewhere: {fix}"
