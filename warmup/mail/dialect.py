"""The habits by which servers word delivery reports, out of dialects.toml, ready to be searched for."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from warmup.mail.folding import unaccented

_NEVER: Final = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialects:
    """What to look for in the sender, the subject, the text, and lines of it (dialects.toml tells of each)."""

    sender: re.Pattern[str]
    robot: re.Pattern[str]
    subject: re.Pattern[str]
    opening: re.Pattern[str]
    auto: re.Pattern[str]
    cut: re.Pattern[str]


@cache
def dialects(*, without: frozenset[str] = frozenset()) -> Dialects:
    """All dialects together; `without` leaves those of some providers out."""
    known = tomllib.loads((files(__package__) / "dialects.toml").read_text("utf-8"))["dialect"]
    kept = [one for one in known if one["provider"] not in without]
    names = ("sender", "robot", "subject", "opening", "auto", "cut")
    patterns = {name: [said for one in kept for said in one.get(name, [])] for name in names}
    return Dialects(**{name: _any(said) for name, said in patterns.items()})


def _any(patterns: list[str]) -> re.Pattern[str]:
    said = [f"(?:{unaccented(pattern)})" for pattern in patterns]
    return re.compile("|".join(said), re.MULTILINE) if said else _NEVER
