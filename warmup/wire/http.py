"""One HTTP request and its answer: the only place that speaks HTTP to others.

h11 (uvicorn brings it) over a connection that `Network` made, so that a web server is held to the same rules as a mail
server: the checked address is the one used, the certificate bears the name, plain text is for loopback, and in a
rehearsal nothing else is reached. No redirect is followed, no proxy asked, nothing is kept: no cookie, no compression,
one request a connection, and never more bytes than `limit`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import ProtocolError, TooLarge, Unreachable, quote
from warmup.wire.network import Network, refusal_of

if TYPE_CHECKING:
    import h11

_READ = 16 * 1024
_LONGEST_HEAD = 32 * 1024
_PORTS = {Security.TLS: 443, Security.NONE: 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What is asked of `endpoint`; `target` is path and query. `accept` names the wanted kinds of answer."""

    endpoint: Endpoint
    target: str
    accept: str
    form: bytes | None = None

    @property
    def method(self) -> str:
        """POST where there is a form to send."""
        return "GET" if self.form is None else "POST"

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Nothing of who asks but the request itself."""
        here = self.endpoint
        host = here.host if here.port == _PORTS.get(here.security) else str(here)
        said = [("Host", host), ("Accept", self.accept), ("Accept-Encoding", "identity")]
        said += [("User-Agent", "warmup"), ("Connection", "close")]
        if self.form is not None:
            said += [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", str(len(self.form)))]
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """The status, the body, and the header fields by their names in lower case, the first of each."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


async def exchange(request: HttpRequest, *, network: Network, timeout: float, limit: int) -> HttpAnswer:
    """What the server answers, whatever its status, in at most `limit` bytes. Raises WireError.

    `timeout` seconds are for the connection; whoever asks bounds the whole.
    """
    import h11

    endpoint = request.endpoint
    reader, writer = await _opened(endpoint, network, timeout)
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        writer.write(_spelled(request, connection))
        await writer.drain()
        return await _answered(connection, reader, endpoint, limit)
    except h11.RemoteProtocolError as garbled:
        raise ProtocolError(f"{endpoint} does not speak HTTP: {quote(str(garbled))}") from None
    except OSError as broken:
        raise refusal_of(broken, endpoint) from broken
    finally:
        # Nothing is left to be said: no farewell is waited for.
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


def _spelled(request: HttpRequest, connection: "h11.Connection") -> bytes:
    import h11

    begun = connection.send(h11.Request(method=request.method, target=request.target, headers=request.headers))
    body = connection.send(h11.Data(data=request.form)) if request.form else b""
    return b"".join(part or b"" for part in (begun, body, connection.send(h11.EndOfMessage())))


async def _answered(
    connection: "h11.Connection", reader: asyncio.StreamReader, endpoint: Endpoint, limit: int
) -> HttpAnswer:
    import h11

    status, headers, body = 0, {}, bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(_READ))
            case h11.Response() as response:
                status = response.status_code
                headers = {name.decode("latin-1"): said.decode("latin-1") for name, said in reversed(response.headers)}
                if headers.get("content-encoding", "").lower() not in ("", "identity"):
                    raise ProtocolError(f"{endpoint} answered in an encoding that was not asked for")
            case h11.Data(data=data):
                body += data
                if len(body) > limit:
                    raise TooLarge(f"{endpoint} sent more than {limit} bytes")
            case h11.EndOfMessage():
                return HttpAnswer(status=status, body=bytes(body), headers=headers)
            case h11.InformationalResponse():
                continue
            case _:
                raise Unreachable(f"{endpoint} closed the connection")
