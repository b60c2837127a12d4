"""One document from a web server, over TLS that is believed and at addresses that are checked.

Only `https`, also after a redirect, and every hop is resolved and checked anew (wire/network), so that neither a
redirect nor a name that answers twice leads into a private network.
"""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import ProtocolError, Unreachable, Untrusted, quote
from warmup.wire.http import HttpAnswer, HttpRequest, exchange
from warmup.wire.network import Network

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
        answer = await _asked(url, network, seconds, limit)
        location = answer.headers.get("location", "")
        if answer.status not in _REDIRECTED or not location:
            return Page(url=url, status=answer.status, body=answer.body)
        url = urljoin(url, location)
        network.check_named(_parsed(url)[0].host)
    raise ProtocolError(f"{quote(url)} is the end of more than {REDIRECTS} redirects")


async def _asked(url: str, network: Network, seconds: float, limit: int) -> HttpAnswer:
    endpoint, target = _parsed(url)
    request = HttpRequest(endpoint=endpoint, target=target, accept="text/xml, application/xml")
    return await exchange(request, network=network, timeout=seconds, limit=limit)


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
