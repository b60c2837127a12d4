"""SPF, DKIM and DMARC as the receiving provider saw them on our own messages, and what is to be made of it.

Anybody can write an Authentication-Results field, so only the provider's own is believed: it knows its own name
(RFC 8601 5), and puts its field on top. Of every name of its own the topmost field counts; what stands below it under
the same name, or beside it under another, may have come with the message. A provider we know has the names given here;
any other is known by the registrable domain of its seed's address or IMAP host.

A method fails on a lane where more than half of what was said of it lately is a failure. `none` is no failure of its
own (DMARC is asked of bulk senders alone), but mail for which neither SPF nor DKIM vouches is unauthenticated.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique
from typing import Final

from warmup.mail.authres import AuthResults

LATELY: Final = timedelta(days=14)
MOST: Final = 8
"""The last results that say how a method stands now: mended DNS shows within a handful of messages."""

ENOUGH: Final = 3

# The names receivers sign their results with, by the lane's provider. A leading dot takes every name below; "" is
# Microsoft's, who says none. iCloud writes one field a method, each under a name of its own.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "gmail": ("mx.google.com",),
    "workspace": ("mx.google.com",),
    "outlook": ("", ".protection.outlook.com", ".prod.outlook.com"),
    "microsoft365": ("", ".protection.outlook.com", ".prod.outlook.com"),
    "yahoo": (".yahoo.com",),
    "aol": (".yahoo.com", ".aol.com"),
    "icloud": (".icloud.com", ".apple.com"),
    "zoho": ("mx.zohomail.com", "mx.zoho.com", "mx.zoho.eu", "mx.zoho.in"),
    "fastmail": (".messagingengine.com", ".fastmail.com"),
    "gmx": ("gmx.net", "gmx.com", ".gmx.net"),
    "webde": ("web.de", ".web.de"),
    "yandex": (".yandex.ru", ".yandex.net", ".yandex.com"),
    "mailru": (".mail.ru",),
}
_ONE_A_METHOD: Final = frozenset({"icloud"})
_FAILURES: Final = frozenset({"fail", "hardfail", "softfail", "permerror", "policy"})
# RFC 8601 2.7: the check could not be made, which says nothing of us; Microsoft guesses where there is no policy.
_SAYS_NOTHING: Final = frozenset({"temperror", "bestguesspass", "unknown", "skipped"})


@unique
class Method(StrEnum):
    """What receivers check."""

    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who took the message: the lane's provider, the seed's domain and the host its mail is read from."""

    provider: str
    domain: str
    imap_host: str
    registrable: Callable[[str], str]

    def wrote(self, authserv_id: str | None) -> bool:
        """True where the name is the receiver's own."""
        name = (authserv_id or "").lower().rstrip(".")
        known = _NAMES.get(self.provider)
        if known is not None:
            return any(name == own if not own.startswith(".") else f".{name}".endswith(own) for own in known)
        if not name:
            return False
        host = self.imap_host.lower().rstrip(".")
        homes = {self.registrable(self.domain.lower())} | ({self.registrable(host)} if _is_name(host) else set())
        return name in (host, self.domain.lower()) or (_is_name(name) and self.registrable(name) in homes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """What the receiver said of one message: the result of each method it named, and when that was seen."""

    at: datetime
    results: Mapping[Method, str]


@dataclass(frozen=True, slots=True)
class Share:
    """How many messages passed of those something was said of."""

    passed: int
    n: int

    @property
    def ratio(self) -> float:
        """The share that passed, 0–1."""
        return self.passed / self.n


def results_of(fields: Sequence[AuthResults], receiver: Receiver) -> dict[Method, str]:
    """The results of a message's Authentication-Results fields, topmost first, that are to be believed."""
    own: dict[str | None, AuthResults] = {}
    for field in fields:
        if receiver.wrote(field.authserv_id):
            own.setdefault(field.authserv_id, field)
    believed = list(own.values())
    if receiver.provider not in _ONE_A_METHOD:
        believed = believed[:1]
    found: dict[Method, str] = {}
    for field in believed:
        for method in Method:
            said = [each.result for each in field.results if each.method == method.value]
            if said and method not in found:
                # One good signature is enough (RFC 6376 6.1): providers add their own beside ours.
                found[method] = "pass" if "pass" in said else said[0]
    return found


def shares(counts: Iterable[tuple[Mapping[Method, str], int]]) -> dict[Method, Share]:
    """Of each method that anything was said of, how often it passed; `counts` are results and how often they came."""
    passed, said = Counter[Method](), Counter[Method]()
    for results, n in counts:
        for method, result in results.items():
            if result not in _SAYS_NOTHING:
                said[method] += n
                passed[method] += n if result == "pass" else 0
    return {method: Share(passed=passed[method], n=said[method]) for method in Method if said[method]}


def failing(vouched: Sequence[Vouched], now: datetime, provider: str) -> str | None:
    """What fails at the receiver now, in words for a person; None where nothing does, or too little is known.

    `vouched` is of one lane, oldest first.
    """
    lately = [each for each in vouched if each.at > now - LATELY][-MOST:]
    found = [words for method in Method if (words := _failing(method, lately, provider))]
    bare = sum(1 for each in lately if _is_bare(each))
    if not found and len(lately) >= ENOUGH and bare * 2 > len(lately):
        found = [f"neither SPF nor DKIM vouches for it at {provider} ({bare} of the last {len(lately)})"]
    return "; ".join(found) or None


def _failing(method: Method, lately: Sequence[Vouched], provider: str) -> str | None:
    said = [each.results[method] for each in lately if each.results.get(method, "unknown") not in _SAYS_NOTHING]
    wrong = sum(1 for result in said if result in _FAILURES)
    if len(said) < ENOUGH or wrong * 2 <= len(said):
        return None
    return f"{method.value.upper()} fails at {provider} ({wrong} of the last {len(said)})"


def _is_bare(vouched: Vouched) -> bool:
    said = [vouched.results.get(method) for method in (Method.SPF, Method.DKIM)]
    return None not in said and all(result in ("none", "neutral", *_FAILURES) for result in said)


def _is_name(host: str) -> bool:
    # An address literal has no registrable domain: its last two numbers would be taken for one.
    return "." in host and not host.replace(".", "").isdigit() and ":" not in host
