"""Reading where mail landed, and, where the operator allows it, filing our own.

By default a folder is examined, not selected: nothing is altered, no message becomes seen. What alters (`mark_seen`,
`move`, `delete`) wants a selected folder and goes by UID alone. Plain EXPUNGE is never said: it would take along what
the operator marked. Every failure is a WireError; after CommandRefused the session goes on, after any other it is over.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from aioimaplib import aioimaplib

from warmup.mail.folder import Folder, name_on_wire, quoted
from warmup.policy.mailbox import Endpoint
from warmup.wire.errors import CommandRefused, ProtocolError, WireError
from warmup.wire.imap_auth import sign_in, takes
from warmup.wire.imap_fetch import Header, fetched, folders, headers, number_of, searched, sequence_set
from warmup.wire.imap_line import ImapLine, open_imap_line
from warmup.wire.imap_syntax import LITERAL_KEPT, Response, code_of
from warmup.wire.login import Login
from warmup.wire.network import Network

__all__ = ["BATCH", "FolderState", "Header", "ImapSession", "open_imap"]

T = TypeVar("T")

BATCH = 200
# Bytes of an answer that are read in a few milliseconds.
_SHORT = 64 * 1024
_LOGOUT_SECONDS = 2.0
_MAX_UID = 2**32 - 1
# RFC 5322 3.6.8 field names, without what would end the section of a FETCH.
_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderState:
    """An opened folder: UIDs hold as long as `uidvalidity` does; every UID to come is at least `uidnext`."""

    name: str
    uidvalidity: int
    uidnext: int
    exists: int
    writable: bool


async def open_imap(endpoint: Endpoint, login: Login, *, network: Network) -> "ImapSession":
    """A session that is logged in, with no folder open. Raises WireError."""
    line = await open_imap_line(endpoint, network)
    try:
        before = _offered((), line.greeting.text)
        if not before or not takes(login, before):
            # A greeting may be the one that is meant for a line in the clear.
            before = await _capabilities(line)
        heard, said = await sign_in(line, login, before)
        line.enter(aioimaplib.AUTH)
        # RFC 3501 6.2.3: what a server can do may change with who asks.
        return ImapSession(line, capabilities=_offered(heard, said) or await _capabilities(line))
    except BaseException:
        line.abort()
        raise


class ImapSession:
    """One logged-in connection. `capabilities` are in upper case; `opened` is the folder in hand, or None."""

    def __init__(self, line: ImapLine, *, capabilities: frozenset[str]) -> None:
        self.capabilities = capabilities
        self.opened: FolderState | None = None
        self._line = line

    @property
    def usable(self) -> bool:
        """True while the connection holds."""
        return self._line.is_alive

    def begin_visit(self, seconds: float) -> None:
        """Use the session for at most `seconds` from now on: a server that drips answers is not waited for all day."""
        self._line.begin_visit(seconds)

    async def folders(self) -> tuple[Folder, ...]:
        """Every folder of the account, sorted by name. One that is named after our secret is none: names are kept."""
        return tuple(folder for folder in await self._listed() if not self._line.blot.finds_in(folder.name))

    async def _listed(self) -> tuple[Folder, ...]:
        if {"SPECIAL-USE", "LIST-EXTENDED"} <= self.capabilities:
            try:
                listed, _ = await self._line.run("LIST", '""', '"*"', "RETURN", "(SPECIAL-USE)")
                return await _apart(folders, listed)
            except CommandRefused:
                # It promised and does not keep it; the plain list says most of it too (RFC 6154 section 2).
                pass
        listed, _ = await self._line.run("LIST", '""', '"*"')
        return await _apart(folders, listed)

    async def examine(self, name: str) -> FolderState:
        """Open a folder read-only. Raises CommandRefused where there is none of that name."""
        return await self._open("EXAMINE", name)

    async def select(self, name: str) -> FolderState:
        """Open a folder for changes; `writable` says whether the server allows them."""
        return await self._open("SELECT", name)

    async def headers_after(
        self, last_uid: int, fields: Iterable[str], *, batch: int = BATCH
    ) -> AsyncIterator[tuple[Header, ...]]:
        """The messages with a UID above `last_uid`, ascending, at most `batch` (≤ 200) at a time; fewer where long.

        `fields` are the header fields to read; none reads only UID, date, size and flags. Nothing becomes seen.
        """
        if not 1 <= batch <= BATCH:
            raise ValueError(f"a batch is 1 to {BATCH} messages, got {batch}")
        names = tuple(fields)
        for uids in _chunks(await self.uids_after(last_uid), batch):
            for found in _portions(await self._fetch(uids, names)):
                yield found

    async def uids_after(self, last_uid: int) -> tuple[int, ...]:
        """The UIDs above `last_uid` in the open folder, ascending."""
        if last_uid >= _MAX_UID:
            return ()
        # "n:*" always includes the last message, even one below n (RFC 3501 6.4.8).
        found = await self._search("UID", f"{last_uid + 1}:*")
        return tuple(uid for uid in found if uid > last_uid)

    async def start_of(self, uid: int, *, limit: int = LITERAL_KEPT) -> bytes:
        """The first `limit` bytes (≤ 64 KiB) of a message, for delivery reports; empty where it is gone."""
        if not 0 < limit <= LITERAL_KEPT:
            raise ValueError(f"at most {LITERAL_KEPT} bytes of a message are read, got {limit}")
        responses, _ = await self._line.run("FETCH", str(uid), f"(UID BODY.PEEK[]<0.{limit}>)", uid=True)
        for attributes in fetched(responses):
            body = attributes.get("BODY")
            if number_of(attributes.get("UID")) == uid and isinstance(body, bytes):
                return body[:limit]
        return b""

    async def search_header(self, name: str, value: str) -> tuple[int, ...]:
        """The UIDs of messages whose field `name` contains `value` (ASCII), ascending."""
        _check_field(name)
        if not value.isascii():
            raise ValueError("a header is searched for ASCII only")
        return await self._search("HEADER", name, quoted(value))

    async def in_promotions(self, uids: Iterable[int]) -> frozenset[int] | None:
        """Which of `uids` Gmail shows under Promotions; None where the server cannot tell (no X-GM-EXT-1)."""
        if "X-GM-EXT-1" not in self.capabilities:
            return None
        found: set[int] = set()
        for some in _chunks(tuple(uids), BATCH):
            found.update(await self._search("UID", sequence_set(some), "X-GM-RAW", quoted("category:promotions")))
        return frozenset(found)

    async def mark_seen(self, uids: Iterable[int]) -> None:
        """Set \\Seen."""
        self._check_writable()
        for some in _chunks(tuple(uids), BATCH):
            await self._line.run("STORE", sequence_set(some), "+FLAGS.SILENT", "(\\Seen)", uid=True)

    async def move(self, uids: Iterable[int], folder: str) -> None:
        """Move messages to `folder`, which exists.

        Without MOVE they are copied and marked \\Deleted; only UIDPLUS then takes the originals away.
        """
        self._check_writable()
        for some in _chunks(tuple(uids), BATCH):
            if "MOVE" in self.capabilities:
                await self._line.run("MOVE", sequence_set(some), name_on_wire(folder), uid=True)
            else:
                await self._line.run("COPY", sequence_set(some), name_on_wire(folder), uid=True)
                await self._remove(some)

    async def delete(self, uids: Iterable[int], trash: str | None) -> None:
        """Delete messages for good where that can be done by UID, else put them into `trash`.

        Gmail's goes to `trash` always: there, expunging takes a label off and keeps the message. Raises ProtocolError
        where there is neither UIDPLUS nor a trash.
        """
        self._check_writable()
        by_uid = "UIDPLUS" in self.capabilities
        is_gmail = "X-GM-EXT-1" in self.capabilities
        if by_uid and not (is_gmail and trash and not self._is_open(trash)):
            for some in _chunks(tuple(uids), BATCH):
                await self._remove(some)
        elif trash is None:
            raise ProtocolError(f"{self._line.endpoint} cannot delete by UID, and no trash folder is known")
        elif not self._is_open(trash):
            await self.move(uids, trash)

    async def create(self, folder: str) -> None:
        """Make `folder`, and show it in mail programs; one that exists already is content."""
        try:
            await self._line.run("CREATE", name_on_wire(folder))
        except CommandRefused as refusal:
            if refusal.code != "ALREADYEXISTS" and not await self._exists(folder):
                raise
        try:
            await self._line.run("SUBSCRIBE", name_on_wire(folder))
        except CommandRefused:
            # Not every server keeps subscriptions; the folder is there all the same.
            return

    async def noop(self) -> None:
        """Make sure the server is still there."""
        await self._line.run("NOOP")

    async def close(self) -> None:
        """LOGOUT, briefly, and hang up. Never raises."""
        try:
            if self.usable:
                await self._line.run("LOGOUT", timeout=_LOGOUT_SECONDS)
        except WireError:
            pass
        finally:
            self._line.abort()

    def abort(self) -> None:
        """Hang up at once, without a word."""
        self._line.abort()

    async def _open(self, command: str, name: str) -> FolderState:
        self.opened = None
        try:
            responses, said = await self._line.run(command, name_on_wire(name))
        except CommandRefused:
            # RFC 3501 6.3.1: after a failed SELECT no folder is selected.
            self._line.enter(aioimaplib.AUTH)
            raise
        self._line.enter(aioimaplib.SELECTED)
        codes = dict(response.code for response in responses if response.name == "OK")
        exists = next((response.number for response in reversed(responses) if response.name == "EXISTS"), None)
        uidvalidity = _number(codes.get("UIDVALIDITY", ""))
        if uidvalidity is None:
            raise ProtocolError(f"{self._line.endpoint} keeps no lasting UIDs in {name!r}")
        uidnext = _number(codes.get("UIDNEXT", "")) or await self._uidnext(exists or 0)
        writable = command == "SELECT" and code_of(said)[0] != "READ-ONLY"
        self.opened = FolderState(
            name=name, uidvalidity=uidvalidity, uidnext=uidnext, exists=exists or 0, writable=writable
        )
        return self.opened

    async def _uidnext(self, exists: int) -> int:
        """One above the last message's UID: for servers that do not say UIDNEXT."""
        if exists == 0:
            return 1
        responses, _ = await self._line.run("FETCH", "*", "(UID)")
        uids = [number_of(attributes.get("UID")) or 0 for attributes in fetched(responses)]
        return max(uids, default=0) + 1

    async def _fetch(self, uids: tuple[int, ...], names: tuple[str, ...]) -> tuple[Header, ...]:
        for name in names:
            _check_field(name)
        section = f" BODY.PEEK[HEADER.FIELDS ({' '.join(names)})]<0.{LITERAL_KEPT}>" if names else ""
        responses, _ = await self._line.run(
            "FETCH", sequence_set(uids), f"(UID INTERNALDATE FLAGS RFC822.SIZE{section})", uid=True
        )
        read = partial(headers, uids=frozenset(uids), with_body=bool(names))
        return await _apart(read, responses)

    async def _search(self, *criteria: str) -> tuple[int, ...]:
        responses, _ = await self._line.run("SEARCH", *criteria, uid=True)
        return await _apart(searched, responses)

    async def _remove(self, uids: tuple[int, ...]) -> None:
        await self._line.run("STORE", sequence_set(uids), "+FLAGS.SILENT", "(\\Deleted)", uid=True)
        if "UIDPLUS" in self.capabilities:
            await self._line.run("EXPUNGE", sequence_set(uids), uid=True)

    async def _exists(self, folder: str) -> bool:
        return folder in {known.name for known in await self.folders()}

    def _is_open(self, folder: str) -> bool:
        return self.opened is not None and self.opened.name == folder

    def _check_writable(self) -> None:
        if self.opened is None or not self.opened.writable:
            raise ProtocolError(f"{self._line.endpoint}: no folder is open for changes")


async def _capabilities(line: ImapLine) -> frozenset[str]:
    responses, _ = await line.run("CAPABILITY")
    return _words(responses)


def _offered(responses: Iterable[Response], said: bytes) -> frozenset[str]:
    """The capabilities that were said unasked (RFC 3501 7.1); none where they were not."""
    name, listed = code_of(said)
    unasked = frozenset(listed.upper().split()) if name == "CAPABILITY" else _words(responses)
    # All that speak IMAP4 say so (RFC 3501 7.2.1): a list without it is none.
    return unasked if unasked & {"IMAP4REV1", "IMAP4REV2"} else frozenset()


async def _apart(read: Callable[[list[Response]], T], responses: list[Response]) -> T:
    """What `read` makes of an answer; of a long one in a thread, so that the work of others goes on meanwhile."""
    if sum(len(part) for response in responses for part in response.parts) <= _SHORT:
        return read(responses)
    return await asyncio.to_thread(read, responses)


def _words(responses: Iterable[Response]) -> frozenset[str]:
    words = (word for response in responses if response.name == "CAPABILITY" for word in response.text.split())
    return frozenset(word.decode("ascii", "replace").upper() for word in words)


def _portions(found: tuple[Header, ...]) -> Iterator[tuple[Header, ...]]:
    """`found` in portions of `_SHORT` bytes of header or one message: who reads one lets others have their turn."""
    start, size = 0, 0
    for at, header in enumerate(found):
        if at > start and size + len(header.header) > _SHORT:
            yield found[start:at]
            start, size = at, 0
        size += len(header.header)
    if found:
        yield found[start:]


def _chunks(uids: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    return (uids[start : start + size] for start in range(0, len(uids), size))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def _check_field(name: str) -> None:
    if not _FIELD.fullmatch(name):
        raise ValueError(f"{name!r} is no header field's name")
