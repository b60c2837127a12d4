"""Authentication-Results as receivers write them (RFC 8601, and ARC's of RFC 8617), and as some break it.

Promise: any text gives a value and never an exception, in time and memory linear in what is looked at. Whether to
believe it is not decided here: a header says who wrote it (`authserv_id`), and anybody can write one.

Microsoft leaves the authserv-id out and puts bare domains between the results; Yahoo writes `from=` before a method;
others quote what needs no quotes; forwarding leaves quoted-printable (`=3D`) behind. All are read by one rule: a result
is the `word=word` at the head of a part, and what stands behind it are its properties.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

MOST_CHARACTERS: Final = 65_536
MOST_RESULTS: Final = 200
_NAME: Final = re.compile(
    r"\A\s{0,99}(?:ARC-|X-(?:\w{1,40}-){0,4})?Authentication-Results(?:-Original)?\s*:", re.IGNORECASE | re.ASCII
)
_QUOTED_PRINTABLE: Final = re.compile(r"\w=3D\w", re.ASCII)
_ESCAPE: Final = re.compile(r"=(?:(3D|20|09)|\r?\n|\Z)")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[;=]|[^\s;="]+', re.DOTALL)
_WORD: Final = re.compile(r"[a-z][a-z0-9_-]*\Z", re.ASCII)
# RFC 8617 4.1.1: ARC's instance goes before the authserv-id.
_INSTANCE: Final = re.compile(r"\A\s*i\s*=\s*[0-9]+\s*;", re.ASCII)
# RFC 8601 2.7 with its registry, and what receivers add: these begin a result even where a semicolon is missing.
_METHODS: Final = frozenset(
    [
        "arc",
        "auth",
        "bimi",
        "compauth",
        "dkim",
        "dkim-adsp",
        "dkim-atps",
        "dmarc",
        "dnswl",
        "domainkeys",
        "iprev",
        "rrvs",
        "sender-id",
        "smime",
        "spf",
        "vbr",
    ]
)
# Words before `=` that are no methods: Yahoo's sender, Microsoft's and everybody's remarks.
_NO_METHODS: Final = frozenset({"from", "action", "reason", "policy"})

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """One method and its result, lower-cased, with its properties ("smtp.mailfrom", "reason", …) as written."""

    method: str
    result: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthResults:
    """What one header says, in its order; `authserv_id` is None where it does not say who wrote it."""

    authserv_id: str | None
    results: tuple[MethodResult, ...] = ()


def read_auth_results(value: str) -> AuthResults:
    """What the header `value`, with or without its name, says. At most its first 64 KiB are looked at."""
    body = _INSTANCE.sub("", _uncommented(_plain(_NAME.sub("", value[:MOST_CHARACTERS], count=1))), count=1)
    authserv_id: str | None = None
    results: list[MethodResult] = []
    before: dict[str, str] = {}
    for place, part in enumerate(_parts(body)):
        if place == 0:
            authserv_id, part = _writer(part)
        for found in _results(_pairs(part)):
            match found:
                case MethodResult():
                    results.append(_with(found, before))
                    before = {}
                case (name, said):
                    before.setdefault(name, said)
    return AuthResults(authserv_id=authserv_id, results=tuple(results[:MOST_RESULTS]))


def _results(pairs: list[Pair]) -> Iterator[MethodResult | Pair]:
    """The results of one part, and the pairs that stand before the first."""
    method, result, properties = "", "", dict[str, str]()
    for place, (name, said) in enumerate(pairs):
        key = name.lower().partition("/")[0]
        if _begins(key, said.lower(), is_head=place == 0 or not method):
            if method:
                yield MethodResult(method=method, result=result, properties=properties)
            method, result, properties = key, said.lower(), {}
        elif method:
            properties.setdefault(key, said)
        else:
            yield key, said
    if method:
        yield MethodResult(method=method, result=result, properties=properties)


def _begins(key: str, said: str, *, is_head: bool) -> bool:
    is_result = key not in _NO_METHODS and bool(_WORD.match(key) and _WORD.match(said))
    return is_result and (is_head or key in _METHODS)


def _with(result: MethodResult, before: Mapping[str, str]) -> MethodResult:
    if not before:
        return result
    return MethodResult(method=result.method, result=result.result, properties={**before, **result.properties})


def _plain(body: str) -> str:
    """`body` without the quoted-printable that a mail program left in it."""
    if not _QUOTED_PRINTABLE.search(body):
        return body
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", body)


def _uncommented(body: str) -> str:
    """`body` with a blank for each comment (RFC 5322 3.2.2: they nest); one that never ends takes the rest."""
    depth, is_quoted, is_escaped = 0, False, False
    kept: list[str] = []
    for character in body:
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif character == '"' and not depth:
            is_quoted = not is_quoted
        elif character == "(" and not is_quoted:
            depth += 1
        elif character == ")" and depth:
            depth -= 1
            character = " "
        if not depth:
            kept.append(character)
    return "".join(kept)


def _parts(body: str) -> Iterator[list[tuple[str, bool]]]:
    """The tokens between semicolons outside quotes, each with whether a blank stands before it."""
    part: list[tuple[str, bool]] = []
    end = 0
    for token in _TOKEN.finditer(body):
        if token[0] == ";":
            yield part
            part = []
        else:
            part.append((token[0], token.start() > end))
        end = token.end()
    yield part


def _writer(part: list[tuple[str, bool]]) -> tuple[str | None, list[tuple[str, bool]]]:
    """The authserv-id where the header begins with one, and what stands behind it.

    Only the very first word can be it: further on stands what the sender may have chosen.
    """
    is_named = bool(part) and part[0][0] != "=" and (len(part) == 1 or part[1][0] != "=")
    return (_unquoted(part[0][0]).lower(), part[1:]) if is_named else (None, part)


def _pairs(part: list[tuple[str, bool]]) -> list[Pair]:
    """The `name=value` pairs of a part; words that belong to none (a version number, a bare domain) are passed over."""
    pairs: list[Pair] = []
    place = 0
    while place < len(part):
        word = part[place][0]
        place += 1
        if place < len(part) and part[place][0] == "=" and word != "=":
            said, place = _value(part, place + 1)
            pairs.append((_unquoted(word), said))
    return pairs


def _value(part: list[tuple[str, bool]], place: int) -> tuple[str, int]:
    """The value that begins at `place`, signs and words without a blank between them, and where it ends.

    `smtp.mailfrom= header.from=x` has an empty value: the next word is a name.
    """
    if place >= len(part) or (part[place][1] and place + 1 < len(part) and part[place + 1][0] == "="):
        return "", place
    said = [_unquoted(part[place][0])]
    place += 1
    while place < len(part) and not part[place][1]:
        said.append(_unquoted(part[place][0]))
        place += 1
    return "".join(said), place


def _unquoted(token: str) -> str:
    if not token.startswith('"'):
        return token
    inner = token[1:-1] if token.endswith('"') and len(token) > 1 else token[1:]
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)
