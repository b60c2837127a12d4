"""The submission door: aiosmtpd's server on our accounts, with TLS before AUTH and AUTH before MAIL.

What a message draws is decided by the post office when its last dot has come. Here stand the manners of a submission
server: only known recipients, only the account's own reverse-path, one recipient a message, and the faults for tests.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Mapping
from typing import Any, AnyStr

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException

from warmup.clock import pause
from warmup.mail.answer import Reply
from warmup.sandbox.faults import Fault, FaultKind, Faults
from warmup.sandbox.office import PostOffice
from warmup.sandbox.stops import Stop, Stops

MOST_BYTES = 10 * 1024 * 1024
_TEMPORARY = Reply(code=451, status="4.3.0", text="Temporary server error, try again later")

# aiosmtpd tells every command at INFO and warns of its own deprecations at every login; nobody in a demo cares.
log = logging.getLogger("mail.log")
log.setLevel(logging.ERROR)


class _Submission(SMTP):
    """One connection of a client."""

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, door: "SmtpDoor", *, starttls: ssl.SSLContext | None) -> None:
        super().__init__(
            door,
            data_size_limit=MOST_BYTES,
            hostname="localhost",
            ident="ESMTP sandbox",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=True,
            authenticator=door.authenticate,
            loop=asyncio.get_running_loop(),
        )
        # Where there is no STARTTLS the socket itself is TLS, which aiosmtpd does not see.
        self._auth_require_tls = starttls is not None
        self._door = door
        self.fault: Fault | None = None
        self.closing = False
        self.has_sent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._door.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._door.connections.discard(self)

    def abort(self) -> None:
        """Break the connection without a word."""
        transport = self._original_transport or self.transport
        if isinstance(transport, asyncio.Transport):
            transport.abort()

    async def _handle_client(self) -> None:
        await self._door.stops.pass_by(Stop.GREETING, "")
        await super()._handle_client()

    async def push(self, status: AnyStr) -> None:
        if isinstance(status, str) and status.startswith("235 ") and self.session:
            await self._door.stops.pass_by(Stop.LOGIN, _login(self.session))
        await super().push(status)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        envelope = self.envelope
        self.fault = None
        if self.session and envelope and envelope.rcpt_tos:
            stop = next((each for each in (Stop.START, Stop.DATA) if self._door.stops.claims(each)), None)
            if stop:
                await self._stop_in_data(stop, _login(self.session), envelope.rcpt_tos[0])
                return
        if envelope and envelope.rcpt_tos:
            self.fault = self._door.faults.strike(str(envelope.mail_from).lower(), envelope.rcpt_tos[0].lower())
        if self.fault and self.fault.kind is FaultKind.CUT_IN_DATA:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._reader.readline()
            self.abort()
            return
        await super().smtp_DATA(arg)
        if self.closing and self.transport:
            self.transport.close()

    async def _stop_in_data(self, stop: Stop, sender: str, recipient: str) -> None:
        """Be held within DATA until the client is gone, and take then what is whole, as servers do."""
        whole = b""
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        if stop is Stop.DATA:
            await self._reader.readline()
        self._door.stops.tell(stop, sender)
        try:
            if stop is Stop.START:
                whole = await self._reader.readuntil(b"\r\n.\r\n")
            await asyncio.Event().wait()
        finally:
            if whole:
                # RFC 5321 4.5.2: a dot was put before every line that begins with one.
                self._door.office.take(sender, recipient, re.sub(rb"(?m)^\.", b"", whole[:-3]))


class SmtpDoor:
    """Serves the SMTP connections of one provider: aiosmtpd calls the `handle_*` methods."""

    def __init__(self, office: PostOffice, passwords: Mapping[str, str], faults: Faults, stops: Stops) -> None:
        self.office = office
        self.faults = faults
        self.stops = stops
        self.connections: set[_Submission] = set()
        self._passwords = {address.lower(): secret for address, secret in passwords.items()}

    def protocol(self, starttls: ssl.SSLContext | None) -> asyncio.Protocol:
        """A server for one connection that wants STARTTLS first, or None where the socket is TLS already."""
        return _Submission(self, starttls=starttls)

    def close(self) -> None:
        """End every connection at once, as a server that goes down does."""
        for connection in list(self.connections):
            connection.abort()

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any
    ) -> AuthResult:
        """Whether the password is the account's."""
        assert isinstance(login, LoginPassword)
        account = login.login.decode(errors="replace").lower()
        secret = self._passwords.get(account)
        is_right = secret is not None and secret.encode() == login.password
        if not is_right:
            self.office.refuse_login(account)
        return AuthResult(success=is_right, handled=False, auth_data=login)

    async def handle_exception(self, error: Exception) -> str:
        """What the client is told of an error; one that goes away amid things is no news."""
        if not isinstance(error, ConnectionError | TLSSetupException):
            log.error("sandbox", exc_info=error)
        return str(_TEMPORARY)

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer enhanced status codes (RFC 2034) besides what aiosmtpd does."""
        session.host_name = hostname
        return [*responses[:-1], "250-ENHANCEDSTATUSCODES", responses[-1]]

    async def handle_MAIL(  # noqa: N802
        self, server: _Submission, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse a reverse-path that is not the account's own."""
        if address.lower() != _login(session):
            return "553 5.7.1 Sender address not owned by the account"
        await self.stops.pass_by(Stop.MAIL, _login(session))
        if server.has_sent:
            await self.stops.pass_by(Stop.NEXT, _login(session))
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take one recipient a message, who must live here."""
        if envelope.rcpt_tos:
            return "452 4.5.3 One recipient a message"
        if not self.office.knows(address):
            return "550 5.1.1 No such user here"
        await self.stops.pass_by(Stop.RCPT, _login(session))
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: _Submission, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Have the message judged, or let its fault have its way."""
        fault = server.fault
        kind = fault.kind if fault else None
        if fault and kind is FaultKind.SLOW:
            await pause(fault.seconds)
        if kind is FaultKind.DEFER:
            return str(_TEMPORARY)
        content = envelope.original_content
        assert content is not None
        await self.stops.pass_by(Stop.DOT, _login(session))
        reply = self._answer(_login(session), envelope.rcpt_tos[0], content, fault)
        server.has_sent = True
        await self.stops.pass_by(Stop.TAKEN, _login(session))
        if kind in (FaultKind.LOSE_AFTER_DOT, FaultKind.CUT_AFTER_DOT):
            server.abort()
        if kind is FaultKind.SILENT_AFTER_DOT:
            # Ends when the client has lost patience and the connection with it.
            await asyncio.Event().wait()
        # RFC 5321 4.2.3: 421 is "closing transmission channel", and those who say it do it.
        server.closing = reply.code == 421
        return str(reply)

    def _answer(self, sender: str, recipient: str, content: bytes, fault: Fault | None) -> Reply:
        match fault.kind if fault else None:
            case FaultKind.LOSE_AFTER_DOT:
                return _TEMPORARY
            case FaultKind.REFUSE if fault:
                return self.office.refuse(sender, recipient, content, fault.reply)
            case FaultKind.BOUNCE if fault:
                return self.office.take_and_return(sender, recipient, content, fault.reply)
            case FaultKind.COMPLAIN:
                self.office.complain(sender, recipient, content)
        return self.office.take(sender, recipient, content)


def _login(session: Session) -> str:
    return session.auth_data.login.decode().lower() if session.auth_data else ""
