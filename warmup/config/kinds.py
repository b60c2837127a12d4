"""The kinds of value a setting can be, each with its check and a sentence for who got it wrong."""

import re
from datetime import time
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from warmup.config.holidays import calendar_named
from warmup.policy.mailbox import Endpoint
from warmup.policy.provider import security_of

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# RFC 5322 3.6.8: ftext is printable US-ASCII without the colon.
_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def host_and_port(text: str) -> tuple[str, int]:
    """Host and port out of `HOST:PORT`, IPv6 in brackets; ValueError says what is wrong. Port 0 is let through."""
    host, colon, port = text.strip().rpartition(":")
    host = host.strip("[]") if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or (":" in host and not _is_ip(host)) or re.search(r"[\s/@]", host):
        raise ValueError(f'"{text}" is not HOST:PORT; write for example mail.example.com:587')
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f'"{port}" is not a port; a port is 1 to 65535')
    return host, int(port)


def is_loopback(host: str) -> bool:
    """True where `host` names this machine itself: a literal loopback address, or localhost."""
    return host.lower() == "localhost" or (_is_ip(host) and ip_address(host).is_loopback)


def endpoint(text: str) -> Endpoint:
    """The server `HOST:PORT` names, secured as its port is by custom; ValueError."""
    host, port = host_and_port(text)
    if port == 0:
        raise ValueError(f'"{text}" names no port to connect to; a port is 1 to 65535')
    return Endpoint(host=host.lower(), port=port, security=security_of(port))


def nameserver(text: str) -> tuple[str, int] | None:
    """The DNS server `IP` or `IP:PORT` names, None for the empty text; ValueError."""
    if not text:
        return None
    host, port = (text, 53) if _is_ip(text) else host_and_port(text)
    if not _is_ip(host) or port == 0:
        raise ValueError(f'"{text}" is not the IP address of a DNS server; write for example 192.0.2.53')
    return host, port


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _no_bool(value: Any) -> Any:
    # true would pass for 1.
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not true or false")
    return value


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(word for part in value.split(",") if (word := part.strip()))


def _time_of_day(value: Any) -> time:
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError(f'"{value}" is not a time of day; write HH:MM, 00:00 to 23:59')
    return time.fromisoformat(value)


def _weekdays(value: tuple[str, ...]) -> tuple[str, ...]:
    days = tuple(word.lower()[:3] for word in value)
    wrong = [word for word, day in zip(value, days, strict=True) if day not in WEEKDAYS]
    if wrong or not days:
        raise ValueError(f"{', '.join(wrong) or 'nothing'} is no weekday; name at least one of {', '.join(WEEKDAYS)}")
    return tuple(dict.fromkeys(days))


def weekdays_in(text: str) -> frozenset[int]:
    """The weekdays named in `mon,tue`, Monday 0; ValueError."""
    return frozenset(WEEKDAYS.index(day) for day in _weekdays(_split(text)))


def times_in(text: str) -> tuple[time, time]:
    """From when to when `HH:MM-HH:MM` is; ValueError."""
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f'"{text}" is no span of hours; write for example 08:00-18:00')
    return _time_of_day(start.strip()), _time_of_day(end.strip())


def _header_name(value: str) -> str:
    if value and not _HEADER_NAME.fullmatch(value):
        raise ValueError(f'"{value}" is no header name; write for example X-Warmup-Id, or "" for none')
    if value and not value.lower().startswith("x-"):
        raise ValueError(f'"{value}" has or may get a meaning of its own; take a name that begins with X-')
    return value


def _listen(value: str) -> str:
    host_and_port(value)
    return value


def _endpoints(value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        endpoint(text)
    return value


def _maybe_endpoint(value: str) -> str:
    if value:
        endpoint(value)
    return value


def _nameserver(value: str) -> str:
    nameserver(value)
    return value


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    said = value.isascii() and value.isprintable() and " " not in value
    if not said or not host or parts.username is not None or parts.fragment:
        raise ValueError(f'"{value}" is no web address; write for example https://login.example.com/token')
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError(f'"{value}" is not https; http is for loopback alone')
    return value


def _scopes(value: tuple[str, ...]) -> tuple[str, ...]:
    # RFC 6749 3.3: scope-token is printable ASCII without the quote and the backslash.
    wrong = [word for word in value if not re.fullmatch(r"[!#-\[\]-~]+", word)]
    if wrong or not value:
        raise ValueError(f"{wrong[0]!r} is no scope" if wrong else "at least one scope is needed")
    return value


def _domains(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.lower().strip(".") for word in value))


def _pace(value: tuple[float, ...]) -> tuple[float, ...]:
    if value and (len(value) != 4 or sorted(value) != list(value) or not 0 < value[0] <= value[-1] <= 1):
        raise ValueError("a pace is four shares that do not fall, above 0 and at most 1; write [0.1, 0.3, 0.6, 0.9]")
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Domains = Annotated[Words, AfterValidator(_domains)]
Weekdays = Annotated[Words, AfterValidator(_weekdays)]
Endpoints = Annotated[Words, AfterValidator(_endpoints)]
MaybeEndpoint = Annotated[str, AfterValidator(_maybe_endpoint)]
Nameserver = Annotated[str, AfterValidator(_nameserver)]
Seconds = Annotated[float, BeforeValidator(_no_bool), Field(gt=0, le=86400 * 30)]
Hours = Annotated[float, BeforeValidator(_no_bool), Field(gt=0, le=24 * 30)]
Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=1)]
Whole = Annotated[int, BeforeValidator(_no_bool), Field(ge=0)]
Ratio = Annotated[float, BeforeValidator(_no_bool), Field(ge=0, lt=1)]
Speed = Annotated[float, BeforeValidator(_no_bool), Field(ge=1, le=100_000)]
Share = Annotated[float, BeforeValidator(_no_bool), Field(ge=0)]
Calendar = Annotated[str, AfterValidator(calendar_named)]
Pace = Annotated[tuple[float, ...], AfterValidator(_pace)]
Port = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=65535)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Scopes = Annotated[Words, AfterValidator(_scopes)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
Listen = Annotated[str, AfterValidator(_listen)]
TimeOfDay = Annotated[
    time, BeforeValidator(_time_of_day), PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str)
]
