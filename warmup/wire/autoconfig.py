"""The mail settings a domain publishes (draft-ietf-mailmaint-autoconfig, "clientConfig" 1.1), read with suspicion.

Anybody may have written the document: a DOCTYPE ends the reading, so that no entity is ever declared; depth and size
are bounded; a server counts only if it is spoken to under TLS with a password. What is found is an offer, believed by
nobody yet: whose hosts may have a password is decided at enrolment.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from xml.parsers import expat

from warmup.mail.address import ascii_domain, domain_of, local_part
from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import ProtocolError, quote

_DEEPEST = 16
_MOST_SERVERS = 16
# RFC 1123 2.1: letters, digits, hyphens; and the underscore some hosts bear against it.
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PASSWORDS = frozenset({"password-cleartext", "plain", "password-encrypted", "secure"})
_SECURITY = {"SSL": Security.TLS, "STARTTLS": Security.STARTTLS}


class NotAutoconfig(ProtocolError):
    """The document is no settings file, or one that is not to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One server, and the user name it wants."""

    endpoint: Endpoint
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """The servers of a document that can be used here, in its order. `oauth_only`: some take no password at all."""

    smtp: tuple[Offer, ...] = ()
    imap: tuple[Offer, ...] = ()
    oauth_only: bool = False


@dataclass(slots=True, kw_only=True)
class _Server:
    """What a document says of one server, as it stands there."""

    protocol: str
    said: dict[str, list[str]] = field(default_factory=dict)

    def first(self, name: str) -> str:
        return next(iter(self.said.get(name, ())), "")


def offers(document: bytes, *, address: str) -> Offers:
    """What `document` offers the owner of `address`; raises NotAutoconfig."""
    servers = _Reading().servers_of(document)
    usable = [(server.protocol, offer) for server in servers if (offer := _offer(server, address)) is not None]
    kinds = [set(server.said.get("authentication", ())) for server in servers]
    return Offers(
        smtp=tuple(offer for protocol, offer in usable if protocol == "smtp"),
        # IMAP is spoken with implicit TLS alone.
        imap=tuple(
            offer for protocol, offer in usable if protocol == "imap" and offer.endpoint.security is Security.TLS
        ),
        oauth_only=any(kind and not kind & _PASSWORDS and "OAuth2" in kind for kind in kinds),
    )


def _offer(server: _Server, address: str) -> Offer | None:
    kinds = set(server.said.get("authentication", ()))
    security = _SECURITY.get(server.first("socketType"))
    host = _filled(server.first("hostname"), address)
    username = _filled(server.first("username"), address)
    port = server.first("port")
    if security is None or host is None or not username or (kinds and not kinds & _PASSWORDS):
        return None
    host = host.lower().rstrip(".")
    if not is_host(host) or not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        return None
    if not username.isprintable():
        return None
    return Offer(endpoint=Endpoint(host=host, port=int(port), security=security), username=username)


def is_host(text: str) -> bool:
    """True for a host's name, or an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return _HOST.fullmatch(text) is not None
    return True


def _filled(text: str, address: str) -> str | None:
    """`text` with its placeholders filled in; None where it has one we do not know."""
    known = {
        "%EMAILADDRESS%": address,
        "%EMAILLOCALPART%": local_part(address),
        "%EMAILDOMAIN%": ascii_domain(domain_of(address)),
    }
    for name in re.findall(r"%[A-Z]+%", text):
        if name not in known:
            return None
    return re.sub(r"%[A-Z]+%", lambda found: known[found[0]], text)


class _Reading:
    """One pass over one document."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._text: list[str] = []
        self._servers: list[_Server] = []
        self._open: _Server | None = None
        self._is_settings = False

    def servers_of(self, document: bytes) -> list[_Server]:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        try:
            parser.Parse(document, True)
        except (expat.ExpatError, ValueError, LookupError) as reason:
            raise NotAutoconfig(f"the settings file is no XML: {quote(str(reason))}") from reason
        if not self._is_settings:
            raise NotAutoconfig("the document is no settings file")
        return self._servers

    def _doctype(self, *_: object) -> None:
        raise NotAutoconfig("the settings file has a DOCTYPE, and is not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._text.clear()
        if len(self._path) > _DEEPEST:
            raise NotAutoconfig("the settings file is nested too deeply")
        self._is_settings |= self._path == ["clientConfig", "emailProvider"]
        if self._path[:2] == ["clientConfig", "emailProvider"] and len(self._path) == 3:
            self._open = self._server(name, attributes)

    def _server(self, name: str, attributes: dict[str, str]) -> _Server | None:
        kind = attributes.get("type", "").lower()
        if (name, kind) not in (("incomingServer", "imap"), ("outgoingServer", "smtp")):
            return None
        if len(self._servers) == _MOST_SERVERS:
            raise NotAutoconfig(f"the settings file names more than {_MOST_SERVERS} servers")
        self._servers.append(_Server(protocol=kind))
        return self._servers[-1]

    def _end(self, name: str) -> None:
        if self._open is not None and len(self._path) == 4:
            self._open.said.setdefault(name, []).append("".join(self._text).strip())
        if len(self._path) == 3:
            self._open = None
        self._path.pop()
        self._text.clear()


def pairs(found: Offers) -> Iterator[tuple[Offer, Offer]]:
    """SMTP and IMAP servers that take the same user name, the document's first ones first."""
    return ((smtp, imap) for smtp in found.smtp for imap in found.imap if smtp.username == imap.username)
