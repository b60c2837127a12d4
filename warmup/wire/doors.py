"""Warm sessions: one per mailbox and protocol at a time, kept open a while, never shared, never mended.

No more than `most_kept` of them are kept at once, whatever the number of mailboxes: each costs a third of a MiB. The
one that idled longest goes first.

A session that failed, or whose user failed while holding it, is hung up. One mailbox has no part in another's trouble:
there is no lock, and no connection, that two of them share.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from warmup.policy.mailbox import Endpoint, Mailbox, MailboxId, Protocol, SmtpAuth
from warmup.wire.errors import CredentialsRefused, Unreachable, WireError
from warmup.wire.imap import ImapSession, open_imap
from warmup.wire.login import Login
from warmup.wire.network import Network
from warmup.wire.smtp import SmtpSession, open_smtp

UnsealLogin = Callable[[Mailbox, Protocol], Awaitable[Login]]
# Whether a login that was refused may merely have outlived its token, so that another one is worth a try.
Outlived = Callable[[Mailbox, Login], bool]
LoginNews = Callable[[Mailbox, Protocol], Awaitable[None]]

_Whom = tuple[Endpoint, str, SmtpAuth | None]
_Session = TypeVar("_Session", SmtpSession, ImapSession)


@dataclass(slots=True, kw_only=True, eq=False)
class _Door(Generic[_Session]):
    """One mailbox's way in. `whom` is what the session was opened for: another server or login wants another."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: _Session | None = None
    whom: _Whom | None = None
    idle_since: float = 0.0
    closing: asyncio.TimerHandle | None = None


class Doors:
    """Opens, lends and keeps sessions. `unseal` gives a mailbox's login for a protocol; no password is `outlived`.

    `taken` and `refused` are told what a server made of a login, before anybody else may try it. A session is lent for
    `session_seconds` at most: a server that drips its answers takes no more of our time.
    """

    def __init__(
        self,
        *,
        network: Network,
        unseal: UnsealLogin,
        outlived: Outlived = lambda _mailbox, _login: False,
        session_seconds: float = 300.0,
        taken: LoginNews | None = None,
        refused: LoginNews | None = None,
        keep_seconds: float = 30.0,
        stale_seconds: float = 5.0,
        most_kept: int = 32,
    ) -> None:
        self.network = network
        self._unseal = unseal
        self._outlived = outlived
        self._session_seconds = session_seconds
        self._taken = taken
        self._refused = refused
        self._keep_seconds = keep_seconds
        self._stale_seconds = stale_seconds
        self._most_kept = most_kept
        self._idle: dict[_Door[Any], None] = {}
        self._smtp: dict[MailboxId, _Door[SmtpSession]] = {}
        self._imap: dict[MailboxId, _Door[ImapSession]] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def smtp(self, mailbox: Mailbox) -> AsyncIterator[SmtpSession]:
        """A session that is logged in and alive. Raises WireError, and what `unseal` raises."""

        async def opened() -> SmtpSession:
            if mailbox.smtp_auth is SmtpAuth.NONE:
                return await open_smtp(mailbox.smtp, None, helo=mailbox.domain, network=self.network)
            return await self._logged_in(
                mailbox,
                Protocol.SMTP,
                lambda login: open_smtp(mailbox.smtp, login, helo=mailbox.domain, network=self.network),
            )

        door = self._smtp.setdefault(mailbox.id, _Door[SmtpSession]())
        whom = (mailbox.smtp, mailbox.username, mailbox.smtp_auth)
        async with self._lent(door, whom, opened, SmtpSession.refresh) as session:
            yield session

    @asynccontextmanager
    async def imap(self, mailbox: Mailbox) -> AsyncIterator[ImapSession]:
        """A session that is logged in and alive, any folder open. Raises WireError, and what `unseal` raises."""

        async def opened() -> ImapSession:
            return await self._logged_in(
                mailbox, Protocol.IMAP, lambda login: open_imap(mailbox.imap, login, network=self.network)
            )

        door = self._imap.setdefault(mailbox.id, _Door[ImapSession]())
        async with self._lent(door, (mailbox.imap, mailbox.username, None), opened, ImapSession.noop) as session:
            yield session

    async def forget(self, mailbox_id: MailboxId) -> None:
        """Close what is kept warm for a mailbox: it was removed, or its login changed."""
        smtp, imap = self._smtp.pop(mailbox_id, None), self._imap.pop(mailbox_id, None)
        await asyncio.gather(
            *(self._shut(smtp) for smtp in [smtp] if smtp), *(self._shut(imap) for imap in [imap] if imap)
        )

    async def close(self) -> None:
        """Close every session: idle ones politely, lent ones at once. Lends nothing afterwards."""
        self._closed = True
        await asyncio.gather(
            *(self._shut(door) for door in self._smtp.values()), *(self._shut(door) for door in self._imap.values())
        )
        await asyncio.gather(*self._farewells)

    @asynccontextmanager
    async def _lent(
        self,
        door: _Door[_Session],
        whom: _Whom,
        opened: Callable[[], Awaitable[_Session]],
        refresh: Callable[[_Session], Awaitable[None]],
    ) -> AsyncIterator[_Session]:
        async with door.turn:
            session = await self._warm(door, whom, refresh) or await self._opened(door, whom, opened)
            session.begin_visit(self._session_seconds)
            try:
                yield session
            except BaseException:
                # Nobody knows what state its user left it in.
                door.session = None
                session.abort()
                raise
            self._keep(door, session)

    async def _warm(
        self,
        door: _Door[_Session],
        whom: _Whom,
        refresh: Callable[[_Session], Awaitable[None]],
    ) -> _Session | None:
        """The kept session, if it is for the same login and still answers."""
        session = self._taken_up(door)
        if session is None:
            return None
        try:
            if not session.usable or door.whom != whom or self._closed:
                raise Unreachable("the kept session will not do")
            if asyncio.get_running_loop().time() - door.idle_since >= self._stale_seconds:
                await refresh(session)
        except WireError:
            session.abort()
            return None
        except BaseException:
            session.abort()
            raise
        door.session = session
        return session

    async def _logged_in(
        self, mailbox: Mailbox, protocol: Protocol, opened: Callable[[Login], Awaitable[_Session]]
    ) -> _Session:
        """A new session, with the news of its login told while nobody else can try the same door."""
        session = await self._tried(mailbox, protocol, opened, tries=2)
        try:
            if self._taken is not None:
                await self._taken(mailbox, protocol)
        except BaseException:
            session.abort()
            raise
        return session

    async def _tried(
        self, mailbox: Mailbox, protocol: Protocol, opened: Callable[[Login], Awaitable[_Session]], *, tries: int
    ) -> _Session:
        """A new session; at the last of `tries`, where a token was refused for its age."""
        # Outside the try: what cannot be unsealed was never said to a server, which has refused nothing.
        login = await self._unseal(mailbox, protocol)
        try:
            return await opened(login)
        except CredentialsRefused:
            if tries == 1 or not self._outlived(mailbox, login):
                if self._refused is not None:
                    await self._refused(mailbox, protocol)
                raise
        return await self._tried(mailbox, protocol, opened, tries=tries - 1)

    async def _opened(self, door: _Door[_Session], whom: _Whom, opened: Callable[[], Awaitable[_Session]]) -> _Session:
        if self._closed:
            raise Unreachable("we are closing and open no more connections")
        door.session = await opened()
        door.whom = whom
        return door.session

    def _keep(self, door: _Door[_Session], session: _Session) -> None:
        if self._closed or not session.usable or door.session is not session:
            door.session = None
            self._bid_farewell(session)
            return
        loop = asyncio.get_running_loop()
        door.idle_since = loop.time()
        door.closing = loop.call_later(self._keep_seconds, self._expire, door)
        self._idle[door] = None
        if len(self._idle) > self._most_kept:
            self._expire(next(iter(self._idle)))

    def _expire(self, door: _Door[Any]) -> None:
        session = self._taken_up(door)
        if session is not None:
            self._bid_farewell(session)

    def _taken_up(self, door: _Door[_Session]) -> _Session | None:
        """The session that was kept, which is now the caller's to use or to close."""
        session, door.session = door.session, None
        self._idle.pop(door, None)
        if door.closing is not None:
            door.closing.cancel()
        return session

    async def _shut(self, door: _Door[Any]) -> None:
        session = self._taken_up(door)
        if session is None:
            return
        if door.turn.locked():
            session.abort()
        else:
            await session.close()

    def _bid_farewell(self, session: SmtpSession | ImapSession) -> None:
        farewell = asyncio.ensure_future(session.close())
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)
