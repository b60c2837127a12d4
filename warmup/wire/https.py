"""One document from a web server, over TLS that is believed and at addresses that are checked.

Only `https`, also after a redirect, and every hop is resolved and checked anew (wire/network), so that neither a
redirect nor a name that answers twice leads into a private network. Nothing is said of who asks but the request itself;
no cookie, no password, no compression, and never more bytes than `limit`.
"""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import ProtocolError, TooLarge, Unreachable, Untrusted, WireError, quote
from warmup.wire.network import Network, refusal_of

HTTPS = 443
REDIRECTS = 3

_LIMIT = 128 * 1024
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
# RFC 3986 2: what stands in a request line as it is. No blank, no control character.
_TARGET = re.compile(r"/[!-~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a server answered in the end, at the address it was found at."""

    url: str
    status: int
    body: bytes


async def fetch(url: str, *, network: Network, seconds: float = 10.0, limit: int = _LIMIT) -> Page:
    """The page at `url`, at most three redirects away, within `seconds` for all of it. Raises WireError.

    `url` is the caller's word, a redirect somebody else's: it leads to this machine only where private hosts may be.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _followed(url, network, seconds, limit)
    except TimeoutError as late:
        raise Unreachable(f"{quote(url)} did not answer within {seconds:g} s") from late


async def _followed(url: str, network: Network, seconds: float, limit: int) -> Page:
    for _ in range(REDIRECTS + 1):
        status, location, body = await _asked(url, network, seconds, limit)
        if status not in _REDIRECTED or not location:
            return Page(url=url, status=status, body=body)
        url = urljoin(url, location)
        network.check_named(_parsed(url)[0].host)
    raise ProtocolError(f"{quote(url)} is the end of more than {REDIRECTS} redirects")


async def _asked(url: str, network: Network, seconds: float, limit: int) -> tuple[int, str, bytes]:
    """Status, Location and body of one request."""
    endpoint, target = _parsed(url)
    sock = await network.connect(endpoint, timeout=seconds)
    writer = None
    try:
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=network.tls(), server_hostname=endpoint.host, limit=limit
        )
        return await _exchanged(reader, writer, endpoint, target, limit)
    except WireError:
        raise
    except OSError as reason:
        raise refusal_of(reason, endpoint) from reason
    finally:
        # Nothing is left to be said: no farewell is waited for.
        if writer is not None:
            writer.transport.abort()
        else:
            sock.close()


async def _exchanged(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, endpoint: Endpoint, target: str, limit: int
) -> tuple[int, str, bytes]:
    import h11

    talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=32 * 1024)
    host = endpoint.host if endpoint.port == HTTPS else str(endpoint)
    headers = [("Host", host), ("Accept", "text/xml, application/xml"), ("User-Agent", "warmup"), *_PLAIN]
    writer.write(talk.send(h11.Request(method="GET", target=target, headers=headers)) or b"")
    writer.write(talk.send(h11.EndOfMessage()) or b"")
    status, location, body = 0, "", bytearray()
    try:
        while True:
            match talk.next_event():
                case h11.NEED_DATA:
                    talk.receive_data(await reader.read(16 * 1024))
                case h11.Response() as response:
                    status, location = response.status_code, _field(response.headers, b"location")
                    if _field(response.headers, b"content-encoding").lower() not in ("", "identity"):
                        raise ProtocolError(f"{endpoint} answered in an encoding that was not asked for")
                case h11.Data() as data:
                    body += data.data
                    if len(body) > limit:
                        raise TooLarge(f"{endpoint} sent more than {limit} bytes")
                case h11.EndOfMessage() | h11.ConnectionClosed():
                    return status, location, bytes(body)
    except h11.RemoteProtocolError as reason:
        raise ProtocolError(f"{endpoint} does not speak HTTP: {quote(str(reason))}") from reason


_PLAIN = (("Accept-Encoding", "identity"), ("Connection", "close"))


def _field(headers: object, name: bytes) -> str:
    found = [value for key, value in headers if key == name]  # type: ignore[attr-defined]
    return found[0].decode("latin-1") if found else ""


def _parsed(url: str) -> tuple[Endpoint, str]:
    """The server and the request target of `url`; Untrusted where it is not https, ProtocolError where it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or HTTPS
        if parts.scheme != "https":
            raise Untrusted(f"{quote(url)} is not https, and is not asked")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not host or parts.username is not None or not host.isascii() or not _TARGET.fullmatch(target):
            raise ValueError("not a plain address")
        return Endpoint(host=host, port=port, security=Security.TLS), target
    except ValueError as reason:
        raise ProtocolError(f"{quote(url)} is no address of a page") from reason
