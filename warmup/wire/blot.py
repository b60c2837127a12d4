"""What a server says, without the login it was told: an echo ends at the door, before anybody logs it or keeps it.

Servers repeat what they did not understand, and a hostile one repeats what it likes: as it was said, base64 at any
offset, escaped, wrapped over lines or cut off in the middle. Words that hold an echo are withheld whole, for what
stands beside it may be its other half; data (a header, the line of a folder) has it starred out, so that its shape
stays. The code and the status of a reply are digits, and stay.
"""

import html
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from shlex import quote as shell_quoted
from urllib.parse import quote as percent
from urllib.parse import quote_plus

from warmup.mail.status import split_status
from warmup.wire.login import Login

WITHHELD = "(the server repeated our login; its words are withheld)"

# A shorter password is found in innocent words too: it is taken out of them, and they are left.
_TELLING = 8
# So many characters in a row are no accident. Of a long token (OAuth) not every place is remembered: it takes twice as
# many of its characters then.
_PIECE = 12
_DENSE = 256
# No more than half of the shortest text that tells anything, and a letter: wherever that stands, one part is all its.
_PART = (_TELLING + 1) // 2
_SEPARATORS = re.compile(r"[\s\\'\"]+")


class _AnyOf:
    """Some texts, to be found in whatever case. Their pattern is made for the first text that needs it: most do not."""

    __slots__ = ("_longest_first", "_lowered", "_pattern")

    def __init__(self, forms: Iterable[str]) -> None:
        self._longest_first = sorted(set(forms), key=len, reverse=True)
        # Beyond ASCII letters have more relatives than their two cases: there the pattern is asked.
        is_plain = all(form.isascii() for form in self._longest_first)
        self._lowered = tuple(form.lower() for form in self._longest_first) if is_plain else None
        self._pattern: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        return bool(self._longest_first)

    def stands_in(self, text: str) -> bool:
        """True where one of them does."""
        if not self:
            return False
        if self._lowered is not None and text.isascii():
            lowered = text.lower()
            return any(form in lowered for form in self._lowered)
        return self._compiled().search(text) is not None

    def replaced_in(self, text: str, by: Callable[[str], str]) -> str:
        """The text with `by` of each that stands in it."""
        return self._compiled().sub(lambda found: by(found[0]), text) if self.stands_in(text) else text

    def _compiled(self) -> re.Pattern[str]:
        if self._pattern is None:
            self._pattern = re.compile("|".join(map(re.escape, self._longest_first)), re.IGNORECASE)
            # `re` remembers the last patterns, and so the secret, for as long as the process lives.
            re.purge()
        return self._pattern


class Blot:
    """Takes what `login` says out of what a server says; without a login nothing is taken out.

    Made for every login, and asked of every reply: what only an echo needs is made for the first reply that may be one.
    """

    __slots__ = ("_forms", "_joined", "_kept_data", "_kept_pieces", "_short", "_telling")

    def __init__(self, login: Login | None) -> None:
        self._forms = tuple(dict.fromkeys(_forms(login))) if login else ()
        squeezed = _all_squeezed(self._forms)
        self._telling = frozenset(bare for bare in squeezed if len(bare) >= _TELLING)
        self._joined = "\0".join(self._telling)
        # One or two letters would shred the text and hide nothing.
        few = zip(self._forms, squeezed, strict=True)
        self._short = _AnyOf(form for form, bare in few if len(bare) < _TELLING and len(form) > 2)
        self._kept_data: _AnyOf | None = None
        self._kept_pieces: frozenset[str] | None = None

    @property
    def _data(self) -> _AnyOf:
        if self._kept_data is None:
            self._kept_data = _AnyOf(form for form in self._forms if len(form) >= _TELLING)
        return self._kept_data

    @property
    def _pieces(self) -> frozenset[str]:
        if self._kept_pieces is None:
            self._kept_pieces = frozenset(piece for bare in self._telling for piece in _pieces(bare))
        return self._kept_pieces

    def words(self, said: str) -> str:
        """`said` without an echo: what people are shown, and what is kept of a reply."""
        if self._echoes(said):
            status, _ = split_status(said)
            return f"{status} {WITHHELD}" if status else WITHHELD
        return self._short.replaced_in(said, lambda _echo: "…")

    def data(self, raw: bytes) -> bytes:
        """`raw`, as long as it was, with every whole echo starred out."""
        if not self._data:
            return raw
        text = raw.decode("utf-8", "surrogateescape")
        if not self._data.stands_in(text):
            return raw
        starred = self._data.replaced_in(text, lambda echo: "*" * len(echo.encode("utf-8", "surrogateescape")))
        return starred.encode("utf-8", "surrogateescape")

    def finds_in(self, text: str) -> bool:
        """True where `text` holds an echo."""
        return self._echoes(text) or self._short.stands_in(text)

    def _echoes(self, said: str) -> bool:
        if not self._telling:
            return False
        bare = _squeezed(said)
        # Whatever is as long as a form, or as a piece of one, has one of these parts of the text in it.
        if not any(bare[at : at + _PART] in self._joined for at in range(0, len(bare) - _PART + 1, _PART)):
            return False
        if any(form in bare for form in self._telling):
            return True
        return any(bare[at : at + _PIECE] in self._pieces for at in range(len(bare) - _PIECE + 1))


def _forms(login: Login) -> Iterator[str]:
    """Every way the secret, or the line that carried it, may be spelled when it comes back."""
    secret, raw = login.secret, login.secret.encode()
    yield from login.secrets
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (repr(secret)[1:-1], ascii(secret)[1:-1], html.escape(secret), shell_quoted(secret))
    yield from (percent(secret, safe=""), percent(secret), quote_plus(secret), raw.hex())
    # As it stands in an IMAP string, where a backslash goes before a quote and a backslash.
    yield secret.replace("\\", r"\\").replace('"', r"\"")
    for offset in range(3):
        yield _inside_base64(raw, offset)


def _inside_base64(raw: bytes, offset: int) -> str:
    """The letters of a base64 text that tell of `raw` alone, which begins `offset` bytes after a group of three."""
    text = b64encode(b"\0" * offset + raw).decode("ascii")
    return text[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]


def _pieces(bare: str) -> Iterator[str]:
    stride = 1 if len(bare) <= _DENSE else _PIECE
    return (bare[at : at + _PIECE] for at in range(0, len(bare) - _PIECE + 1, stride))


def _all_squeezed(forms: Sequence[str]) -> list[str]:
    """Each `_squeezed`: all in one go, for one by one takes ten times as long."""
    squeezed = _squeezed("\0".join(forms)).split("\0")
    return squeezed if len(squeezed) == len(forms) else [_squeezed(form) for form in forms]


def _squeezed(text: str) -> str:
    """`text` without what lines are wrapped and quotes are escaped with, in one case, base64's two alphabets as one."""
    return _SEPARATORS.sub("", text).casefold().replace("-", "+").replace("_", "/")


NO_BLOT = Blot(None)
