"""What FETCH, LIST and SEARCH answered, as values. In any order, literal or quoted, with gaps."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from warmup.mail.folder import Folder, decode_name, special_use
from warmup.wire.imap_syntax import Atom, Response, Value, values_of

# No file system keeps a longer one; we keep names.
_LONGEST_NAME = 4_096
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_INTERNALDATE = re.compile(r"\s*(\d{1,2})-([A-Za-z]{3})-(\d{4})\s+(\d\d):(\d\d):(\d\d)(?:\s+([+-])(\d\d):?(\d\d))?\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A message as far as we read it.

    `internaldate` is aware UTC, None where the server's made no sense; `size` is in bytes; `flags` are in lower case;
    `header` is the raw bytes of the fields that were asked for, at most 64 KiB.
    """

    uid: int
    internaldate: datetime | None = None
    size: int | None = None
    flags: frozenset[str] = frozenset()
    header: bytes = field(default=b"", repr=False)


def headers(responses: Iterable[Response], *, uids: frozenset[int], with_body: bool) -> tuple[Header, ...]:
    """The messages of `uids`, ascending. What a server adds on its own (flag changes of others) is left out."""
    found: dict[int, Header] = {}
    bodies: set[int] = set()
    for attributes in fetched(responses):
        uid = number_of(attributes.get("UID"))
        if uid is None or uid not in uids:
            continue
        header = _merged(found.get(uid, Header(uid=uid)), attributes)
        found[uid] = header
        if "BODY" in attributes:
            bodies.add(uid)
    return tuple(found[uid] for uid in sorted(found) if uid in bodies or not with_body)


def fetched(responses: Iterable[Response]) -> Iterator[dict[str, Value]]:
    """The attributes of every FETCH response by name; any BODY[…] is "BODY"."""
    for values in values_of(responses, "FETCH"):
        for value in values:
            if isinstance(value, list):
                yield _attributes(value)


def parse_internaldate(text: str) -> datetime | None:
    """The instant of an INTERNALDATE (RFC 3501 date-time) in UTC; no zone is taken for UTC; None where it is none."""
    found = _INTERNALDATE.fullmatch(text)
    if found is None or found[2].lower() not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[n]) for n in (1, 3, 4, 5, 6))
    offset = timedelta(hours=int(found[8] or 0), minutes=int(found[9] or 0)) * (-1 if found[7] == "-" else 1)
    try:
        # A leap second is the second before it, for us.
        month = _MONTHS.index(found[2].lower()) + 1
        local = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=timezone(offset))
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def folders(responses: Iterable[Response]) -> tuple[Folder, ...]:
    """The folders of LIST, each name once, sorted by name. A line that names none is left out."""
    found: dict[str, Folder] = {}
    for values in values_of(responses, "LIST"):
        folder = _folder(values)
        if folder is not None:
            found.setdefault(folder.name, folder)
    return tuple(found[name] for name in sorted(found))


def searched(responses: Iterable[Response]) -> tuple[int, ...]:
    """The numbers of SEARCH, ascending, each once; words that are none are left out."""
    words = (word for response in responses if response.name == "SEARCH" for word in response.text.split())
    return tuple(sorted({int(word) for word in words if word.isdigit() and len(word) <= 10}))


def sequence_set(uids: Iterable[int]) -> str:
    """`uids` the shortest way: "1:3,7"."""
    ordered = sorted(set(uids))
    starts = [uid for before, uid in pairwise([-1, *ordered]) if uid != before + 1]
    ends = [uid for uid, after in pairwise([*ordered, -1]) if after != uid + 1]
    return ",".join(str(start) if start == end else f"{start}:{end}" for start, end in zip(starts, ends, strict=True))


def number_of(value: Value) -> int | None:
    """The number in an atom, or None."""
    return int(value) if isinstance(value, Atom) and value.isdigit() and len(value) <= 19 else None


def _attributes(values: list[Value]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    position = 0
    while position + 1 < len(values):
        name = values[position]
        if isinstance(name, Atom):
            found[_attribute_name(name)] = values[position + 1]
            position += 2
        else:
            position += 1
    return found


def _attribute_name(name: Atom) -> str:
    word = name.decode("ascii", "replace").upper()
    return "BODY" if word.startswith(("BODY[", "BODY.PEEK[")) else word


def _merged(header: Header, attributes: dict[str, Value]) -> Header:
    date, size, flags, body = (attributes.get(name) for name in ("INTERNALDATE", "RFC822.SIZE", "FLAGS", "BODY"))
    return replace(
        header,
        internaldate=parse_internaldate(_text(date)) if isinstance(date, bytes) else header.internaldate,
        size=number_of(size) if size is not None else header.size,
        flags=_flags(flags) if isinstance(flags, list) else header.flags,
        header=bytes(body) if isinstance(body, bytes) else header.header,
    )


def _folder(values: list[Value]) -> Folder | None:
    match values:
        case [list(flags), delimiter, (bytes() | None) as name, *_] if (
            name != b"" and len(name or b"") <= _LONGEST_NAME
        ):
            attributes = _flags(flags)
            return Folder(
                # An astring is never NIL (RFC 3501 9): a folder may bear that name.
                name=_name(b"NIL" if name is None else name),
                flags=attributes,
                special_use=special_use(attributes),
                delimiter=_text(delimiter) or None if isinstance(delimiter, bytes) else None,
            )
        case _:
            return None


def _name(raw: bytes) -> str:
    name = decode_name(_text(raw))
    return "INBOX" if name.upper() == "INBOX" else name


def _flags(values: list[Value]) -> frozenset[str]:
    return frozenset(_text(flag).lower() for flag in values if isinstance(flag, bytes))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
