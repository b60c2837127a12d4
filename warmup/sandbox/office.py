"""The post office of the sandbox: takes what is submitted, has it judged, delivers it in time, hears what clients do.

A message is judged when its last dot has come: first the limit of the sender's own provider, then the world's receiver
of the recipient's. A message that was taken gets the instants of all that will happen to it at once, so nothing depends
on when anybody looks. Everything here is synchronous: between two awaits of the servers the sandbox is of one piece.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from itertools import count

from pymap.mime import MessageContent
from pymap.parsing.specials.flag import Seen

from warmup.clock import Clock, seeded
from warmup.mail.answer import Reply
from warmup.sandbox.accounts import SandboxAccount, SandboxProvider
from warmup.sandbox.agenda import Agenda
from warmup.sandbox.folders import Cabinet, Use
from warmup.sandbox.postmaster import complaint, delivery_report, vouched
from warmup.sandbox.receipts import Receipt, Record
from warmup.world import Deferred, Folder, Placed, Refused, WorldState

TAKEN = Reply(code=250, status="2.0.0", text="OK: queued")
OVER_LIMIT = Reply(code=550, status="5.4.5", text="Daily user sending limit exceeded")

RETURNED_AFTER = timedelta(minutes=2)
COMPLAINED_AFTER = timedelta(hours=1)
_PARSER = BytesHeaderParser(policy=compat32)


@dataclass(frozen=True, slots=True)
class _Home:
    """An account with its provider and folders."""

    account: SandboxAccount
    provider: SandboxProvider
    cabinet: Cabinet


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """A message on its way; addresses in lower case, `receiver` the world's."""

    at: datetime
    message_id: str
    in_reply_to: str
    subject: str
    sender: str
    recipient: str
    receiver: str
    own: bool = False

    def receipt(self, reply: Reply, placement: str | None = None) -> Receipt:
        """What the record says about it."""
        return Receipt(
            at=self.at,
            account=self.sender,
            recipient=self.recipient,
            message_id=self.message_id,
            code=reply.code,
            status=reply.status or "",
            placement=placement,
            own=self.own,
        )


class PostOffice:
    """All accounts of the sandbox and everything that happens to their mail."""

    def __init__(
        self, world: WorldState, *, clock: Clock, providers: Sequence[SandboxProvider], seed: str, record: Record
    ) -> None:
        self._world = world
        self._clock = clock
        self._record = record
        self._agenda = Agenda()
        self._keys = count(1)
        self._homes: dict[str, _Home] = {}
        # What a recipient may still do the sender good by: by the key it was filed with, and by who may answer it.
        self._rescuable: dict[bytes, _Letter] = {}
        self._answerable: dict[tuple[str, str], _Letter] = {}
        for provider in providers:
            for account in provider.accounts:
                self._settle_in(account, provider, seed)

    def _settle_in(self, account: SandboxAccount, provider: SandboxProvider, seed: str) -> None:
        address = account.address.lower()
        if address in self._homes:
            raise ValueError(f"{address} lives in the sandbox twice")
        validity = 1 + seeded(seed, "uidvalidity", address).getrandbits(30)
        cabinet = Cabinet(provider, uid_validity=validity, on_move=self._moved, now=self._clock.now)
        self._homes[address] = _Home(account, provider, cabinet)

    def knows(self, address: str) -> bool:
        """True if `address` lives here."""
        return address.lower() in self._homes

    def cabinets_of(self, provider: SandboxProvider) -> Mapping[str, Cabinet]:
        """The folders of the provider's accounts, by address."""
        return {account.address: self._homes[account.address.lower()].cabinet for account in provider.accounts}

    def refuse_login(self, account: str) -> None:
        """Record that somebody did not know the account's password."""
        self._record.refuse_login(account.lower())

    # What happens by itself

    @property
    def next_event(self) -> datetime | None:
        """The instant of the next thing that will happen by itself."""
        return self._agenda.next

    def advance(self) -> None:
        """Let everything happen that is due now."""
        self._agenda.run(self._clock.now())

    # What is submitted

    def refuse(self, sender: str, recipient: str, raw: bytes, reply: Reply) -> Reply:
        """The reply that was chosen; nothing is taken, and it is recorded."""
        self._record.add(self._letter(sender, recipient, raw).receipt(reply))
        return reply

    def take_and_return(self, sender: str, recipient: str, raw: bytes, reply: Reply) -> Reply:
        """Take the message, and let a delivery report come home: the next server said `reply`."""
        self.advance()
        letter = self._letter(sender, recipient, raw)
        self._record.add(letter.receipt(TAKEN, Folder.MISSING.value))
        host = self._homes[letter.sender].provider.domain
        self._write_home(
            letter,
            RETURNED_AFTER,
            lambda at: delivery_report(
                raw, sender=letter.sender, recipient=letter.recipient, host=host, reply=reply, at=at
            ),
        )
        return TAKEN

    def complain(self, sender: str, recipient: str, raw: bytes) -> None:
        """Let a complaint about the message come home."""
        letter = self._letter(sender, recipient, raw)
        host = self._homes[letter.recipient].provider.domain
        self._write_home(
            letter,
            COMPLAINED_AFTER,
            lambda at: complaint(raw, sender=letter.sender, recipient=letter.recipient, host=host, at=at),
        )

    def _write_home(self, letter: _Letter, after: timedelta, write: Callable[[datetime], bytes]) -> None:
        inbox = self._homes[letter.sender].cabinet.inbox
        key = self._key()
        self._agenda.enter(letter.at + after, lambda at: inbox.put(key, MessageContent.parse(write(at)), at))

    def take(self, sender: str, recipient: str, raw: bytes) -> Reply:
        """The reply to `raw`, submitted by the account `sender` to the known address `recipient`; all is recorded."""
        self.advance()
        letter = self._letter(sender, recipient, raw)
        if self._is_spent(letter):
            self._record.add(letter.receipt(OVER_LIMIT))
            return OVER_LIMIT
        verdict = self._world.deliver(
            letter.sender,
            letter.recipient,
            letter.receiver,
            now=letter.at,
            content=self._world.content_of(letter.subject, letter.receiver),
            # The recipients here are real: they answer and rescue over SMTP and IMAP, or do not.
            engages=False,
        )
        match verdict:
            case Deferred(code=code, status=status, text=text) | Refused(code=code, status=status, text=text):
                reply = Reply(code=code, status=status, text=text)
                self._record.add(letter.receipt(reply))
            case Placed(folder=folder):
                reply = TAKEN
                self._record.add(letter.receipt(reply, folder.value))
                self._heed_answer(letter)
                self._dispatch(letter, verdict, raw)
        return reply

    def _letter(self, sender: str, recipient: str, raw: bytes) -> _Letter:
        header = _PARSER.parsebytes(raw)
        return _Letter(
            at=self._clock.now(),
            message_id=_field(header, "Message-ID"),
            in_reply_to=_field(header, "In-Reply-To"),
            subject=_field(header, "Subject"),
            sender=sender.lower(),
            recipient=recipient.lower(),
            receiver=self._homes[recipient.lower()].provider.receiver,
        )

    def _is_spent(self, letter: _Letter) -> bool:
        limit = self._homes[letter.sender].provider.enforced_limit
        return limit is not None and self._record.in_24h(letter.sender, letter.at) >= limit

    def _dispatch(self, letter: _Letter, placed: Placed, raw: bytes) -> None:
        sender, recipient = self._homes[letter.sender], self._homes[letter.recipient]
        if sender.provider.files_sent:
            sender.cabinet.sent.put(self._key(), MessageContent.parse(raw), letter.at, [Seen])
        if placed.folder is Folder.MISSING:
            return
        name = recipient.provider.authserv_id
        content = MessageContent.parse(vouched(raw, name, sender.provider.vouches) if name else raw)
        key = self._key()
        self._rescuable[key] = self._answerable[letter.recipient, letter.message_id] = letter
        inbox, junk = recipient.cabinet.inbox, recipient.cabinet.junk
        target = inbox if placed.folder is Folder.INBOX else junk
        visible = timedelta(minutes=placed.visible_after)
        self._agenda.enter(letter.at + visible, lambda at: target.put(key, content, at))
        if placed.resorted_after is not None:
            # Nothing is sorted again before it has come.
            resorted = max(visible, timedelta(minutes=placed.resorted_after))
            self._agenda.enter(letter.at + resorted, lambda _: inbox.resort(key, junk))

    def _key(self) -> bytes:
        return b"M%d" % next(self._keys)

    # What the operator does himself

    def send_own(self, sender: str, recipient: str, at: datetime) -> None:
        """Have the operator write to `recipient` by himself at `at`; past the enforced limit the server refuses it."""
        self._agenda.enter(max(at, self._clock.now()), lambda instant: self._own(sender.lower(), recipient, instant))

    def _own(self, sender: str, recipient: str, at: datetime) -> None:
        key = self._key()
        letter = _Letter(
            at=at,
            message_id=f"<own-{key.decode()}@{sender.partition('@')[2]}>",
            in_reply_to="",
            subject="Our own affairs",
            sender=sender,
            recipient=recipient,
            receiver="",
            own=True,
        )
        reply = OVER_LIMIT if self._is_spent(letter) else TAKEN
        self._record.add(letter.receipt(reply))
        if reply is TAKEN:
            self._homes[sender].cabinet.sent.put(key, MessageContent.parse(_own_words(letter)), at, [Seen])

    # What recipients do

    def _moved(self, key: bytes, source: Use, target: Use) -> None:
        if source is not Use.JUNK or target not in (Use.INBOX, Use.OTHER):
            return
        letter = self._rescuable.pop(key, None)
        if letter:
            self._world.rescued(letter.sender, letter.recipient, letter.receiver, now=self._clock.now())

    def _heed_answer(self, answer: _Letter) -> None:
        asked = self._answerable.get((answer.sender, answer.in_reply_to))
        if asked and asked.sender == answer.recipient:
            del self._answerable[answer.sender, answer.in_reply_to]
            self._world.answered(asked.sender, asked.recipient, asked.receiver, now=answer.at)


def _field(header: "Message[str, str]", name: str) -> str:
    return str(header.get(name, "")).strip()


def _own_words(letter: _Letter) -> bytes:
    lines = (
        f"From: {letter.sender}",
        f"To: {letter.recipient}",
        f"Subject: {letter.subject}",
        f"Date: {letter.at:%a, %d %b %Y %H:%M:%S} +0000",
        f"Message-ID: {letter.message_id}",
        "",
        "As we said on the phone.",
        "",
    )
    return "\r\n".join(lines).encode()
