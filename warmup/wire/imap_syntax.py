"""Bytes of an IMAP server into responses, and responses into values: no socket, no await, bounded memory.

A server may send anything. What it sends is read in one pass without recursion; what would not fit is cut (literals, at
`LITERAL_KEPT`) or refused (`TooLarge`); what makes no sense becomes values nobody asks for.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from warmup.wire.errors import ProtocolError, TooLarge

LITERAL_KEPT = 65_536
_LITERAL_ANNOUNCED = 64 * 2**20
_LINE_KEPT = 8 * 2**20
_KEPT_A_COMMAND = 24 * 2**20
_LINES_A_COMMAND = 100_000
# Only SEARCH answers in long lines, and those are no values: what is parsed is short, and not much of it.
TEXT_PARSED = 128 * 1024
_VALUES_PARSED = 10_000
_TEXT_A_COMMAND = 2 * 2**20
_DEPTH = 50

_LITERAL = re.compile(rb"~?\{(\d{1,18})\+?\}$")
# Human text may end in braces: in a status response nothing is a literal (RFC 3501 resp-text).
_STATUS = re.compile(rb"(?:\+|\S+ (?:OK|NO|BAD|BYE|PREAUTH)\b)", re.IGNORECASE)
_TAGGED = re.compile(rb"([A-Za-z0-9]+) (OK|NO|BAD)(?: (.*))?$", re.IGNORECASE | re.DOTALL)
_UNTAGGED = re.compile(rb"\* (?:(\d{1,10}) )?([A-Za-z][A-Za-z0-9-]*)[ ]?", re.IGNORECASE)
_CODE = re.compile(rb"\[([A-Za-z][A-Za-z0-9.\-]*)(?: ([^\]]*))?\]")
_TOKEN = re.compile(
    # No blank is matched: a token is searched for, and a long run of blanks is walked through once.
    rb"""(?:
        (?P<open>\() | (?P<close>\))
      | "(?P<quoted>(?:[^"\\]|\\.)*)"
      | "(?P<broken>.*)                                        # a quote that never ends
      | (?P<atom>(?:BODY|BINARY)(?:\.PEEK)?\[[^\]]{0,1000}\](?:<\d+>)? | [^\s()"]+)
    )""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


class Atom(bytes):
    """A bare word. A string, quoted or literal, is plain bytes."""

    __slots__ = ()


Value = bytes | None | list["Value"]


@dataclass(frozen=True)
class Response:
    """One response: text, literal, text, literal, … text."""

    parts: tuple[bytes, ...]

    @property
    def line(self) -> bytes:
        """The text before the first literal."""
        return self.parts[0]

    @property
    def number(self) -> int | None:
        """12 of "* 12 FETCH"."""
        found = _UNTAGGED.match(self.line)
        return int(found[1]) if found and found[1] else None

    @cached_property
    def name(self) -> str:
        """FETCH of "* 12 FETCH", LIST of "* LIST", in upper case; empty where it is not untagged."""
        found = _UNTAGGED.match(self.line)
        return found[2].decode("ascii").upper() if found else ""

    @property
    def text(self) -> bytes:
        """What follows the name, up to the first literal."""
        found = _UNTAGGED.match(self.line)
        return self.line[found.end() :] if found else self.line

    @property
    def values(self) -> list[Value]:
        """What follows the name, parsed; raises ProtocolError where it is long or nested beyond reason."""
        return parse_values((self.text, *self.parts[1:]))

    @property
    def code(self) -> tuple[str, str]:
        """The response code and its argument, ("UIDNEXT", "7"); empty words where there is none."""
        return code_of(self.text)

    @property
    def tagged(self) -> tuple[str, str, bytes] | None:
        """Tag, OK | NO | BAD, and the text; None for any other response."""
        found = _TAGGED.match(self.line)
        return (found[1].decode("ascii"), found[2].decode("ascii").upper(), found[3] or b"") if found else None


def code_of(text: bytes) -> tuple[str, str]:
    """The response code `text` begins with and its argument; empty words where there is none."""
    found = _CODE.match(text)
    return (found[1].decode("ascii").upper(), (found[2] or b"").decode("ascii", "replace")) if found else ("", "")


class ResponseReader:
    """Cuts a stream into responses. One command's worth is bounded; `next_command` begins a new count."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._parts: list[bytes] = []
        self._literal = bytearray()
        self._literal_left = 0
        self._kept = 0
        self._count = 0

    def next_command(self) -> None:
        """Count from nothing again."""
        self._kept = 0
        self._count = 0

    def feed(self, data: bytes) -> list[Response]:
        """The responses that `data` completes; raises TooLarge, after which the stream cannot be read on."""
        self._buffer += data
        done: list[Response] = []
        while self._literal_left or self._buffer:
            if self._literal_left:
                if not self._take_literal():
                    break
            else:
                line = self._take_line()
                if line is None:
                    break
                self._end_line(line, done)
        return done

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched > _LINE_KEPT:
                raise TooLarge("the IMAP server sent a line without end")
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        self._searched = 0
        self._keep(len(line))
        return line

    def _end_line(self, line: bytes, done: list[Response]) -> None:
        self._count += 1
        if self._count > _LINES_A_COMMAND:
            raise TooLarge(f"the IMAP server sent more than {_LINES_A_COMMAND} lines to one command")
        self._parts.append(line)
        literal = None if _STATUS.match(self._parts[0]) else _LITERAL.search(line[-24:])
        if literal is not None:
            self._parts[-1] = line[: -len(literal[0])]
            self._begin_literal(int(literal[1]))
            return
        if any(self._parts):
            done.append(Response(tuple(self._parts)))
        self._parts = []

    def _begin_literal(self, size: int) -> None:
        if size > _LITERAL_ANNOUNCED:
            raise TooLarge(f"the IMAP server announced {size} bytes at once")
        self._literal = bytearray()
        self._literal_left = size
        if size == 0:
            self._parts.append(b"")

    def _take_literal(self) -> bool:
        size = min(self._literal_left, len(self._buffer))
        keep = min(size, LITERAL_KEPT - len(self._literal))
        self._keep(keep)
        self._literal += self._buffer[:keep]
        del self._buffer[:size]
        self._literal_left -= size
        if self._literal_left:
            return False
        self._parts.append(bytes(self._literal))
        return True

    def _keep(self, size: int) -> None:
        self._kept += size
        if self._kept > _KEPT_A_COMMAND:
            raise TooLarge(f"the IMAP server answered one command with more than {_KEPT_A_COMMAND} bytes")


def values_of(responses: Iterable[Response], name: str) -> Iterator[list[Value]]:
    """The values of every response of that name; raises ProtocolError where they are too many to be an answer."""
    text = 0
    for response in responses:
        if response.name == name:
            text += sum(map(len, response.parts[::2]))
            if text > _TEXT_A_COMMAND:
                raise ProtocolError(f"the IMAP server answered with more than {_TEXT_A_COMMAND} bytes of {name}")
            yield response.values


def parse_values(parts: tuple[bytes, ...]) -> list[Value]:
    """The values in alternating text and literals: Atom, string, None for NIL, list. Missing brackets are forgiven."""
    if sum(map(len, parts[::2])) > TEXT_PARSED:
        raise ProtocolError(f"the IMAP server answered in a line of more than {TEXT_PARSED} bytes")
    root: list[Value] = []
    stack = [root]
    left = _VALUES_PARSED
    for index, part in enumerate(parts):
        if index % 2:
            stack[-1].append(part)
            left -= 1
        else:
            left -= _parse_text(part, stack, left)
        if left < 0:
            raise ProtocolError(f"the IMAP server answered with more than {_VALUES_PARSED} values at once")
    return root


def _parse_text(text: bytes, stack: list[list[Value]], most: int) -> int:
    """Parse onto `stack`; how many tokens there were, at most one more than `most`."""
    count = 0
    for count, token in enumerate(_TOKEN.finditer(text), 1):
        if count > most:
            break
        match token.lastgroup:
            case "open":
                inner: list[Value] = []
                stack[-1].append(inner)
                stack.append(inner)
                if len(stack) > _DEPTH:
                    raise ProtocolError("the IMAP server nests its answer beyond reason")
            case "close":
                if len(stack) > 1:
                    stack.pop()
            case "quoted":
                stack[-1].append(re.sub(rb"\\(.)", rb"\1", token["quoted"], flags=re.DOTALL))
            case "broken":
                stack[-1].append(token["broken"])
            case _:
                stack[-1].append(None if token["atom"].upper() == b"NIL" else Atom(token["atom"]))
    return count
