"""How a warmup message is spelled on the wire: RFC 5322 and MIME, in 7 bits.

Promises: the same inputs give the same bytes; lines end in CRLF and are at most 76 characters where the content allows
and 998 always; no field can add a header, since whatever could end a line raises ValueError; nothing but the identity
header tells our mail from a person's.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import format_datetime
from typing import Final

# RFC 5322 2.1.1 and RFC 2047 2: what a line and an encoded word should not exceed.
_LINE: Final = 76
_WORD: Final = 75
_LONGEST_TOKEN: Final = 900
# A thread's root and its latest ancestors; long chains lose their middle, as in common mail readers.
_REFERENCES: Final = 10
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PHRASE: Final = re.compile(rf"{_ATOM}(?: {_ATOM})*")
_ADDRESS: Final = re.compile(
    rf"(?:{_ATOM}(?:\.{_ATOM})*|\"(?:[ !#-\[\]-~]|\\[ -~])*\")@(?:{_ATOM}(?:\.{_ATOM})*|\[[!-Z^-~]+\])"
)
_MESSAGE_ID: Final = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")
_FIELD_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_ASCII: Final = re.compile(r"[ -~]*")
# Other programs' answers say AW, SV, RV, TR, Antw: a thread has one prefix, and it is ours.
_ANSWER: Final = re.compile(r"\s*(?:re|aw|antw|sv|rv|tr|ref)\s*(?:\[\d+\]|\(\d+\))?\s*:", re.IGNORECASE)
_OURS: Final = frozenset(
    {"date", "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "message-id", "in-reply-to", "references"}
    | {"mime-version", "content-type", "content-transfer-encoding", "return-path", "received", "x-mailer", "user-agent"}
)
# RFC 2047 5 (3): what may stand for itself in an encoded word inside a phrase.
_Q_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def compose(
    *,
    sender: tuple[str, str],
    recipient: tuple[str, str],
    subject: str,
    body: str,
    message_id: str,
    date: datetime,
    header: tuple[str, str] | None = None,
    in_reply_to: str | None = None,
    references: tuple[str, ...] = (),
) -> bytes:
    """The whole message; `sender` and `recipient` are (display name or "", address), `date` is aware and kept in its
    zone, `header` is the identity header. With `in_reply_to` the subject gets one "Re: " and References end with it.

    ValueError for a naive date, an address or id that is none, a field with a control character or a line separator,
    a body with a bare CR, a NUL or a separator other than LF and CRLF.
    """
    if date.tzinfo is None:
        raise ValueError("the date of a message is aware")
    encoding, payload = _encoded(_lines(body))
    fields = [
        f"Date: {format_datetime(date)}",
        _folded("From", _mailbox(*sender)),
        _folded("To", _mailbox(*recipient)),
        _folded("Subject", _unstructured(answering(subject) if in_reply_to else subject, first=_LINE - 9)),
        f"Message-ID: {_id(message_id)}",
        *_thread(in_reply_to, references),
        *([_own(*header)] if header else []),
        "MIME-Version: 1.0",
        'Content-Type: text/plain; charset="utf-8"',
        f"Content-Transfer-Encoding: {encoding}",
    ]
    return ("\r\n".join(fields) + "\r\n\r\n").encode("ascii") + payload


def is_message_id(text: str) -> bool:
    """True for what can stand in a field as an id, with its angle brackets (RFC 5322 3.6.4)."""
    return len(text) <= _LONGEST_TOKEN and _MESSAGE_ID.fullmatch(text) is not None


def answering(subject: str) -> str:
    """`subject` as an answer to it: one "Re: " and no pile of other programs' prefixes."""
    while found := _ANSWER.match(subject):
        subject = subject[found.end() :]
    return f"Re: {subject.strip()}"


def _mailbox(name: str, address: str) -> str:
    """RFC 5322 3.4: name-addr, or the bare addr-spec where there is no name."""
    if len(address) > _LONGEST_TOKEN or not _ADDRESS.fullmatch(address):
        raise ValueError(f"not an ASCII address: {address!r}")
    name = _clean(name, "display name").strip()
    return f"{_phrase(name)} <{address}>" if name else address


def _phrase(name: str) -> str:
    fits = len(name) <= _LINE and "=?" not in name
    if fits and _PHRASE.fullmatch(name):
        return name
    if fits and _ASCII.fullmatch(name):
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "\r\n ".join(_encoded_words(name, first=_WORD - 8))


def _unstructured(text: str, *, first: int) -> str:
    text = _clean(text, "subject")
    words = text.split(" ")
    # Empty words are runs of blanks, which unfolding may lose; "=?" would be decoded.
    if _ASCII.fullmatch(text) and "=?" not in text and all(0 < len(word) <= _LONGEST_TOKEN for word in words):
        return text
    return "\r\n ".join(_encoded_words(text, first=first)) if text else ""


def _encoded_words(text: str, *, first: int) -> Iterator[str]:
    """RFC 2047 words of `text`, the first at most `first` long and the rest 75; no character is split."""
    kind, spell = _spelling(text)
    room = first - len(f"=?utf-8?{kind}??=")
    word = ""
    for character in text:
        if word and len(spell(word + character)) > room:
            yield f"=?utf-8?{kind}?{spell(word)}?="
            word, room = "", _WORD - len(f"=?utf-8?{kind}??=")
        word += character
    yield f"=?utf-8?{kind}?{spell(word)}?="


def _spelling(text: str) -> tuple[str, Callable[[str], str]]:
    return ("q", _q) if len(_q(text)) <= len(_b(text)) else ("b", _b)


def _q(text: str) -> str:
    return "".join(
        chr(byte) if byte in _Q_PLAIN else "_" if byte == 0x20 else f"={byte:02X}" for byte in text.encode("utf-8")
    )


def _b(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def _folded(name: str, value: str) -> str:
    """The field, broken at blanks so that its lines have at most 76 characters where that is possible."""
    lines: list[str] = []
    for given in f"{name}: {value}".split("\r\n"):
        line = given
        while len(line) > _LINE and (cut := _blank(line)) > 0:
            lines.append(line[:cut])
            line = line[cut:]
        lines.append(line)
    return "\r\n".join(lines)


def _blank(line: str) -> int:
    """Where to break: the last blank that fits, else the first one; never one that would leave a line blank."""
    # The blank after the name stays: some readers take a first line without a value for an empty field.
    start = line.find(": ") + 2 if ": " in line[:20] else 1
    cut = line.rfind(" ", start, _LINE + 1)
    return cut if cut > 0 else line.find(" ", start)


def _thread(in_reply_to: str | None, references: tuple[str, ...]) -> Iterator[str]:
    if in_reply_to is None:
        if references:
            raise ValueError("References without In-Reply-To")
        return
    ids = [*(_id(each) for each in references if each != in_reply_to), _id(in_reply_to)]
    if len(ids) > _REFERENCES:
        ids = [ids[0], *ids[1 - _REFERENCES :]]
    yield f"In-Reply-To: {in_reply_to}"
    yield "References: " + "\r\n ".join(ids)


def _id(text: str) -> str:
    if not is_message_id(text):
        raise ValueError(f"not a Message-ID in angle brackets: {text!r}")
    return text


def _own(name: str, value: str) -> str:
    if not _FIELD_NAME.fullmatch(name) or name.lower() in _OURS or len(name) > _LINE:
        raise ValueError(f"not a name for a header of our own: {name!r}")
    if not value.strip() or not _ASCII.fullmatch(value) or len(value) > _LONGEST_TOKEN:
        raise ValueError(f"not a value for a header of our own: {value!r}")
    return f"{name}: {value.strip()}"


def _clean(text: str, field: str) -> str:
    """`text`, if nothing in it can end a line; every control character is refused, for none belongs there."""
    if not _ASCII.fullmatch(text) and any(unicodedata.category(character) in _BREAKING for character in text):
        raise ValueError(f"a {field} has no control character and no line separator: {text!r}")
    return text


# Cc holds CR, LF, NUL and U+0085; Zl and Zp are U+2028 and U+2029; a lone surrogate (Cs) has no UTF-8.
_BREAKING: Final = frozenset({"Cc", "Zl", "Zp", "Cs"})
_BROKEN_BODY: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _lines(body: str) -> str:
    """The body with LF for CRLF and one at its end; ValueError for any other line separator or control character."""
    body = body.replace("\r\n", "\n")
    if found := _BROKEN_BODY.search(body):
        raise ValueError(f"a body has lines that end in LF or CRLF and no {found[0]!r}")
    return body if body.endswith("\n") else body + "\n"


def _encoded(body: str) -> tuple[str, bytes]:
    """The transfer encoding that fits (RFC 2045 6) and the body in it."""
    raw = body.encode("utf-8")
    if raw.isascii() and not _NEEDS_ENCODING.search(raw):
        return "7bit", raw.replace(b"\n", b"\r\n")
    quoted = binascii.b2a_qp(raw, istext=True)
    if len(quoted) <= len(raw) * 3 // 2:
        # A mailbox file would take "From " at the start of a line for the next message.
        return "quoted-printable", _FROM.sub(b"=46rom ", quoted).replace(b"\n", b"\r\n")
    # RFC 2045 6.8: the canonical form, with CRLF, is what base64 encodes.
    return "base64", base64.encodebytes(raw.replace(b"\n", b"\r\n")).replace(b"\n", b"\r\n")


_FROM: Final = re.compile(rb"^From ", re.MULTILINE)
# Too long a line, a blank at its end, or "From " at its start.
_NEEDS_ENCODING: Final = re.compile(rb"[^\n]{77}|[ \t]$|^From ", re.MULTILINE)
