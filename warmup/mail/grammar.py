"""What a warmup message says: rules of a language, drawn into a text that agrees with itself.

A grammar has one language, one topic and one register (it says du or Sie, tu or vous, never both), and draws its
details (a day, a place, a name) once for a whole thread: subject, body and answers speak of the same. Promises: the
same grammar, draws and names give the same text; nothing of the notation is left in it; it has 40 to 180 words unless
the grammar cannot.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, assert_never

from warmup.mail.message import answering
from warmup.mail.template import Call, Choice, Mention, Template

FEWEST_WORDS: Final = 40
MOST_WORDS: Final = 180
_TRIES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grammar:
    """Rules by name, each a choice of lines; details by name, each a choice of facts (field "" is the plain value)."""

    name: str
    language: str
    address: Literal["first", "whole"]
    rules: Mapping[str, tuple[Template, ...]]
    details: Mapping[str, tuple[Mapping[str, Template], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a thread is about: its subject line, and the details its opener drew ({} if nobody knows them)."""

    text: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A message's words: `subject` is one line, `body` has paragraphs of one line each with an empty one between."""

    subject: str
    body: str
    details: Mapping[str, str]

    @property
    def about(self) -> Subject:
        """What an answer to this text hands to `say` as `reply_to`."""
        return Subject(text=self.subject, details=self.details)


def say(
    grammar: Grammar,
    rng: random.Random,
    *,
    sender_name: str,
    recipient_name: str,
    reply_to: Subject | None = None,
) -> Text:
    """A new message of `grammar`, or with `reply_to` an answer that keeps to the thread's details.

    Names are display names, "" where there is none. The draws depend on `rng` alone, and the names change no draw.
    """
    details = reply_to.details if reply_to and reply_to.details else _details(grammar, rng)
    me, you = _called(sender_name, grammar.address), _called(recipient_name, grammar.address)
    for _ in range(_TRIES):
        speaker = _Speaker(grammar, rng, {**details, "me": me, "you": you})
        subject = answering(reply_to.text) if reply_to else _begun(_tidy(speaker.line("subject"), grammar.language))
        body = _body(speaker, grammar, "reply" if reply_to else "body", me=me, you=you)
        if FEWEST_WORDS <= len(body.split()) <= MOST_WORDS:
            break
    return Text(subject=subject, body=body, details=details)


class _Speaker:
    """Expands rules with one message's details; no line of a rule comes twice before all of its lines came once."""

    def __init__(self, grammar: Grammar, rng: random.Random, details: Mapping[str, str]) -> None:
        self._rules = grammar.rules
        self._rng = rng
        self._details = details
        self._left: dict[str, list[Template]] = {}

    def line(self, rule: str) -> str:
        left = self._left.get(rule)
        if not left:
            left = list(self._rules[rule])
            self._rng.shuffle(left)
            self._left[rule] = left
        return self.text(left.pop())

    def text(self, template: Template) -> str:
        return "".join(self._node(node) for node in template)

    def _node(self, node: str | Choice | Call | Mention) -> str:
        match node:
            case str():
                return node
            case Mention():
                return self._details[node.key]
            case Choice():
                return self.text(self._rng.choice(node.options))
            case Call():
                return " ".join(self.line(node.rule) for _ in range(self._rng.randint(node.least, node.most)))
            case _:
                assert_never(node)


def _details(grammar: Grammar, rng: random.Random) -> dict[str, str]:
    """One fact for each detail, in the order they are written: a later one may mention an earlier one."""
    drawn: dict[str, str] = {}
    for name, facts in grammar.details.items():
        speaker = _Speaker(grammar, rng, drawn)
        fact = {part: speaker.text(template) for part, template in rng.choice(facts).items()}
        drawn |= {f"{name}.{part}" if part else name: text for part, text in fact.items()}
    return drawn


def _called(name: str, address: Literal["first", "whole"]) -> str:
    """How to call somebody with this display name; "" if it has none, or an address in its place."""
    words = name.replace('"', " ").split()
    if not words or "@" in name:
        return ""
    if len(words) > 1 and words[0].endswith(","):  # "Berger, Anna"
        words = [*words[1:], words[0].rstrip(",")]
    titles = {"dr.", "prof.", "mr.", "mrs.", "ms.", "herr", "frau", "dr", "mr", "mrs", "ms", "m.", "mme", "sr.", "sra."}
    while len(words) > 1 and words[0].lower() in titles:
        words = words[1:]
    return words[0] if address == "first" else " ".join(words)


def _body(speaker: _Speaker, grammar: Grammar, rule: str, *, me: str, you: str) -> str:
    greeting = _tidy(speaker.line("greeting" if you else "greeting_unnamed"), grammar.language)
    paragraphs = [_tidy(part, grammar.language) for part in speaker.line(rule).split("¶")]
    paragraphs = [part for part in paragraphs if part]
    # After "Hallo Anna," a German sentence goes on in small letters, as its author wrote it; all others begin anew.
    goes_on = grammar.language == "de" and greeting.endswith(",")
    paragraphs[goes_on:] = [_begun(part) for part in paragraphs[goes_on:]]
    sign_off = _tidy(speaker.line("sign_off"), grammar.language)
    return "\n\n".join([greeting, *paragraphs, f"{sign_off}\n{me}" if me else sign_off]) + "\n"


def _begun(text: str) -> str:
    """`text` with a capital at its start."""
    return text[:1].upper() + text[1:]


_SENTENCE: Final = re.compile(r"((?<![\d.])[.?!][”»“)]? (?:[¿¡„“«(]\s?)?|^[¿¡])([^\W\d_])")
_BEFORE: Final = re.compile(r"\s+([,.])")
_BEFORE_HIGH: Final = re.compile(r"\s+([?!;:])")
_AFTER_OPENING: Final = re.compile(r"([¿¡])\s+")
_APOSTROPHE: Final = re.compile(r"(?<=\w)'(?=\w)")


def _tidy(text: str, language: str) -> str:
    """The line as a careful person would set it: blanks, capitals after a full stop, apostrophes, French spacing."""
    text = _BEFORE.sub(r"\1", " ".join(text.split()))
    text = _APOSTROPHE.sub("’", _AFTER_OPENING.sub(r"\1", text))
    text = _SENTENCE.sub(lambda found: found[1] + found[2].upper(), text)
    if language == "fr":
        return _BEFORE_HIGH.sub("\u00a0\\1", text).replace("« ", "«\u00a0").replace(" »", "\u00a0»")
    return _BEFORE_HIGH.sub(r"\1", text)
