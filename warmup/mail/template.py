"""The little language that grammars are written in.

Plain text with four signs: `{a|b|}` one of several (nothing, too), `<rule>` another rule's line and `<2-3 rule>` two or
three different ones in any order, `$detail` or `$detail.field` a fact drawn once for the whole message, `¶` a new
paragraph. A template is compiled once; what cannot be read raises TemplateError and says where.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

_TOKEN: Final = re.compile(
    r"(?P<sign>[{|}])"
    r"|<(?:(?P<least>\d{1,2})-(?P<most>\d{1,2}) )?(?P<rule>[a-z][a-z0-9_]*)>"
    r"|\$(?P<detail>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)"
    r"|(?P<text>[^{|}<>$]+)"
    r"|(?P<stray>[<>$])"
)
_DEEPEST: Final = 12


class TemplateError(ValueError):
    """A template that cannot be read; its text says what and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of `options`, each as likely as the others."""

    options: tuple["Template", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """From `least` to `most` different lines of `rule`, with a blank between them."""

    rule: str
    least: int = 1
    most: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A detail of the message, by its key (`day` or `day.field`)."""

    key: str


Node: TypeAlias = str | Choice | Call | Mention
Template: TypeAlias = tuple[Node, ...]


def compiled(text: str) -> Template:
    """The template that `text` spells; TemplateError where a brace is open or a sign stands alone."""
    reader = _Reader(text)
    template = reader.sequence(depth=0)
    if reader.sign is not None:
        raise TemplateError(f"“{reader.sign}” stands outside of braces in {text!r}; write alternatives as {{one|two}}")
    return template


def nodes(template: Template) -> Iterator[Call | Mention]:
    """Every call and mention in `template`, nested ones too."""
    for node in template:
        match node:
            case Choice():
                for option in node.options:
                    yield from nodes(option)
            case Call() | Mention():
                yield node
            case str():
                pass


class _Reader:
    """Reads one template from left to right; `sign` is the one the last sequence ended at."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.finditer(text)
        self.sign: str | None = None

    def sequence(self, *, depth: int) -> Template:
        if depth > _DEEPEST:
            raise TemplateError(f"braces go deeper than {_DEEPEST} in {self._text!r}; make a rule of the inner part")
        found: list[Node] = []
        for token in self._tokens:
            self.sign = token["sign"]
            if self.sign == "{":
                found.append(self._choice(depth=depth))
            elif self.sign:
                return tuple(found)
            else:
                found.append(self._plain(token))
        self.sign = None
        return tuple(found)

    def _choice(self, *, depth: int) -> Choice:
        options = []
        self.sign = "|"
        while self.sign == "|":
            options.append(self.sequence(depth=depth + 1))
        if self.sign != "}":
            raise TemplateError(f"a brace is not closed in {self._text!r}; add “}}”")
        self.sign = None
        return Choice(options=tuple(options))

    def _plain(self, token: re.Match[str]) -> Node:
        if token["text"]:
            return token["text"]
        if token["detail"]:
            return Mention(key=token["detail"])
        if token["stray"]:
            raise TemplateError(
                f"“{token['stray']}” alone means nothing in {self._text!r}; write <rule>, <2-3 rule> or $detail"
            )
        least, most = int(token["least"] or 1), int(token["most"] or 1)
        if not least <= most or not most:
            raise TemplateError(f"{token[0]} asks for from {least} to {most} lines; write <2-3 {token['rule']}>")
        return Call(rule=token["rule"], least=least, most=most)
