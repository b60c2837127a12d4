"""What the header of a fetched message says, read with our own limits.

Promise: any bytes give a value and never an exception, in time and memory linear in 64 KiB. Where a field is doubtful
(two From fields, two authors) it is None: belief needs a clear answer. The standard library's compat32 parser splits
the fields; its newer policies raise on odd real mail, so the values are read here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import compat32
from typing import Final

MOST_BYTES: Final = 65_536
MOST_FIELDS: Final = 500
_MOST_REFERENCES: Final = 50
_MOST_AUTH_RESULTS: Final = 20
# RFC 5322 2.1.1 allows 998 a line; a value of several lines that is longer than this says nothing we need.
_LONGEST_VALUE: Final = 8_192
_PARSER: Final = BytesHeaderParser(policy=compat32)
# One that never ends goes to the end, and an address begins where its characters do: else odd mail costs n² steps.
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_ANGLED: Final = re.compile(r"<([^<>]*)>")
# A route (RFC 5322 4.4) may stand before the address.
_ROUTE: Final = re.compile(r"^@[^:]*:")
_ADDRESS: Final = re.compile(r"(?<![^\s<>()\[\],;:@\"\\])[^\s<>()\[\],;:@\"\\]+@[^\s<>()\[\],;:@\"\\]+")
_ID: Final = re.compile(r"<[^<>\s]+>")
_TYPE: Final = re.compile(r"\s*([\w.+-]+/[\w.+-]+)", re.ASCII)
_REPORT: Final = re.compile(r";\s*report-type\s*=\s*\"?([\w-]+)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The fields that matter to us; None where a field is absent or cannot be read."""

    message_id: str | None = None  # with its angle brackets, as spelled
    from_address: str | None = None  # lower-cased addr-spec of the only author
    identity: str | None = None  # the raw value of the identity header
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    content_type: str | None = None  # "type/subtype", lower-cased
    report_type: str | None = None  # of a multipart/report (RFC 6522), lower-cased
    return_path: str | None = None  # "" for the null reverse-path <>
    auto_submitted: str | None = None  # "no", "auto-replied", … (RFC 3834), lower-cased
    auth_results: tuple[str, ...] = ()  # the Authentication-Results fields (RFC 8601), topmost first


def parse_header_block(raw: bytes, *, identity_header: str | None = "X-Warmup-Id") -> Header:
    """What `raw`, a header block with or without a body after it, says; only its first 64 KiB are looked at."""
    fields = _fields(raw)
    content_type = _first(fields, "content-type") or ""
    kind, report = _TYPE.match(content_type), _REPORT.search(content_type)
    return Header(
        message_id=_only_id(_first(fields, "message-id")),
        from_address=_author(fields.get("from", [])),
        identity=_first(fields, identity_header.lower()) if identity_header else None,
        in_reply_to=_only_id(_first(fields, "in-reply-to")),
        references=tuple(_ID.findall(_first(fields, "references") or "")[-_MOST_REFERENCES:]),
        content_type=kind[1].lower() if kind else None,
        report_type=report[1].lower() if report else None,
        return_path=_reverse_path(_first(fields, "return-path")),
        auto_submitted=_keyword(_first(fields, "auto-submitted")),
        auth_results=tuple(fields.get("authentication-results", [])[:_MOST_AUTH_RESULTS]),
    )


def _fields(raw: bytes) -> dict[str, list[str]]:
    """Values by lower-cased field name, in order, unfolded and cut to a bearable length."""
    fields: dict[str, list[str]] = {}
    for _, (name, value) in zip(range(MOST_FIELDS), _items(raw[:MOST_BYTES]), strict=False):
        fields.setdefault(name.strip().lower(), []).append(_plain(value))
    return fields


def _items(raw: bytes) -> Iterator[tuple[str, str]]:
    # raw_items keeps undecodable bytes as surrogates; items() would wrap them in Header objects.
    return ((str(name), str(value)) for name, value in _PARSER.parsebytes(raw.lstrip(b"\r\n")).raw_items())


def _plain(value: str) -> str:
    unfolded = " ".join(value[:_LONGEST_VALUE].split())
    return unfolded.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _first(fields: dict[str, list[str]], name: str) -> str | None:
    values = fields.get(name)
    return values[0] if values else None


def _only_id(value: str | None) -> str | None:
    if value is None:
        return None
    found = _ID.search(value)
    if found:
        return found[0]
    # Some servers lose the brackets; one word is still an id.
    return f"<{value}>" if value and " " not in value and "<" not in value and ">" not in value else None


def _author(values: list[str]) -> str | None:
    """The one author's address: None where there are two From fields or two authors, for then nobody is meant."""
    if len(values) != 1:
        return None
    # What stands in quotes or comments is a name, whatever it looks like.
    spoken = _uncommented(_QUOTED.sub(" ", values[0]))
    places = _ANGLED.findall(spoken) or [spoken]
    found = {address.lower() for place in places for address in _ADDRESS.findall(_ROUTE.sub("", place.strip()))}
    return found.pop() if len(found) == 1 else None


def _uncommented(value: str) -> str:
    """`value` without its comments (RFC 5322 3.2.2), which nest: counted, since recursion has an end."""
    if "(" not in value:
        return value
    depth, kept = 0, []
    for character in value:
        if character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif not depth:
            kept.append(character)
    return "".join(kept)


def _reverse_path(value: str | None) -> str | None:
    if value is None:
        return None
    found = _ANGLED.search(value)
    path = _ROUTE.sub("", (found[1] if found else value).strip())
    return path.lower()


def _keyword(value: str | None) -> str | None:
    word = _uncommented(value).split(";")[0].strip().lower() if value else ""
    return word or None
