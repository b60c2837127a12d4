"""The grammars a daemon writes with: ours, shipped in the package, and the operator's own folder.

One TOML file is one grammar; what several share (greetings, small talk, sign-offs) stands in phrase books beside them.
Promise: everything is read before anything is used, and a bad file is named together with what is wrong and its fix.
"""

import random
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from warmup.mail.grammar import FEWEST_WORDS, MOST_WORDS, Grammar, say
from warmup.mail.rulebook import GrammarError, parse

_SAMPLES = 40


class ContentError(ValueError):
    """Grammars that cannot be used; each of `mistakes` names a file, what is wrong there and what to do."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammars:
    """All grammars in force, by name."""

    grammars: tuple[Grammar, ...]

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages there are grammars for, sorted."""
        return tuple(sorted({grammar.language for grammar in self.grammars}))

    def pick(self, rng: random.Random, language: str | None = None) -> Grammar:
        """One of the grammars, of `language` if one is said; LookupError where it has none."""
        fitting = self.grammars
        if language is not None:
            fitting = tuple(grammar for grammar in self.grammars if grammar.language == language)
        if not fitting:
            raise LookupError(f"no grammar speaks {language}; there are {', '.join(self.languages)}")
        return rng.choice(fitting)

    def without(self, names: frozenset[str]) -> "Grammars":
        """The grammars but those; all of them where none would be left, since something has to be said."""
        kept = tuple(grammar for grammar in self.grammars if grammar.name not in names)
        return Grammars(grammars=kept or self.grammars)

    def named(self, name: str) -> Grammar:
        """The grammar called `name`; LookupError where it is gone (a file of the operator's that was taken away)."""
        for grammar in self.grammars:
            if grammar.name == name:
                return grammar
        raise LookupError(f"no grammar is called {name}")


@cache
def shipped() -> Grammars:
    """The grammars of this package."""
    return Grammars(grammars=_read(files(__name__), _phrase_books(files(__name__) / "phrases")))


def load(folder: Path | None = None) -> Grammars:
    """Ours and those of `folder` (`[content] folder`); one there replaces ours of the same name.

    `folder` holds `*.toml`, and may hold phrase books of its own in `phrases/`; ours can be used too. ContentError
    names every mistake at once, also a folder that is not there or grammars that say too little or look like spam.
    """
    ours = shipped()
    if folder is None:
        return ours
    if not folder.is_dir():
        raise ContentError((f"{folder}: no such folder; make it, or leave [content] folder empty",))
    books = _phrase_books(files(__name__) / "phrases") | _phrase_books(folder / "phrases")
    own = _read(folder, books)
    mistakes = tuple(fault for grammar in own for fault in _faults(grammar, folder))
    if mistakes:
        raise ContentError(mistakes)
    replaced = {grammar.name for grammar in own}
    kept = [grammar for grammar in ours.grammars if grammar.name not in replaced]
    return Grammars(grammars=tuple(sorted([*kept, *own], key=lambda grammar: grammar.name)))


def _read(folder: Traversable, books: Mapping[str, Mapping[str, object]]) -> tuple[Grammar, ...]:
    """Every grammar in `folder`, sorted by name."""
    mistakes: list[str] = []
    grammars = []
    for file in _toml_files(folder):
        try:
            grammars.append(_grammar(file, books))
        except ContentError as error:
            mistakes += error.mistakes
    twice = [name for name, count in Counter(grammar.name for grammar in grammars).items() if count > 1]
    mistakes += [f"{folder}: two grammars are called {name}; give one of them another name" for name in twice]
    if mistakes:
        raise ContentError(tuple(mistakes))
    return tuple(sorted(grammars, key=lambda grammar: grammar.name))


def _grammar(file: Traversable, books: Mapping[str, Mapping[str, object]]) -> Grammar:
    source = _document(file)
    wanted = source.get("phrases")
    if wanted is not None and wanted not in books:
        raise ContentError((f"{file}: no phrase book {wanted!r}; there are {', '.join(sorted(books))}",))
    try:
        return parse(source, phrases=books[str(wanted)] if wanted is not None else None)
    except GrammarError as error:
        raise ContentError(tuple(f"{file}: {mistake}" for mistake in error.mistakes)) from error


def _phrase_books(folder: Traversable) -> dict[str, Mapping[str, object]]:
    if not folder.is_dir():
        return {}
    return {file.name.removesuffix(".toml"): _document(file) for file in _toml_files(folder)}


def _toml_files(folder: Traversable) -> Iterator[Traversable]:
    return (file for file in sorted(folder.iterdir(), key=lambda file: file.name) if file.name.endswith(".toml"))


def _document(file: Traversable) -> Mapping[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError((f"{file}: cannot be read ({error}); it is to be a UTF-8 file",)) from error
    except tomllib.TOMLDecodeError as error:
        raise ContentError((f"{file}: no TOML ({error}); mend that line",)) from error


def _faults(grammar: Grammar, folder: Path) -> Iterator[str]:
    """What is wrong with the messages of a grammar rather than with its spelling, judged by samples."""
    where = f"{folder}: grammar {grammar.name}"
    openers = [say(grammar, random.Random(seed), sender_name="Ann Lee", recipient_name="Bo Roy") for seed in _SEEDS]
    answers = [
        say(grammar, random.Random(seed), sender_name="Bo Roy", recipient_name="Ann Lee", reply_to=opener.about)
        for seed, opener in zip(_SEEDS, openers, strict=True)
    ]
    bodies = [text.body for text in [*openers, *answers]]
    lengths = [len(body.split()) for body in bodies]
    if min(lengths) < FEWEST_WORDS or max(lengths) > MOST_WORDS:
        yield (
            f"{where}: messages have {min(lengths)} to {max(lengths)} words; "
            f"add or take away sentences until all have {FEWEST_WORDS} to {MOST_WORDS}"
        )
    if any(sign in text.lower() for text in bodies for sign in ("http:", "https:", "www.")):
        yield f"{where}: a message has a link; take it out, warmup mail has none"
    if len(set(bodies)) < len(bodies):
        yield f"{where}: two of {len(bodies)} messages are the same; add alternatives"


_SEEDS = range(_SAMPLES)
