"""A message taken apart into its parts, with our own limits.

Promise: any bytes give a value and never an exception, in time linear in the first 512 KiB. Line ends may be CR, LF or
CRLF. A multipart whose boundary does not occur (real bounces have wrong ones, or say nothing of being multipart) is
divided by the boundary its body shows. What is enclosed as a message is a part with its own header inside its body: it
is somebody's returned mail and is not entered.
"""

import binascii
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 524_288
MOST_PARTS: Final = 40
MOST_TEXT: Final = 65_536
_MOST_DEPTH: Final = 5
_MOST_LINES: Final = 2_000  # of a header
_LONGEST_VALUE: Final = 8_192
_FIELD: Final = re.compile(rb"([!-9;-~]{1,200})[ \t]{0,20}:(.*)", re.DOTALL)
_BOUNDARY: Final = re.compile(r"boundary\s*=\s*(?:\"([^\"]{1,200})\"|([^\s;\"]{1,200}))", re.IGNORECASE)
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE | re.ASCII)
_TYPE: Final = re.compile(r"\s*([\w.+-]{1,80}/[\w.+-]{1,80})", re.ASCII)
# A line of dashes with a name, and a field of a part behind it: a boundary that no header announced.
_SHOWN: Final = re.compile(rb"^--([^\n]{1,200})\n(?=content-[a-z-]{1,40}:)", re.IGNORECASE | re.MULTILINE)
# Names of real character sets: Python knows codecs that are none, and some take long.
_KNOWN_CHARSET: Final = re.compile(
    r"(utf-?8|us-?ascii|ascii|latin-?1|(iso|windows|koi8|gb|big5|euc|shift|cp|x-sjis|ks_c|tis)[\w-]{0,20})\Z",
    re.IGNORECASE,
)
_ENCODED: Final = re.compile(r"=\?([\w.:-]{1,40})(?:\*\w{1,8})?\?([BbQq])\?([^?\s]{0,1000})\?=", re.ASCII)
_BETWEEN: Final = re.compile(r"\?=\s{1,9}=\?")
_TAG: Final = re.compile(r"<[^<>]*>")
_BREAK: Final = re.compile(r"<(?:br|p|/p|/div|/tr|/li|/h[1-6]|hr)\b[^<>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: its fields by lower-cased name, its type ("text/plain"), its body as it came (LF line ends)."""

    fields: Mapping[str, tuple[str, ...]]
    content_type: str
    body: bytes

    def first(self, name: str) -> str:
        """The first value of field `name`, or nothing."""
        return self.fields.get(name, ("",))[0]

    def words(self, name: str) -> str:
        """The first value of field `name` with its encoded words (RFC 2047) decoded."""
        return _ENCODED.sub(_decoded_word, _BETWEEN.sub("?==?", self.first(name)[:2_000]))

    def decoded(self) -> bytes:
        """The body without its transfer encoding; as it came where that does not work out."""
        encoding = self.first("content-transfer-encoding").strip().lower()
        if encoding == "quoted-printable":
            return binascii.a2b_qp(self.body)
        if encoding == "base64":
            try:
                return _lines(binascii.a2b_base64(self.body))
            except binascii.Error:
                return self.body
        return self.body

    def text(self) -> str:
        """The body as text, markup taken out; at most 64 Ki characters of it."""
        found = _CHARSET.search(self.first("content-type"))
        said = decode(self.decoded()[: 4 * MOST_TEXT], found[1] if found else "")
        return (_unmarked(said) if self.content_type == "text/html" else said)[:MOST_TEXT]


def message(raw: bytes) -> Part:
    """The whole of `raw` as one part."""
    return _part(_lines(raw[:MOST_BYTES]).lstrip(b"\n"))


def leaves(whole: Part) -> tuple[Part, ...]:
    """The parts of `whole` that hold no others, in their order; itself, where it is not divided."""
    return tuple(part for _, part in zip(range(MOST_PARTS), _walk(whole, 0), strict=False))


def decode(said: bytes, charset: str) -> str:
    """`said` as text: in `charset` if that is one and fits, else as UTF-8, else byte by byte."""
    if b"\x1b$" in said or b"\x1b(" in said:
        charset = "iso-2022-jp"  # whatever the header says, these escapes are Japanese
    for name in (charset, "utf-8"):
        if _KNOWN_CHARSET.match(name):
            try:
                return said.decode(name)
            except (UnicodeDecodeError, LookupError):
                continue
    return said.decode("utf-8", "replace") if _KNOWN_CHARSET.match(charset) else said.decode("latin-1")


def _decoded_word(found: re.Match[str]) -> str:
    said = found[3].encode("utf-8", "surrogateescape")
    try:
        raw = binascii.a2b_base64(said) if found[2] in "Bb" else binascii.a2b_qp(said, header=True)
    except binascii.Error:
        return found[0]
    return decode(raw, found[1])


def _walk(part: Part, depth: int) -> Iterator[Part]:
    inner = _inner(part) if depth < _MOST_DEPTH else []
    if not inner:
        yield part
    for piece in inner:
        yield from _walk(_part(piece), depth + 1)


def _inner(part: Part) -> list[bytes]:
    """The pieces of a multipart; none where `part` is something else."""
    is_multipart = part.content_type.startswith("multipart/")
    if not is_multipart and part.fields.get("content-type"):
        return []
    named = _BOUNDARY.search(part.first("content-type"))
    marks = [(named[1] or named[2]).encode("latin-1", "replace")] if named else []
    marks += [shown[1].rstrip() for shown in [_SHOWN.search(part.body)] if shown]
    for mark in marks:
        pieces = _divided(part.body, mark)
        if len(pieces) > 1 or (pieces and is_multipart):
            return pieces
    return []


def _divided(body: bytes, mark: bytes) -> list[bytes]:
    """The pieces of `body` between its lines `--mark`, with what stands before the first where that says anything."""
    mark = b"--" + mark
    pieces: list[bytes] = []
    place, start, is_last = 0, 0, False
    while not is_last and (place := body.find(mark, place)) >= 0 and len(pieces) < MOST_PARTS:
        end = body.find(b"\n", place)
        end = len(body) if end < 0 else end
        rest = body[place + len(mark) : end].strip()
        if (place == 0 or body[place - 1 : place] == b"\n") and rest in (b"", b"--"):
            pieces.append(body[start:place])
            start, is_last = end + 1, rest == b"--"
        place = end
    if not pieces:
        return []
    if not is_last:
        pieces.append(body[start:])
    preamble = pieces.pop(0)
    # What says nothing but that this is MIME is not for us; a preamble that tells of a failure is.
    return ([b"\n" + preamble] if len(preamble) > 200 else []) + pieces


def _part(raw: bytes) -> Part:
    fields, body = _head(raw)
    found = _TYPE.match(fields.get("content-type", ("",))[0])
    return Part(fields=fields, content_type=found[1].lower() if found else "text/plain", body=body)


def _head(raw: bytes) -> tuple[dict[str, tuple[str, ...]], bytes]:
    """The fields at the head of `raw`, unfolded, and what stands behind them."""
    fields: dict[str, tuple[str, ...]] = {}
    name, value, place = "", b"", 0
    for _ in range(_MOST_LINES):
        end = raw.find(b"\n", place)
        line = raw[place:] if end < 0 else raw[place:end]
        found = _FIELD.match(line)
        if not (found or (name and line[:1] in (b" ", b"\t")) or (place == 0 and line.startswith(b"From "))):
            place = place if line.strip() else (len(raw) if end < 0 else end + 1)
            break
        if found:
            _keep(fields, name, value)
            name, value = found[1].decode("ascii").lower(), found[2]
        elif len(value) < _LONGEST_VALUE:
            value += b" " + line
        place = len(raw) if end < 0 else end + 1
        if end < 0:
            break
    _keep(fields, name, value)
    return fields, raw[place:]


def _keep(fields: dict[str, tuple[str, ...]], name: str, value: bytes) -> None:
    if name:
        said = " ".join(decode(value[:_LONGEST_VALUE], "").split())
        fields[name] = (*fields.get(name, ()), said)[:20]


def _lines(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _unmarked(markup: str) -> str:
    """The text of an HTML page: no tags, no style sheets, a line for every line."""
    kept: list[str] = []
    rest = markup
    while (place := rest.lower().find("<style")) >= 0 and len(kept) < 20:
        kept.append(rest[:place])
        end = rest.lower().find("</style", place)
        rest = rest[end:] if end >= 0 else ""
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", "".join([*kept, rest]))))
