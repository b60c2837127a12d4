"""The line to an IMAP server: aioimaplib's commands and states, with a reader and an end of our own.

aioimaplib reads by recursion (a thousand lines at once break it), strips every "* " it sees, knows no limits, and lets
a pending command wait for ever when the connection is lost. Here bytes go through `ResponseReader`, every command has a
time limit for all of its answer, and whatever breaks the line fails the command at once.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from aioimaplib import aioimaplib

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.blot import NO_BLOT, Blot
from warmup.wire.errors import (
    MOST_QUOTED,
    CommandRefused,
    ProtocolError,
    Unavailable,
    Unreachable,
    Untrusted,
    WireError,
    quote,
)
from warmup.wire.imap_syntax import TEXT_PARSED, Response, ResponseReader, code_of
from warmup.wire.login import Login
from warmup.wire.network import Network, refusal_of

# Reading this many bytes takes milliseconds, whatever they are; then it is the others' turn.
_SLICE = 16 * 1024
# Of these, words are kept that may be a server's own; of the others numbers and what we know.
_KEPT = frozenset({"FETCH", "LIST"})

_CUT = "CUT"
"""The result of a command that gets no answer any more."""

# At DEBUG it writes what it sends, passwords included, and at INFO what servers say.
aioimaplib.log.setLevel(logging.WARNING)


class GuardedProtocol(aioimaplib.IMAP4ClientProtocol):
    """Reads responses for one command at a time. `broken` holds why the line came to its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.greeting: asyncio.Future[Response] = loop.create_future()
        self.broken: asyncio.Future[WireError] = loop.create_future()
        self.running = ""
        self.untagged: list[Response] = []
        self.to_say: list[str] = []
        self.reader = ResponseReader()
        self._backlog = bytearray()
        self._closing = False
        self.blot = NO_BLOT
        self._wire: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, so that it can be cut."""
        super().connection_made(transport)
        self._wire = cast(asyncio.WriteTransport, transport)

    def data_received(self, d: bytes) -> None:
        """Read on, a slice at a time; a response outside the protocol ends the line."""
        if self.broken.done():
            return
        begun = bool(self._backlog)
        self._backlog += d
        if not begun:
            self._read_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (why it closed tells us nothing)
        """Fail what is pending, once what came before is read."""
        self._closing = True
        if not self._backlog:
            self.end(Unreachable("the IMAP server closed the connection"))

    def _read_on(self) -> None:
        if self.broken.done():
            return
        piece = bytes(self._backlog[:_SLICE])
        try:
            for response in self.reader.feed(piece):
                self._take(response)
        except WireError as reason:
            self.end(reason)
        except aioimaplib.AioImapException:
            # Its own words repeat the command in hand, and that may be LOGIN.
            self.end(ProtocolError("the IMAP server answered a command nobody gave"))
        del self._backlog[: len(piece)]
        if self._backlog:
            self._hold(reading=False)
            asyncio.get_running_loop().call_soon(self._read_on)
        elif self._closing:
            self.end(Unreachable("the IMAP server closed the connection"))
        else:
            self._hold(reading=True)

    def _hold(self, *, reading: bool) -> None:
        """Let the server wait while there is more to read than we have read."""
        if isinstance(self._wire, asyncio.Transport) and not self._wire.is_closing():
            (self._wire.resume_reading if reading else self._wire.pause_reading)()

    def end(self, reason: WireError) -> None:
        """Say why the line is over, once, and hang up."""
        if not self.broken.done():
            self.broken.set_result(reason)
        for command in (self.pending_sync_command, *self.pending_async_commands.values()):
            if command is not None:
                command.close(b"", _CUT)
        self._backlog.clear()
        if self._wire is not None:
            self._wire.abort()

    def begin(self, name: str, to_say: list[str]) -> None:
        """Make ready for the command `name`; `to_say` answers its continuation requests, in order."""
        self.running = name
        self.untagged = []
        self.to_say = to_say
        self.reader.next_command()

    def _take(self, response: Response) -> None:
        tagged = response.tagged
        if self.state == aioimaplib.CONNECTED:
            self._greet(response)
        elif tagged is not None:
            tag, result, text = tagged
            self._response_done(f"{tag} {result} ".encode() + text)
        elif response.line.startswith(b"+"):
            # A challenge nobody prepared an answer for is a refusal explained: an empty line lets it end.
            self.send(self.to_say.pop(0) if self.to_say else "")
        elif response.name == "BYE" and self.running != "LOGOUT":
            self.end(Unavailable(f"the IMAP server says goodbye: {self.quoted(response.text)}"))
        elif response.name != "EXPUNGE":
            self.untagged.append(self._without_echo(response))

    def _without_echo(self, response: Response) -> Response:
        if response.name not in _KEPT:
            return response
        # What is longer is not parsed.
        return Response(tuple(self.blot.data(part) if len(part) <= TEXT_PARSED else part for part in response.parts))

    def quoted(self, said: bytes) -> str:
        """What the server said, fit for one line of ours, without an echo of our login."""
        return quote(self.blot.words(said[:MOST_QUOTED].decode("utf-8", "replace")))

    def _greet(self, response: Response) -> None:
        match response.name:
            case "OK":
                self.state = aioimaplib.NONAUTH
                if not self.greeting.done():
                    self.greeting.set_result(response)
            case "PREAUTH":
                raise Untrusted("the IMAP server says we are logged in already; somebody between may have said it")
            case "BYE":
                raise Unavailable(f"the IMAP server turns us away: {quote(response.text)}")
            case _:
                raise ProtocolError(f"the server does not speak IMAP: {quote(response.line)}")


class ImapLine:
    """One connection, one command at a time, every command within `timeout` seconds."""

    def __init__(self, protocol: GuardedProtocol, *, endpoint: Endpoint, timeout: float) -> None:
        self.endpoint = endpoint
        self._protocol = protocol
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._visit_ends = math.inf

    @property
    def is_alive(self) -> bool:
        """True while commands can be said."""
        return not self._protocol.broken.done()

    @property
    def greeting(self) -> Response:
        """What the server began with, once `greeted`."""
        return self._protocol.greeting.result()

    @property
    def blot(self) -> Blot:
        """What takes our login out of the server's words."""
        return self._protocol.blot

    def keep_to_ourselves(self, login: Login) -> None:
        """From now on nothing is given out that repeats `login`."""
        self._protocol.blot = Blot(login)

    def begin_visit(self, seconds: float) -> None:
        """Give the server `seconds` from now on for all that is asked of it."""
        self._visit_ends = asyncio.get_running_loop().time() + seconds

    def enter(self, state: str) -> None:
        """Tell aioimaplib which of RFC 3501's states we are in: it learns it from SELECT, not from EXAMINE."""
        self._protocol.state = state

    async def run(
        self,
        name: str,
        *args: str,
        uid: bool = False,
        to_say: tuple[str, ...] = (),
        timeout: float | None = None,
    ) -> tuple[list[Response], bytes]:
        """The untagged responses to a command, and the text of its OK.

        Raises CommandRefused for NO and BAD, and another WireError where the line is over. An interrupted command ends
        the line too: its answer would be taken for the next one's.
        """
        async with self._turn:
            self._raise_if_broken()
            self._protocol.begin(name, list(to_say))
            command = aioimaplib.Command(name, self._protocol.new_tag(), *args, prefix="UID" if uid else "")
            await self._complete(command, self._timeout if timeout is None else timeout)
            result, lines = command.response
            said = bytes(lines[-1]) if lines else b""
            if result != "OK":
                word = f"UID {name}" if uid else name
                raise CommandRefused(
                    f"{self.endpoint} answered {word} with {result}: {self._protocol.quoted(said)}",
                    code=code_of(said)[0],
                )
            return self._protocol.untagged, said

    async def greeted(self) -> None:
        """Wait for the greeting; raises WireError."""
        async with self._limited(self._timeout):
            either: set[asyncio.Future[Any]] = {self._protocol.greeting, self._protocol.broken}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._protocol.greeting.done():
            self._raise_if_broken()

    def abort(self) -> None:
        """Hang up at once."""
        self._protocol.end(Unreachable("we hung up"))

    async def _complete(self, command: aioimaplib.Command, timeout: float) -> None:
        try:
            async with self._limited(timeout):
                await self._protocol.execute(command)
        except aioimaplib.AioImapException:
            misplaced = ProtocolError(f"{self.endpoint}: {command.name} came at the wrong moment")
            self._protocol.end(misplaced)
            raise misplaced from None
        except BaseException:
            self.abort()
            raise
        if command.response.result == _CUT:
            self._raise_if_broken()

    @asynccontextmanager
    async def _limited(self, timeout: float) -> AsyncIterator[None]:
        """End the line where this takes longer than `timeout`, or than the visit may."""
        left = max(0.0, min(timeout, self._visit_ends - asyncio.get_running_loop().time()))
        try:
            async with asyncio.timeout(left):
                yield
        except TimeoutError:
            self._protocol.end(self._too_late(timeout) if left == timeout else self._visit_over())
            self._raise_if_broken()

    def _too_late(self, timeout: float) -> WireError:
        return Unreachable(f"{self.endpoint} went silent for {timeout:g} s")

    def _visit_over(self) -> WireError:
        return Unreachable(
            f"{self.endpoint} took too long over all that it was asked",
            hint="what was read is kept, and the next look goes on from there; send.session_seconds is the limit",
        )

    def _raise_if_broken(self) -> None:
        if self._protocol.broken.done():
            reason = self._protocol.broken.result()
            # A fresh one each time: a traceback must not grow on a shared exception.
            place = str(self.endpoint)
            told = reason.summary if place in reason.summary else f"{place}: {reason.summary}"
            raise type(reason)(told, hint=reason.hint)


async def open_imap_line(endpoint: Endpoint, network: Network) -> ImapLine:
    """A connected line that has read the greeting; under TLS unless it is plain text to loopback. Raises WireError."""
    if endpoint.security is Security.STARTTLS:
        raise Untrusted(f"{endpoint}: IMAP is spoken under TLS from the first byte", hint="use port 993 with tls")
    secure = endpoint.security is Security.TLS
    loop = asyncio.get_running_loop()
    context = network.tls() if secure else None
    sock = await network.connect(endpoint, timeout=network.imap_timeout)
    try:
        _, protocol = await loop.create_connection(
            lambda: GuardedProtocol(loop),
            sock=sock,
            ssl=context,
            server_hostname=endpoint.host if secure else None,
            ssl_handshake_timeout=network.imap_timeout if secure else None,
        )
    except OSError as reason:
        sock.close()
        raise refusal_of(reason, endpoint) from reason
    except BaseException:
        sock.close()
        raise
    line = ImapLine(protocol, endpoint=endpoint, timeout=network.imap_timeout)
    try:
        await line.greeted()
    except BaseException:
        line.abort()
        raise
    return line
