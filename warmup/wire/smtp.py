"""Handing one message to one server, and saying truthfully what became of it.

`submit` returns an `Answer`; it raises only what is a mistake of ours. The line that divides is the final dot: until it
is written the message is certainly not taken (`Deferred`); from then on only a believable reply tells, and without one
it is `Uncertain`. Message and dot are written in one go, so written means: may have left. Nothing is sent twice here.

No credential is said before TLS is believed; STARTTLS is mandatory where asked for, and EHLO is said anew behind it.
"""

import asyncio
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from aiosmtplib.errors import SMTPException, SMTPResponseException
from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.response import SMTPResponse

from warmup.mail.address import AddressError, ascii_domain, ascii_form, needs_smtputf8
from warmup.mail.answer import Accepted, Answer, Deferred, Refused, Reply, Uncertain
from warmup.mail.status import reply_of
from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import ProtocolError, Untrusted, quote
from warmup.wire.login import Login
from warmup.wire.network import Network, refusal_of
from warmup.wire.smtp_auth import sign_in
from warmup.wire.smtp_line import SmtpLine, dotted, failure_of, open_line, wire_form

_QUIT_SECONDS = 2.0
# RFC 5321 4.1.2, as far as it keeps a path one argument of its command: no bracket, blank or control outside quotes,
# and no line or paragraph separator anywhere (\s has them all).
_PATH = re.compile(
    r'(?:"(?:[^\s"\\\x00-\x1f\x7f-\x9f]| |\\[ -~])*"|[^\s<>"\x00-\x1f\x7f-\x9f]+)@[^\s<>"\x00-\x1f\x7f-\x9f]+'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message for one recipient: reverse-path, forward-path and the message as bytes."""

    sender: str
    recipient: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the server's EHLO offered. `size` is the largest message in bytes, None: not said."""

    size: int | None = None
    has_size: bool = False
    smtputf8: bool = False
    eight_bit: bool = False
    starttls: bool = False
    auth: frozenset[str] = frozenset()


async def open_smtp(endpoint: Endpoint, login: Login | None, *, helo: str, network: Network) -> "SmtpSession":
    """A session that is logged in (unless `login` is None) and has taken no message yet. Raises WireError.

    `helo` is the sender's domain: we say whose mail this is, not this machine's name.
    """
    line = await open_line(endpoint, network)
    try:
        offered = await _introduced(line, endpoint, helo, network)
        if login is not None:
            line.keep_to_ourselves(login)
            await sign_in(line, login, offered.auth, endpoint=endpoint, timeout=network.smtp_timeout)
    except BaseException:
        line.abort()
        raise
    return SmtpSession(line, endpoint=endpoint, offered=offered, timeout=network.smtp_timeout)


class SmtpSession:
    """One connection that takes messages one after another.

    `handed_over` is True from the moment the final dot may have left until `submit` returns: who cancels a submission
    reads it and records `Uncertain`. `usable` is False once nothing more can be handed over here.
    """

    def __init__(self, line: SmtpLine, *, endpoint: Endpoint, offered: Capabilities, timeout: float) -> None:
        self.endpoint = endpoint
        self.offered = offered
        self.handed_over = False
        self._line = line
        self._timeout = timeout
        self._needs_reset = False
        self._over = False
        self._visit_ends = math.inf

    @property
    def usable(self) -> bool:
        """True while another message may be submitted: the connection holds, and was not used for too long."""
        return self._holds and asyncio.get_running_loop().time() < self._visit_ends

    def begin_visit(self, seconds: float) -> None:
        """Begin no message later than `seconds` from now."""
        self._visit_ends = asyncio.get_running_loop().time() + seconds

    @property
    def _holds(self) -> bool:
        return self._line.is_alive and not self._over

    async def submit(self, envelope: Envelope) -> Answer:
        """What became of the message. Never sent twice; a cancelled submission leaves `handed_over` telling."""
        self.handed_over = False
        # Who asked before it claimed is not turned away for the moment that passed since.
        if not self._holds:
            return Deferred(reply=None, reason="the connection was lost before the message was sent")
        content = wire_form(envelope.content)
        refusal = _refusal_of_ours(envelope, content, self.offered)
        if refusal is not None:
            return refusal
        try:
            answer = await self._talk(envelope, content)
        except BaseException:
            self._drop()
            raise
        self.handed_over = False
        return answer

    async def refresh(self) -> None:
        """Make sure the server is still there, and its slate clean, before the next claim. Raises WireError."""
        try:
            response = await self._say(b"RSET" if self._needs_reset else b"NOOP")
        except (SMTPException, OSError) as reason:
            self._drop()
            raise failure_of(reason, self.endpoint) from reason
        if response.code >= 400 or not self._line.is_alive:
            self._drop()
            raise failure_of(SMTPResponseException(response.code, response.message), self.endpoint)
        self._needs_reset = False

    async def close(self) -> None:
        """QUIT, briefly, and hang up. Never raises."""
        if self._holds:
            try:
                await self._line.execute_command(b"QUIT", timeout=min(_QUIT_SECONDS, self._timeout))
            except (SMTPException, OSError):
                pass
            finally:
                self._drop()
        self._drop()

    def abort(self) -> None:
        """Hang up at once, without a word."""
        self._drop()

    async def _talk(self, envelope: Envelope, content: bytes) -> Answer:
        for command in self._commands(envelope, content):
            answer = await self._asked(command, wanted=_is_positive)
            if answer is not None:
                return answer
        answer = await self._asked((b"DATA",), wanted=_is_start_input)
        return answer if answer is not None else await self._hand_over(content)

    async def _hand_over(self, content: bytes) -> Answer:
        if not self._line.is_alive:
            self._drop()
            return Deferred(reply=None, reason="the connection was lost before the message was sent")
        # From here on nobody can take the final dot back: set first, so that no interruption finds it unset.
        self.handed_over = True
        try:
            self._line.write(dotted(content))
            response = await self._line.read_response(timeout=self._timeout)
        except (SMTPException, OSError) as reason:
            self._drop()
            return Uncertain(reason=f"after the message was sent, {_told(reason)}")
        return self._final(reply_of(response.code, response.message))

    def _final(self, reply: Reply) -> Answer:
        self._note(reply)
        if reply.is_positive:
            self._needs_reset = False
            return Accepted(reply=reply)
        if reply.is_transient:
            return Deferred(reply=reply)
        if reply.is_permanent:
            return Refused(reply=reply)
        # 3yz asks for more of a message that is over: as good as a broken line.
        self._drop()
        return Uncertain(reason=f"after the message was sent, the server said {quote(str(reply))}")

    async def _asked(self, command: tuple[bytes, ...], *, wanted: Callable[[int], bool]) -> Answer | None:
        """None where the server wants us to go on, else what that makes of the message; the final dot never left."""
        try:
            response = await self._say(*command)
        except (SMTPException, OSError) as reason:
            self._drop()
            return Deferred(reply=None, reason=f"before the message was sent, {_told(reason)}")
        reply = reply_of(response.code, response.message)
        if wanted(reply.code) and not self._line.desynchronised:
            return None
        self._note(reply)
        if reply.is_transient:
            return Deferred(reply=reply)
        if reply.is_permanent:
            return Refused(reply=reply)
        self._drop()
        return Deferred(reply=None, reason=f"the server answered {command[0].decode()} with {quote(str(reply))}")

    def _commands(self, envelope: Envelope, content: bytes) -> list[tuple[bytes, ...]]:
        international = self.offered.smtputf8 and _needs_smtputf8(envelope, content)
        mail = [b"MAIL", b"FROM:<" + _path(envelope.sender, international=international) + b">"]
        if self.offered.has_size:
            mail.append(b"SIZE=%d" % len(content))
        if self.offered.eight_bit and not content.isascii():
            mail.append(b"BODY=8BITMIME")
        if international:
            mail.append(b"SMTPUTF8")
        rcpt = (b"RCPT", b"TO:<" + _path(envelope.recipient, international=international) + b">")
        return [(b"RSET",), tuple(mail), rcpt] if self._needs_reset else [tuple(mail), rcpt]

    async def _say(self, *command: bytes) -> SMTPResponse:
        return await self._line.execute_command(*command, timeout=self._timeout)

    def _note(self, reply: Reply) -> None:
        self._needs_reset = True
        if reply.code == 421:
            # RFC 5321 3.8: the server is about to close the channel.
            self._drop()

    def _drop(self) -> None:
        self._over = True
        self._line.abort()


async def _introduced(line: SmtpLine, endpoint: Endpoint, helo: str, network: Network) -> Capabilities:
    offered = await _ehlo(line, endpoint, helo, network.smtp_timeout)
    if endpoint.security is not Security.STARTTLS:
        return offered
    if not offered.starttls:
        raise Untrusted(
            f"{endpoint} offers no STARTTLS; somebody between may have cut it out",
            hint="use port 465 with security tls",
        )
    await _secured(line, endpoint, network)
    # RFC 3207 4.2: what was said before TLS is forgotten.
    return await _ehlo(line, endpoint, helo, network.smtp_timeout)


async def _secured(line: SmtpLine, endpoint: Endpoint, network: Network) -> None:
    try:
        await line.start_tls(network.tls(), server_hostname=endpoint.host, timeout=network.smtp_timeout)
    except SMTPResponseException as reason:
        raise Untrusted(f"{endpoint} refused STARTTLS: {quote(f'{reason.code} {reason.message}')}") from reason
    except SMTPException as reason:
        raise failure_of(reason, endpoint) from reason
    except OSError as reason:
        raise refusal_of(reason, endpoint) from reason
    if line.desynchronised:
        raise Untrusted(f"{endpoint} slipped words in before TLS; somebody between may have written them")


async def _ehlo(line: SmtpLine, endpoint: Endpoint, helo: str, timeout: float) -> Capabilities:
    try:
        response = await line.execute_command(b"EHLO", _helo(helo), timeout=timeout)
    except (SMTPException, OSError) as reason:
        raise failure_of(reason, endpoint) from reason
    if response.code != 250:
        raise failure_of(SMTPResponseException(response.code, response.message), endpoint)
    if line.desynchronised:
        raise ProtocolError(f"{endpoint} said more than it was asked")
    return _capabilities(response.message)


def _capabilities(message: str) -> Capabilities:
    extensions, auth = parse_esmtp_extensions(message)
    size = extensions.get("size", "").strip()
    return Capabilities(
        # RFC 1870 4: SIZE without a number, or with 0, sets no limit.
        size=int(size) if size.isascii() and size.isdigit() and len(size) < 20 and int(size) > 0 else None,
        has_size="size" in extensions,
        smtputf8="smtputf8" in extensions,
        eight_bit="8bitmime" in extensions,
        starttls="starttls" in extensions,
        auth=frozenset(auth),
    )


def _refusal_of_ours(envelope: Envelope, content: bytes, offered: Capabilities) -> Refused | None:
    """What we refuse in the server's name, because it said beforehand that it would."""
    if offered.size is not None and len(content) > offered.size:
        return _refused(552, "5.3.4", f"the message has {len(content)} bytes, this server takes {offered.size}")
    if _needs_smtputf8(envelope, content) and not offered.smtputf8:
        return _refused(553, "5.6.7", "an address or header beyond ASCII, and this server offers no SMTPUTF8")
    if not content.isascii() and not offered.eight_bit:
        return _refused(554, "5.6.3", "the message has 8-bit lines, and this server offers no 8BITMIME")
    for address in (envelope.sender, envelope.recipient):
        try:
            ascii_form(address)
        except AddressError as reason:
            return _refused(553, "5.1.3", str(reason))
        if not _PATH.fullmatch(address):
            return _refused(553, "5.1.3", f"{address[:80]!r} is no address, and would be read as more than one word")
    return None


def _refused(code: int, status: str, why: str) -> Refused:
    return Refused(reply=Reply(code=code, status=status, text=f"not sent: {why}"))


def _needs_smtputf8(envelope: Envelope, content: bytes) -> bool:
    header, _, _ = content.partition(b"\r\n\r\n")
    return needs_smtputf8(envelope.sender) or needs_smtputf8(envelope.recipient) or not header.isascii()


def _path(address: str, *, international: bool) -> bytes:
    return (address if international else ascii_form(address)).encode()


def _helo(domain: str) -> bytes:
    try:
        return ascii_domain(domain).encode("ascii")
    except AddressError as reason:
        raise ProtocolError(f"cannot introduce ourselves: {reason}") from reason


def _is_positive(code: int) -> bool:
    return 200 <= code < 300


def _is_start_input(code: int) -> bool:
    return code == 354


def _told(reason: Exception) -> str:
    match reason:
        case SMTPResponseException():
            return f"the reply was garbled: {quote(reason.message)}"
        case TimeoutError():
            return "the server was silent for too long"
        case _:
            return "the connection was lost"
