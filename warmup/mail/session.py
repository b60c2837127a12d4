"""Transcripts of SMTP sessions inside reports, and in answer to which command a refusal was said.

It matters: who refuses the greeting refuses the connection, and who took RCPT and refuses DATA knows the recipient.
"""

import re
from typing import Final

_START: Final = re.compile(
    r"[ \t]*(?:-+ ?transcript of session|(?:\.\.\. )?while talking to|session transcript)", re.IGNORECASE
)
_LINE: Final = re.compile(r"[ \t]*(?:sent |received )?(>>>|<<<)[ \t]*(.*)", re.IGNORECASE)
_TRANSCRIBED: Final = re.compile(
    r"[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?<?([^\s<>@]{1,128}@[^\s<>@]{1,255}?)>?\.\.\."
)
_COMMAND: Final = re.compile(r"(data|bdat|rcpt|mail|ehlo|helo|quit|\.)", re.IGNORECASE)
# Postfix, Exim, 1&1, DragonFly, IronPort, and Google's state (13 MAIL, 14 RCPT, 17 and 18 DATA).
_TOLD: Final = re.compile(
    r"in reply to (?:end of )?(data|rcpt|mail|helo|ehlo|bdat)"
    r"|\b(?:after|for) (?:pipelined |sending |end of |the |initial )*(data|text|rcpt|mail from|helo|ehlo|connection)\b"
    r"|did not like our (?:final )?(data|rcpt|mail)|\bsmtp:(rcpt|data|mail)\b|\((data|rcpt to|mail from)\)"
    r"|(refused to talk to me)|\(state (1[3-8])\)",
    re.IGNORECASE,
)
_WORDS: Final = {
    "text": "data",
    "bdat": "data",
    ".": "data",
    "13": "mail",
    "14": "rcpt",
    "17": "data",
    "18": "data",
    "mail from": "mail",
    "rcpt to": "rcpt",
    "helo": "ehlo",
    "connection": "greeting",
    "refused to talk to me": "greeting",
}
# Sendmail sends RCPT and DATA in one go: where the other side misses its RCPT, that was what it had refused.
_NO_RECIPIENT: Final = re.compile(
    r"<<< ?\d{3}.{0,30}(?:need rcpt|no valid recipients?|need recipient|need \w+ \(recipient)", re.IGNORECASE
)


def is_session_start(line: str) -> bool:
    """Whether a transcript begins with `line`."""
    return _START.match(line) is not None


def is_command(line: str) -> bool:
    """Whether `line` of a transcript is what the reporting side said."""
    found = _LINE.match(line)
    return found is not None and found[1] == ">>>"


def refusal(line: str) -> str | None:
    """What the other side refused with, where `line` of a transcript says so."""
    found = _LINE.match(line)
    return found[2] if found and found[1] == "<<<" and found[2][:1] in ("4", "5") else None


def transcribed(line: str) -> str | None:
    """The address about which `line` is a transcript's last word ("550 5.1.1 <a@b>... User unknown")."""
    found = _TRANSCRIBED.match(line.strip())
    return found[1] if found else None


def command_answered(text: str) -> str | None:
    """The command in answer to which the first refusal in `text` was said: greeting, ehlo, mail, rcpt or data."""
    if _NO_RECIPIENT.search(text):
        return "rcpt"
    found = _TOLD.search(text)
    word = next((said for said in found.groups() if said), "") if found else _last_command(text)
    return _WORDS.get(word.lower(), word.lower()) or None


def _last_command(text: str) -> str:
    command = ""
    for line in text.split("\n"):
        found = _LINE.match(line)
        if found and found[1] == ">>>":
            said = _COMMAND.match(found[2])
            command = said[1] if said else command
        elif found and found[2][:1] in ("4", "5") and command:
            return command
    return ""
