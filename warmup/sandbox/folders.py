"""An account's IMAP folders, over pymap's in-memory ones: who files, and who is told when a client acts.

The server files synchronously (`put`, `resort`), so that what is due happens at once and in order. Ids and UIDVALIDITY
are counted and seeded instead of drawn, so that the same seed gives the same folders.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, unique

from pymap.backend.dict.mailbox import MailboxData, MailboxSet, Message
from pymap.listtree import ListEntry, ListTree
from pymap.mime import MessageContent
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import Flag, ObjectId

from warmup.sandbox.accounts import SandboxProvider


@unique
class Use(Enum):
    """What a folder is for; the value is its SPECIAL-USE attribute (RFC 6154), the inbox has none."""

    INBOX = ""
    JUNK = "Junk"
    SENT = "Sent"
    TRASH = "Trash"
    OTHER = "other"


# Told when a client has moved or copied a message: its key, from where, to where.
OnMove = Callable[[bytes, Use, Use], None]


class Folder(MailboxData):
    """One folder; messages carry the key they were put in with as their EMAILID through every move and copy."""

    def __init__(self, use: Use, uid_validity: int, cabinet: "Cabinet") -> None:
        super().__init__(cabinet.contents, cabinet.threads)
        self.use = use
        self._uid_validity = uid_validity
        self._cabinet = cabinet
        # A number of ours and not of pymap's chance: the same seed gives the same id.
        self._mailbox_id = ObjectId(b"F%08x" % uid_validity)

    def put(self, key: bytes, content: MessageContent, when: datetime, flags: Iterable[Flag] = ()) -> None:
        """File a message with INTERNALDATE `when`; clients that wait in IDLE are told."""
        self._max_uid += 1
        self._messages[self._max_uid] = Message(
            self._max_uid, when, flags, email_id=ObjectId(key), recent=True, content=content
        )
        self._tell([self._max_uid])

    def resort(self, key: bytes, target: "Folder") -> None:
        """Move the message to `target` by the server's own will; one that is gone from here stays where it is."""
        uid = next((uid for uid, message in self._messages.items() if message.email_id == key), None)
        if uid is None:
            return
        message = self._messages.pop(uid)
        self._mod_sequences.expunge([uid])
        self._updated.set()
        target.accept(message)

    def accept(self, message: Message) -> None:
        """File a message that was in another folder, with its flags and date."""
        self._max_uid += 1
        self._messages[self._max_uid] = Message.copy(message, uid=self._max_uid, recent=True)
        self._tell([self._max_uid])

    def _tell(self, uids: list[int]) -> None:
        self._mod_sequences.update(uids)
        self._updated.set()

    async def append(self, append_msg: AppendMessage, *, recent: bool = False) -> Message:
        # pymap dates an APPEND without a date by the machine's clock; here time is the sandbox's.
        when = append_msg.when or self._cabinet.now()
        return await super().append(AppendMessage(append_msg.literal, when, append_msg.flag_set), recent=recent)

    async def copy(self, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:
        return self._told(destination, await super().copy(uid, destination, recent=recent))

    async def move(self, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:
        return self._told(destination, await super().move(uid, destination, recent=recent))

    def _told(self, destination: MailboxData, arrived: int | None) -> int | None:
        if arrived is not None and isinstance(destination, Folder):
            self._cabinet.on_move(destination.key_of(arrived), self.use, destination.use)
        return arrived

    def key_of(self, uid: int) -> bytes:
        """The key of the message with `uid`."""
        return bytes(self._messages[uid].email_id)


class Cabinet(MailboxSet):
    """The folders of one account; INBOX, Junk, Sent and Trash are there from the start."""

    def __init__(
        self, provider: SandboxProvider, *, uid_validity: int, on_move: OnMove, now: Callable[[], datetime]
    ) -> None:
        super().__init__()
        self.contents, self.threads = self._content_cache, self._thread_cache
        self.on_move = on_move
        self.now = now
        self._next_validity = uid_validity
        self.inbox = self._inbox = self._folder(Use.INBOX)
        self.junk = self._folder(Use.JUNK)
        self.sent = self._folder(Use.SENT)
        self.trash = self._folder(Use.TRASH)
        self._set = {
            provider.junk_folder: self.junk,
            provider.sent_folder: self.sent,
            provider.trash_folder: self.trash,
        }

    def _folder(self, use: Use) -> Folder:
        self._next_validity += 1
        return Folder(use, self._next_validity, self)

    async def list_mailboxes(self) -> ListTree:
        uses = {name: folder.use for name, folder in self._set.items() if isinstance(folder, Folder)}
        return _UseTree(self.delimiter, uses).update("INBOX", *self._set)

    async def add_mailbox(self, name: str) -> ObjectId:
        if name in self._set:
            raise ValueError(name)
        self._set[name] = folder = self._folder(Use.OTHER)
        return folder.mailbox_id


@dataclass(frozen=True)
class _UseEntry(ListEntry):
    """A LIST entry with its SPECIAL-USE attribute, which pymap does not know."""

    use: Use

    @property
    def attributes(self) -> Sequence[bytes]:
        return [*super().attributes, self.use.value.encode()]


class _UseTree(ListTree):
    """pymap's LIST, saying what each folder is for."""

    def __init__(self, delimiter: str, uses: Mapping[str, Use]) -> None:
        super().__init__(delimiter)
        self._uses = {name: use for name, use in uses.items() if use in (Use.JUNK, Use.SENT, Use.TRASH)}

    def list_matching(self, ref_name: str, filter_: str) -> Iterable[ListEntry]:
        for entry in super().list_matching(ref_name, filter_):
            use = self._uses.get(entry.name)
            if use is None:
                yield entry
            else:
                yield _UseEntry(entry.name, entry.exists, entry.marked, entry.has_children, use)
