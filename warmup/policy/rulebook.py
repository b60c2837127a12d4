"""The rules by which servers' words are read, out of the TOML files beside: one rule is one habit or one standard.

A rule matches where all it asks holds: its `pattern` in the folded words, its `status` (without class, whole parts:
"7" holds for 7.1), its `code`, its `action`. The first that matches decides, in the order of `_FILES`: what is known
exactly, then statuses that say clearly what happened, then words, then what a bare status or code leaves over.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

from warmup.mail.folding import unaccented

_FILES: Final = ("known", "words", "statuses", "hints", "subjects")
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
    advice: str = ""  # a key of advice.toml
    provider: str = ANYBODY
    bare: bool = False  # holds only where no status was said
    hard: bool = False
    greylisted: bool = False
    wait: timedelta | None = None

    def matches(self, code: int, subject: str, words: str) -> bool:
        """Whether all it asks holds; `subject` is a status without its class, `words` are folded."""
        if (self.code and code not in self.code) or (self.bare and subject):
            return False
        if self.status and not any(subject == said or subject.startswith(f"{said}.") for said in self.status):
            return False
        return self.pattern is None or self.pattern.search(words) is not None


@cache
def rules() -> tuple[Rule, ...]:
    """All rules in the order in which they are asked."""
    return tuple(rule_of(entry) for entry in entries())


def first_match(asked: Iterable[Rule], *, code: int, subject: str, words: str) -> Rule | None:
    """The first rule that matches, or None."""
    return next((rule for rule in asked if rule.matches(code, subject, words)), None)


def rule_of(entry: Mapping[str, Any]) -> Rule:
    """A rule out of its TOML table. Raises TypeError for an unknown key."""
    said = dict(entry)
    patterns, minutes = said.pop("pattern", []), said.pop("wait_minutes", None)
    pattern = "|".join([patterns] if isinstance(patterns, str) else patterns)
    for many in ("status", "code"):
        said[many] = tuple(said.get(many, ()))
    return Rule(
        pattern=re.compile(unaccented(pattern)) if pattern else None,
        wait=None if minutes is None else timedelta(minutes=minutes),
        **said,
    )


@cache
def advice_for(key: str, cause: str) -> str:
    """The sentence under `key`; where that is empty, the one for `cause`. Raises KeyError for one that is not there."""
    said = _table("advice")
    found: str = said["advice"][key] if key else said["cause"][cause]
    return found


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((files("warmup.policy.rules") / f"{name}.toml").read_text("utf-8"))


def entries() -> tuple[dict[str, Any], ...]:
    """The tables out of which the rules are made, in their order."""
    return tuple(entry for name in _FILES for entry in _table(name)["rule"])
