"""The mailboxes that each meet a fault of their own, and what is to be seen of them while the daemon runs."""

import re
import smtplib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from tests.lab.between import Cutter, Relay
from tests.lab.lab import Lab
from tests.lab.layout import FULL, GERMAN, GONE, UNKNOWN
from tests.lab.program import Program, Row

# Senders, by what they meet.
GOOD, LIMITED, LOCKED_OUT, HURRIED = (f"u{n}@gmail.test" for n in range(12, 16))
CROWDED, CROWDED_TOO, WORDY, SLOW = (f"u{n}@outlook.test" for n in range(12, 16))
CUT_IN, CUT_AFTER = "u12@corp.test", "u13@corp.test"
DOUBTED = {"expired": "u14@corp.test", "self_signed": "u15@corp.test", "wrong_name": "u16@corp.test"}
# Seeds.
GREY, RENUMBERED, ELSEWHERE = "u16@gmail.test", "u17@gmail.test", "any@stranger.example"
PLAIN = ["u16@outlook.test", "u17@outlook.test", "u18@outlook.test", "u18@gmail.test", "u19@gmail.test"]
SEEDS = [UNKNOWN, FULL, GONE, GERMAN, GREY, RENUMBERED, *PLAIN, ELSEWHERE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line of the daemon's log: what happened to which mailbox, and its other words."""

    at: datetime
    event: str
    words: dict[str, str]


class Guest:
    """Somebody else who stays in a server that takes one at a time, until those at the door were told so."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._inside: smtplib.SMTP | None = None

    def come(self) -> None:
        """Be inside; where there is no room just now, later."""
        if self._inside is None:
            try:
                self._inside = smtplib.SMTP("127.0.0.1", self._port, local_hostname="guest.test", timeout=5)
            except smtplib.SMTPConnectError:
                return

    def leave(self) -> None:
        """Make room."""
        if self._inside is not None:
            self._inside.close()
            self._inside = None


@dataclass(slots=True, kw_only=True)
class Stage:
    """The running daemon and what was set up against it."""

    lab: Lab
    program: Program
    ids: dict[str, str]
    relays: dict[str, Relay]
    cutters: dict[str, Cutter]
    guest: Guest
    numbered: list[str] = field(default_factory=list)
    restarted_at: datetime | None = None
    is_back: bool = False
    checks: dict[str, tuple[int, str]] = field(default_factory=dict)

    def look(self) -> "Look":
        return Look(self)


class Look:
    """What is to be seen at one moment."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @cached_property
    def messages(self) -> list[Row]:
        return self.stage.program.export("messages")

    @cached_property
    def attempts(self) -> list[Row]:
        return self.stage.program.export("attempts")

    @cached_property
    def facts(self) -> list[Fact]:
        return [fact for line in self.stage.program.log().splitlines() if (fact := _fact(line))]

    @property
    def lost_imap(self) -> list[Fact]:
        """The IMAP doors that stayed shut since Dovecot was stopped."""
        since = self.stage.restarted_at
        shut = (fact for fact in self.facts if fact.event == "door shut" and fact.words["protocol"] == "imap")
        return [fact for fact in shut if since is not None and fact.at >= since]

    @property
    def missed_by_who_goes_on(self) -> bool:
        """True once Dovecot was missed by a mailbox that has something to do after it: who is held, does not look."""
        busy = {self.stage.ids[address] for address in (GOOD, *PLAIN)}
        return any(fact.words["mailbox"] in busy for fact in self.lost_imap)

    def of(self, mailbox: str, event: str) -> list[Fact]:
        """What the log says of a mailbox."""
        return [
            fact for fact in self.facts if fact.event == event and fact.words.get("mailbox") == self.stage.ids[mailbox]
        ]

    def sent(self, *, by: str | None = None, to: str | None = None, **wanted: object) -> list[Row]:
        """The messages by a sender, to a recipient, whose columns are as wanted."""
        return [
            row
            for row in self.messages
            if by in (None, row["mailbox"])
            and to in (None, row["recipient"])
            and all(row[name] == value for name, value in wanted.items())
        ]

    def tries(self, row: Row) -> list[Row]:
        """The attempts at a message, first to last."""
        return sorted((a for a in self.attempts if a["slot"] == row["slot"]), key=lambda a: int(a["ordinal"]))

    def shut(self, mailbox: str, words: str) -> list[Fact]:
        """When a door of the mailbox stayed shut with these words."""
        return [fact for fact in self.of(mailbox, "door shut") if re.search(words, fact.words["error"])]


_PAIR = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')


def _fact(line: str) -> Fact | None:
    words = {name: quoted or plain for name, quoted, plain in _PAIR.findall(line)}
    if "at" not in words or "event" not in words:
        return None
    return Fact(at=datetime.fromisoformat(words["at"]), event=words["event"], words=words)
