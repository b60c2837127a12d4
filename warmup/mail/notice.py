"""What a delivery report says in words: which recipients, why, and in answer to which command.

For the many reports that no standard field explains, and for the words that fields leave out. A line that begins with
an address is about that recipient until the next one; a transcript of the session (`>>>`, `<<<`) is read for what was
answered. Nothing of the returned message is read: the text is cut where it begins.
"""

import re
from dataclasses import dataclass
from typing import Final

from warmup.mail.dialect import Dialects
from warmup.mail.folding import unaccented
from warmup.mail.session import command_answered, is_command, is_session_start, refusal, transcribed

MOST_TEXT: Final = 32_768
MOST_RECIPIENTS: Final = 100
_MOST_LINES: Final = 1_000
_MOST_SAID: Final = 4_000
_ADDRESS: Final = r"[^\s<>()\[\],;:@\"'\\*]{1,128}@[^\s<>()\[\],;:@\"'\\]{1,255}"
# "<a@b>: …", "a@b", " * a@b", ">>> a@b <a@b>", '"a@b":', "a@b: …", "name:000:<a@b> : …", "554 5.0.0 <a@b>: …"
_LINE: Final = re.compile(
    r"[ \t]{0,12}(?:[*>•-]{1,3}[ \t]*)?([245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?)?[\"']?(?:[\w.+-]{1,60}:\d{1,12}:)?"
    rf"<?({_ADDRESS})>?[\"']?(?:[ \t]*<(?:mailto:)?[^<>\s]{{1,256}}>)?(?=[ \t]*(?::|\.\.\.|,|;|\(|\[|-|$))[ \t]*(.*)"
)
_BARE: Final = re.compile(rf"({_ADDRESS})[ \t]+(\w.*)")
_NAMED: Final = re.compile(
    r"(?:\bto|\ban|\bpara|\b[aà]|errors?|recipients?|destinat\w+|address\w*|user\w*|宛先|发送到|收件人|받는 ?사람)"
    rf"(?:[ \t]*:[ \t]*|[ \t]+|(?=[\"'<]))[\"'<]{{0,2}}(?:mailto:)?({_ADDRESS})",
    re.IGNORECASE,
)
_CODED: Final = re.compile(r"[ \t]*(?:[45]\d\d[ -]|<<<|in:|out:|subject:|from:?[ \t]|message-id:)", re.IGNORECASE)
_CODE: Final = re.compile(r"(?<![\d.])[45](?:\d\d[ -]|\.\d{1,3}\.\d{1,3}(?![\d.]))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What the words say: by address, lower-cased; `preamble` goes before any address, `whole` is everything."""

    by_address: dict[str, str]
    preamble: str
    whole: str
    command: str | None  # in answer to which command the refusal was said: greeting, ehlo, mail, rcpt, data

    def about(self, address: str | None) -> str:
        """The words about `address`; all of them where it has none of its own."""
        said = self.by_address.get((address or "").lower(), "")
        if not _says_something(said):
            return self.preamble if _says_something(self.preamble) and self.by_address else self.whole
        if not _CODE.search(said) and _CODE.search(self.preamble):
            return f"{self.preamble} {said}"
        return said


def notice(text: str, known: Dialects) -> Notice:
    """The words of a report, its `text`, about each recipient."""
    lines = _folded_lines(before_returned(text[:MOST_TEXT], known).split("\n", _MOST_LINES)[:_MOST_LINES])
    reading = _Reading()
    for line in lines:
        reading.read(line[:_MOST_SAID])
    return Notice(
        by_address=_shared({address: _joined(said) for address, said in reading.entries.items()}),
        preamble=_joined(reading.preamble + reading.refusals),
        whole=_joined(lines),
        command=command_answered("\n".join(lines)),
    )


def before_returned(text: str, known: Dialects) -> str:
    """`text` up to where the returned message begins; all of it where little would be left."""
    place = 0
    for line in text.split("\n", _MOST_LINES)[:_MOST_LINES]:
        bare = unaccented(line[:200]).rstrip().lower()
        if bare and known.cut.search(bare) and len("".join(text[:place].split())) > 20:
            return text[:place]
        place += len(line) + 1
    return text


class _Reading:
    """Line after line: whose words they are."""

    def __init__(self) -> None:
        self.preamble: list[str] = []
        self.entries: dict[str, list[str]] = {}
        self.refusals: list[str] = []  # of a transcript, not yet anybody's
        self._here: list[str] = self.preamble
        self._in_session = False

    def read(self, line: str) -> None:
        self._in_session = self._in_session or is_session_start(line)
        if self._in_session and (said := refusal(line)):
            self.refusals.append(said)
        elif self._in_session and (address := transcribed(line)):
            self._transcribe(address, line)
        elif not (self._in_session and is_command(line)):
            address, rest = _recipient(line)
            if address is not None and len(self.entries) < MOST_RECIPIENTS:
                self._here = self.entries.setdefault(address.lower(), [])
            self._here.append(rest)

    def _transcribe(self, address: str, line: str) -> None:
        """A transcript's last word on a recipient; what the other side refused with says more, and came before."""
        said = self.entries.setdefault(address.lower(), [])
        if not any(_CODE.search(known) for known in said):
            said.append(self.refusals[0] if self.refusals else line)
        self.refusals.clear()
        self._here = []


def _folded_lines(lines: list[str]) -> list[str]:
    """`lines` with those joined that continue a line about an address (Postfix breaks and indents them by four)."""
    kept: list[str] = []
    for line in lines:
        if kept and kept[-1].startswith("<") and line.startswith("    ") and line.strip() and ">>>" not in line[:12]:
            kept[-1] = f"{kept[-1][:_MOST_SAID]} {line.strip()}"
        else:
            kept.append(line)
    return kept


def _recipient(line: str) -> tuple[str | None, str]:
    """The address a line is about and what it says of it."""
    if "@" not in line:
        return None, line
    if found := _LINE.match(line):
        return found[2], line if found[1] else found[3]
    if found := _BARE.match(line):
        return found[1], found[2]
    named = None if _CODED.match(line) else _NAMED.search(line)
    return (named[1].rstrip("."), line) if named else (None, line)


def _shared(said: dict[str, str]) -> dict[str, str]:
    """Addresses in a list, with the reason behind the last: all of them get it."""
    after = ""
    for address in reversed(said):
        said[address] = said[address] if _says_something(said[address]) else after
        after = said[address]
    return said


def _says_something(said: str) -> bool:
    return sum(char.isalpha() for char in said) >= 4 or _CODE.search(said) is not None


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())[:_MOST_SAID]
