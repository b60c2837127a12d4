"""The browser's way back (RFC 8252 7.3): a port on 127.0.0.1 that waits for one redirect with the right state.

A redirect with another state is nobody's we sent out: it is answered with a refusal and forgotten, and the wait goes
on, so that no page in the browser can end a sign-in or slip in a code of its own (RFC 6749 10.12).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hmac import compare_digest
from urllib.parse import parse_qs, urlsplit

import h11

from warmup.wire.errors import Unreachable, quote

_LOOPBACK = "127.0.0.1"
_LONGEST = 16 * 1024
_READ_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirected:
    """What the browser came back with: a code, or the authority's word for no and its sentence."""

    code: str = field(default="", repr=False)
    error: str = ""
    sentence: str = ""


class StateMismatch(Exception):
    """A redirect that belongs to no sign-in of ours."""


class Landing:
    """Where the browser is to come back to, and what it brought."""

    def __init__(self, state: str) -> None:
        self.redirect_uri = ""
        self.arrived: asyncio.Future[Redirected] = asyncio.get_running_loop().create_future()
        self.strangers = 0
        self._state = state

    def take(self, url: str) -> Redirected:
        """What a redirect says, pasted or come by itself. ValueError where it is none; StateMismatch."""
        found = redirected(url, state=self._state)
        if not self.arrived.done():
            self.arrived.set_result(found)
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST)
                status, text = self._answer(await _request(connection, reader))
                writer.write(_page(connection, status, text))
                await writer.drain()
        except (OSError, h11.ProtocolError, TimeoutError):
            # Not a browser, or one that went away.
            pass
        finally:
            writer.close()

    def _answer(self, request: h11.Request | None) -> tuple[int, str]:
        if request is None or request.method != b"GET":
            return 400, "This is no sign-in."
        try:
            found = self.take(request.target.decode("ascii", "replace"))
        except StateMismatch:
            self.strangers += 1
            return 400, "This is not the sign-in that was begun here; nothing was done with it."
        except ValueError:
            return 404, "There is nothing here."
        return 200, "Signed in. You may close this page." if found.code else "Not signed in. You may close this page."


def redirected(url: str, *, state: str) -> Redirected:
    """What a redirect's URL says. ValueError where it is no redirect of a sign-in; StateMismatch."""
    said = parse_qs(urlsplit(url.strip()).query)
    code, error = said.get("code", [""]), said.get("error", [""])
    if not any(code) and not any(error):
        raise ValueError("no redirect of a sign-in")
    states = said.get("state", [""])
    if len(states) != 1 or not compare_digest(states[0].encode(), state.encode()):
        raise StateMismatch
    if len(code) != 1 or len(error) != 1:
        raise ValueError("it says more than one thing")
    if error[0]:
        return Redirected(error=quote(error[0]), sentence=quote(said.get("error_description", [""])[0]))
    return Redirected(code=code[0])


@asynccontextmanager
async def landing(state: str, *, port: int) -> AsyncIterator[Landing]:
    """A landing on loopback that waits, closed at the end; port 0: a free one. Raises Unreachable."""
    place = Landing(state)
    try:
        server = await asyncio.start_server(place.serve, _LOOPBACK, port, limit=_LONGEST)
    except OSError as taken:
        raise Unreachable(
            f"port {port} of {_LOOPBACK} cannot be waited on: {taken.strerror}", hint="set oauth.google.redirect_port"
        ) from taken
    place.redirect_uri = f"http://{_LOOPBACK}:{server.sockets[0].getsockname()[1]}/"
    try:
        yield place
    finally:
        server.close()


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_LONGEST))
        else:
            return event if isinstance(event, h11.Request) else None


def _page(connection: h11.Connection, status: int, text: str) -> bytes:
    body = f"<!doctype html><title>warmup</title><p>{text}</p>\n".encode()
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        # The address of this page holds the code.
        ("Referrer-Policy", "no-referrer"),
        ("Content-Security-Policy", "default-src 'none'"),
        ("Connection", "close"),
    ]
    events = (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)
