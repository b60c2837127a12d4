"""Reply codes and enhanced status codes (RFC 5321 4.2, RFC 3463, RFC 2034) out of what a server said.

Reading never fails: a reply that makes no sense has code -1, and -1 is neither positive nor transient nor permanent.
"""

import re

from warmup.mail.answer import Reply

GARBLED = -1

# RFC 3463 section 2: class "." subject "." detail. Classes other than 2, 4 and 5 do not exist.
_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_LINE = re.compile(r"\s*([2-5]\d\d)(?:[ -]|$)(.*)", re.DOTALL)
_MAX_TEXT = 2000


def split_status(text: str) -> tuple[str | None, str]:
    """The enhanced status code `text` begins with, or None, and the text behind it."""
    head = text.lstrip()
    found = _STATUS.match(head)
    return (found[0], head[found.end() :].lstrip(" \t-:")) if found else (None, text.strip())


def reply_of(code: int, text: str) -> Reply:
    """The reply with `code`, out of its text without codes, one line of the reply a line.

    The status is the first line's that has one whose class agrees with the code: RFC 2034 section 4 has them agree, and
    where they do not the reply code is believed. Its repetition on every line is dropped, lines are joined by spaces.
    """
    status: str | None = None
    words: list[str] = []
    for line in text.splitlines():
        found, rest = split_status(line)
        if found and found[0] == str(code)[:1]:
            status = status or found
        elif found:
            rest = line
        words.extend(rest.split())
    return Reply(code=code, status=status, text=printable(" ".join(words)))


def read_reply(raw: bytes | str) -> Reply:
    """The reply in `raw`, with its codes, one line or many. Code GARBLED where the first line has no code we know."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    lines = [line for line in text.splitlines() if line.strip()]
    first = _LINE.fullmatch(lines[0]) if lines else None
    if first is None:
        return Reply(code=GARBLED, text=printable(" ".join(text.split())))
    return reply_of(int(first[1]), "\n".join(_without_code(line, first[1]) for line in lines))


def _without_code(line: str, code: str) -> str:
    found = _LINE.fullmatch(line)
    return found[2] if found and found[1] == code else line


def printable(text: str) -> str:
    """`text` on one line that a terminal can show, cut to a bearable length."""
    return "".join(char if char.isprintable() else "?" for char in text)[:_MAX_TEXT]
