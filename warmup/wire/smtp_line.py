"""The line to an SMTP server: aiosmtplib's protocol, with what it lets pass made to fail.

Bytes that follow a reply nobody waits for would be taken for the answer to the *next* command. They are noticed here:
`desynchronised` is then True, and the line is good for nothing but closing.
"""

import asyncio
import re
import ssl

from aiosmtplib.errors import SMTPException, SMTPResponseException
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from warmup.mail.status import GARBLED
from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.blot import NO_BLOT, Blot
from warmup.wire.errors import ProtocolError, Unavailable, Unreachable, Untrusted, WireError, quote
from warmup.wire.login import Login
from warmup.wire.network import Network, refusal_of

SOON_SECONDS = 3.0
"""After so long without a greeting we look whether the server waits for TLS: both would wait for each other."""

_LINE_ENDING = re.compile(rb"\r\n|\r|\n")
_DOT_LINE = re.compile(rb"(?m)^\.")


class SmtpLine(SMTPProtocol):
    """One connection, one reply to one command."""

    desynchronised = False
    blot: Blot = NO_BLOT

    def keep_to_ourselves(self, login: Login) -> None:
        """From now on no reply is given out that repeats `login`."""
        self.blot = Blot(login)

    async def read_response(self, timeout: float | None = None) -> SMTPResponse:
        """The reply, without an echo of our login; raises SMTPException, code -1 where it is garbled."""
        try:
            code, message = await super().read_response(timeout=timeout)
        except SMTPResponseException as garbled:
            # Nor is it chained: a traceback would show what was said.
            raise SMTPResponseException(garbled.code, self.blot.words(garbled.message)) from None
        finally:
            self.desynchronised = self.desynchronised or bool(self._buffer)
        if not 200 <= code < 600:
            raise SMTPResponseException(GARBLED, self.blot.words(f"{code} {message}"))
        return SMTPResponse(code, self.blot.words(message))

    @property
    def is_alive(self) -> bool:
        """True while commands can be said and their replies be told apart."""
        return self.is_connected and not self.desynchronised

    def abort(self) -> None:
        """Drop the connection at once: nothing buffered is sent any more."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


async def open_line(endpoint: Endpoint, network: Network) -> SmtpLine:
    """A connected line that has read the greeting; under TLS already where `endpoint` says so. Raises WireError."""
    line = await _dial(endpoint, network)
    try:
        await _greeted_in_time(line, endpoint, network)
    except BaseException:
        line.abort()
        raise
    return line


def wire_form(content: bytes) -> bytes:
    """`content` as DATA carries it before dots are stuffed: every line ends with CRLF, and nothing else does.

    A bare CR or LF is what SMTP smuggling is made of: a server that takes it for a line's end sees a dot we never sent.
    """
    lines = _LINE_ENDING.sub(b"\r\n", content)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def dotted(wire: bytes) -> bytes:
    """`wire` with dots stuffed and the final dot behind it (RFC 5321 4.5.2)."""
    return _DOT_LINE.sub(b"..", wire) + b".\r\n"


def failure_of(reason: Exception, endpoint: Endpoint) -> WireError:
    """Our word for what went wrong on a line before any message was under way."""
    match reason:
        case SMTPResponseException(code=code) if code == GARBLED:
            return ProtocolError(f"{endpoint} does not speak SMTP: {quote(reason.message)}")
        case SMTPResponseException(code=code) if 400 <= code < 500:
            return Unavailable(f"{endpoint} asks to come back later: {quote(f'{code} {reason.message}')}")
        case SMTPResponseException():
            return ProtocolError(f"{endpoint} does not serve us: {quote(f'{reason.code} {reason.message}')}")
        case TimeoutError():
            return Unreachable(f"{endpoint} went silent")
        case SMTPException() | OSError():
            return Unreachable(f"{endpoint} closed the connection")
        case _:
            return ProtocolError(f"{endpoint}: {quote(str(reason))}")


async def _dial(endpoint: Endpoint, network: Network) -> SmtpLine:
    secure = endpoint.security is Security.TLS
    loop = asyncio.get_running_loop()
    context = network.tls() if secure else None
    sock = await network.connect(endpoint, timeout=network.smtp_timeout)
    try:
        _, line = await loop.create_connection(
            lambda: SmtpLine(loop=loop),
            sock=sock,
            ssl=context,
            server_hostname=endpoint.host if secure else None,
            ssl_handshake_timeout=network.smtp_timeout if secure else None,
        )
    except OSError as reason:
        sock.close()
        raise refusal_of(reason, endpoint) from reason
    except BaseException:
        sock.close()
        raise
    return line


async def _greeted_in_time(line: SmtpLine, endpoint: Endpoint, network: Network) -> None:
    """Wait for the greeting as long as the configuration says, unless the server waits for TLS itself."""
    if endpoint.security is Security.TLS:
        await _greeted(line, endpoint, network.smtp_timeout)
        return
    greeting = asyncio.ensure_future(_greeted(line, endpoint, network.smtp_timeout))
    try:
        await asyncio.wait({greeting}, timeout=SOON_SECONDS)
        if not greeting.done() and await _awaits_tls(endpoint, network):
            raise Unreachable(
                f"{endpoint} sends no greeting, for it speaks TLS from the start", hint="say security tls for this port"
            )
        await greeting
    finally:
        greeting.cancel()


async def _awaits_tls(endpoint: Endpoint, network: Network) -> bool:
    """True where a second connection finds TLS there, believed or not: nothing is said over it."""
    try:
        async with asyncio.timeout(SOON_SECONDS):
            line = await _dial(Endpoint(host=endpoint.host, port=endpoint.port, security=Security.TLS), network)
    except Untrusted as found:
        # A certificate that is not believed is one all the same.
        return isinstance(found.__cause__, ssl.SSLCertVerificationError)
    except (WireError, TimeoutError):
        return False
    line.abort()
    return True


async def _greeted(line: SmtpLine, endpoint: Endpoint, timeout: float) -> None:
    try:
        greeting = await line.read_response(timeout=timeout)
        if greeting.code != 220:
            raise SMTPResponseException(greeting.code, greeting.message)
    except (SMTPException, OSError) as reason:
        raise failure_of(reason, endpoint) from reason
    if line.desynchronised:
        raise ProtocolError(f"{endpoint} said more than its greeting before it was asked")
