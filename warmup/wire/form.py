"""One HTTP request and its answer: a form posted to an authorisation server.

h11 (uvicorn brings it) over a connection that `Network` made, so that a token endpoint is held to the same rules as a
mail server: the checked address is the one used, the certificate bears the name, plain text is for loopback, and in a
rehearsal nothing else is reached. No redirect is followed, no proxy asked: a secret goes where it is sent or nowhere.
"""

import asyncio
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import h11

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import ProtocolError, TooLarge, Unreachable, WireError
from warmup.wire.errors import quote as quoted
from warmup.wire.network import Network, refusal_of

ANSWER_SECONDS = 30.0
_LONGEST = 64 * 1024
_READ = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """The status and the body, at most 64 KiB."""

    status: int
    body: bytes


async def post_form(
    url: str, fields: Mapping[str, str], *, network: Network, timeout: float = ANSWER_SECONDS
) -> HttpAnswer:
    """What `url` answers to `fields`, whatever its status. Raises WireError; within `timeout` seconds for all of it."""
    endpoint = endpoint_of(url)
    try:
        async with asyncio.timeout(timeout):
            return await _exchanged(endpoint, url, urlencode(fields).encode("ascii"), network, timeout)
    except TimeoutError:
        raise Unreachable(f"{endpoint} did not answer within {timeout:g} s") from None
    except h11.RemoteProtocolError as garbled:
        raise ProtocolError(f"{endpoint} does not speak HTTP: {quoted(str(garbled))}") from None


def endpoint_of(url: str) -> Endpoint:
    """The server of a web address the configuration let pass."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    return Endpoint(
        host=parts.hostname or "",
        port=parts.port or (443 if secure else 80),
        security=Security.TLS if secure else Security.NONE,
    )


def forms_of(secret: str) -> tuple[str, ...]:
    """The forms in which a secret in a posted field may be echoed, longest first: quoted, URL-encoded, in base64."""
    forms = {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    # Without its padding: an echo may leave it out.
    forms |= {encoded(secret.encode()).rstrip(b"=").decode("ascii") for encoded in (b64encode, urlsafe_b64encode)}
    return tuple(sorted(forms, key=len, reverse=True))


async def _exchanged(endpoint: Endpoint, url: str, body: bytes, network: Network, timeout: float) -> HttpAnswer:
    reader, writer = await _opened(endpoint, network, timeout)
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_READ)
        writer.write(_request(connection, url, body))
        await writer.drain()
        return await _answered(connection, reader, endpoint)
    except OSError as broken:
        raise refusal_of(broken, endpoint) from broken
    finally:
        writer.transport.abort()


async def _opened(
    endpoint: Endpoint, network: Network, timeout: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    secure = endpoint.security is Security.TLS
    context = network.tls() if secure else None
    sock = await network.connect(endpoint, timeout=timeout)
    try:
        return await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname=endpoint.host if secure else None, limit=_READ
        )
    except OSError as reason:
        sock.close()
        raise refusal_of(reason, endpoint) from reason
    except BaseException:
        sock.close()
        raise


def _request(connection: h11.Connection, url: str, body: bytes) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [
        ("Host", parts.netloc),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body))),
        ("Accept", "application/json"),
        ("User-Agent", "warmup"),
        ("Connection", "close"),
    ]
    events: list[Any] = [h11.Request(method="POST", target=target, headers=headers), h11.Data(data=body)]
    return b"".join(connection.send(event) or b"" for event in [*events, h11.EndOfMessage()])


async def _answered(connection: h11.Connection, reader: asyncio.StreamReader, endpoint: Endpoint) -> HttpAnswer:
    status, body = 0, b""
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(_READ))
            case h11.Response(status_code=code):
                status = code
            case h11.Data(data=data):
                body += bytes(data)
                if len(body) > _LONGEST:
                    raise TooLarge(f"{endpoint} answered with more than {_LONGEST} bytes")
            case h11.EndOfMessage():
                return HttpAnswer(status=status, body=body)
            case h11.InformationalResponse():
                continue
            case _:
                raise _cut(endpoint)


def _cut(endpoint: Endpoint) -> WireError:
    return Unreachable(f"{endpoint} closed the connection")
