"""The reply inside words: what a report, a log or a person quotes of a server.

Reports put a kind before it ("smtp;"), their own part ("host mx.example.org[192.0.2.1] said:") or nothing, and join the
lines of a reply to one. Reading never fails: where no reply code is told, it is GARBLED.
"""

import re
from typing import Final

from warmup.mail.answer import Reply
from warmup.mail.status import GARBLED, printable

_MOST_TEXT: Final = 20_000
_STATUS: Final = r"[245]\.\d{1,3}\.\d{1,3}"
# RFC 3464 2.3.6: what kind of system said it ("smtp;", "X-Postfix;").
_KIND: Final = re.compile(r"\s*([A-Za-z][\w.-]{0,40})\s*;\s*", re.ASCII)
_ANY_STATUS: Final = re.compile(rf"(?<![\d.]){_STATUS}(?!\d|\.\d)")
_AHEAD: Final = re.compile(r"[\[(#'\"]?([245]\d\d)(?=[ \-#<:,]|$)")
_WITH_STATUS: Final = re.compile(rf"(?<![\d.])([45]\d\d)[ -]#?{_STATUS}(?![\d.])")
_SAID: Final = re.compile(
    r"(?:said|says|replied|responded|answered|returned|was|reason|error|with|<<<|error_code ?|[:>\])])[:\s('\"]{0,3}#?"
    r"(4[2-7]\d|5[0-7]\d)(?=[ ,-])",
    re.IGNORECASE,
)
# The codes at the head, and those of further lines that were joined to one ("550-5.1.1 …").
_CODES: Final = re.compile(
    rf"^[245]\d\d, ?error_code ?:(?:{_STATUS})?|(?:^|(?<=\s))[245]\d\d[ -]#?{_STATUS}:?(?=\s|$)"
    rf"|^[\[(#'\"]?[245]\d\d[ -]|^#?{_STATUS}(?=\s)",
    re.IGNORECASE,
)
# sysexits(3): a delivery program's exit status is all that "x-unix" says.
_EXIT: Final = re.compile(r"\d{1,3}\Z")


def read_diagnostic(text: str, *, status: str | None = None) -> Reply:
    """The reply inside `text`.

    Its words are those from the code on: what stands before tells the reporter's part. `status` is a report's own,
    believed where the words have none of their code's class.
    """
    kind = _KIND.match(text)
    said = " ".join((text[kind.end() :] if kind else text)[:_MOST_TEXT].split())
    found = _AHEAD.match(said) or _WITH_STATUS.search(said) or _SAID.search(said)
    code = int(found[1]) if found else GARBLED
    tail = said[found.start(1) :] if found else said
    words = " ".join(_CODES.sub(" ", tail).split())
    first, _, more = words.partition(" ")
    if kind and kind[1].lower() == "x-unix" and _EXIT.match(first):
        words = f"exit status {first} {more}".rstrip()
    told = _told_status(tail, code) or _told_status(said, code) or _told_status(status or "", GARBLED)
    return Reply(code=code, status=told, text=printable(words))


def _told_status(said: str, code: int) -> str | None:
    """The first status of the code's class, or the first where there is no code; one that tells something, if any."""
    found = [found[0] for found in _ANY_STATUS.finditer(said)]
    statuses = [status for status in found if code == GARBLED or status[0] == str(code)[0]]
    # RFC 3463 3.1: X.0.Y is "other or undefined"; Exchange says it before it quotes the other server's.
    return next((status for status in statuses if status[1:3] != ".0"), statuses[0] if statuses else None)
