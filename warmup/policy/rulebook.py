"""The rules by which servers' words are read, out of the TOML files beside: one rule is one habit or one standard.

A rule matches where all it asks holds: its `pattern` in the folded words, its `status` (without class, whole parts:
"7" holds for 7.1), its `code`, its `action`. The first that matches decides, in the order of `_FILES`: what is known
exactly, then statuses that say clearly what happened, then words, then what a bare status or code leaves over.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

_FILES: Final = ("known", "statuses", "words", "subjects")
ANYBODY: Final = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One habit or standard: what it asks, what it says, who says so. Its words of cause and scope are not checked."""

    cause: str
    source: str
    pattern: re.Pattern[str] | None = None
    status: tuple[str, ...] = ()
    code: tuple[int, ...] = ()
    scope: str | None = None
    advice: str | None = None
    provider: str = ANYBODY
    hard: bool = False
    greylisted: bool = False
    wait: timedelta | None = None

    def matches(self, code: int, subject: str, words: str) -> bool:
        """Whether all it asks holds; `subject` is a status without its class, `words` are folded."""
        if self.code and code not in self.code:
            return False
        if self.status and not any(subject == said or subject.startswith(f"{said}.") for said in self.status):
            return False
        return self.pattern is None or self.pattern.search(words) is not None


def folded(text: str) -> str:
    """`text` as patterns want it: lower case, no accents, plain quotes and dashes, single blanks."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return " ".join(bare.translate(_PLAIN).lower().split())


_PLAIN: Final = {ord(odd): plain for odd, plain in zip("‘’‛`´“”„–—‑", "'''''\"\"\"---", strict=True)}


@cache
def rules(*, without: str | None = None) -> tuple[Rule, ...]:
    """All rules in the order in which they are asked; `without` leaves one provider's out."""
    read = (rule_of(entry) for name in _FILES for entry in _entries(name))
    return tuple(rule for rule in read if rule.provider != without)


def first_match(asked: Iterable[Rule], *, code: int, subject: str, words: str) -> Rule | None:
    """The first rule that matches, or None."""
    return next((rule for rule in asked if rule.matches(code, subject, words)), None)


def rule_of(entry: Mapping[str, Any]) -> Rule:
    """A rule out of its TOML table. Raises TypeError for an unknown key."""
    said = dict(entry)
    pattern, minutes = said.pop("pattern", None), said.pop("wait_minutes", None)
    for many in ("status", "code"):
        said[many] = tuple(said.get(many, ()))
    return Rule(
        pattern=None if pattern is None else re.compile(_unaccented(pattern)),
        wait=None if minutes is None else timedelta(minutes=minutes),
        **said,
    )


def _unaccented(pattern: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", pattern) if not unicodedata.combining(char))


def _entries(name: str) -> list[dict[str, Any]]:
    path = files("warmup.policy.rules") / f"{name}.toml"
    found: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))["rule"] if path.is_file() else []
    return found
