"""How a grammar is written down, and what is wrong with one.

A grammar is a TOML document: `name`, `language`, `address`, `phrases`, and the tables `[rules]` and `[details]`. It is
read whole or not at all, and every mistake is named at once, each with its fix: a misspelled rule must show itself
when the file is read, not in a stranger's inbox.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from warmup.mail.grammar import Grammar
from warmup.mail.template import Call, Mention, Template, TemplateError, compiled, nodes

REQUIRED: Final = ("subject", "greeting", "greeting_unnamed", "body", "reply", "sign_off")
_KEYS: Final = frozenset({"name", "language", "address", "phrases", "rules", "details"})
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_KEY: Final = re.compile(r"[a-z][a-z0-9_]*")
_OWN_DETAILS: Final = frozenset({"me", "you"})


class GrammarError(ValueError):
    """A grammar that cannot be used; `mistakes` are all that is wrong with it, a sentence each."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def parse(source: Mapping[str, object], *, phrases: Mapping[str, object] | None = None) -> Grammar:
    """The grammar that `source` (a TOML document) spells, with the rules and details of `phrases` beneath its own.

    GrammarError names every mistake at once.
    """
    mistakes: list[str] = []
    lower = phrases or {}
    rules = _rules(lower, mistakes) | _rules(source, mistakes)
    details = _facts(lower, mistakes) | _facts(source, mistakes)
    grammar = Grammar(
        name=_word(source, "name", _NAME, mistakes, hint="small letters, digits and -, such as “en-garden”"),
        language=_word(source, "language", _LANGUAGE, mistakes, hint="a code such as “en”", lower=lower),
        address="whole" if source.get("address", lower.get("address")) == "whole" else "first",
        rules=rules,
        details=details,
    )
    mistakes += _unknown_keys(source)
    if source.get("address", lower.get("address", "first")) not in ("first", "whole"):
        mistakes.append("address is “first” (Hi Anna) or “whole” (Guten Tag Anna Berger)")
    # Names can be checked only once everything is read.
    if not mistakes:
        mistakes += [*_missing(grammar), *_unresolved(grammar), *_circles(grammar)]
    if not mistakes:
        mistakes += _unused(grammar, source)
    if mistakes:
        raise GrammarError(tuple(mistakes))
    return grammar


def _word(
    source: Mapping[str, object],
    key: str,
    form: re.Pattern[str],
    mistakes: list[str],
    *,
    hint: str,
    lower: Mapping[str, object] | None = None,
) -> str:
    value = source.get(key, (lower or {}).get(key))
    if isinstance(value, str) and form.fullmatch(value):
        return value
    mistakes.append(f"{key} is missing or not {hint}" if value is None else f"{key} is {hint}, not {value!r}")
    return ""


def _table(source: Mapping[str, object], key: str, mistakes: list[str]) -> Mapping[str, object]:
    table = source.get(key, {})
    if isinstance(table, Mapping):
        wrong = [name for name in table if not _KEY.fullmatch(name)]
        mistakes += [f"{key}.{name}: a name has small letters, digits and _" for name in wrong]
        return {name: value for name, value in table.items() if name not in wrong}
    mistakes.append(f"{key} is a table; write [{key}]")
    return {}


def _rules(source: Mapping[str, object], mistakes: list[str]) -> dict[str, tuple[Template, ...]]:
    rules: dict[str, tuple[Template, ...]] = {}
    for name, lines in _table(source, "rules", mistakes).items():
        if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
            mistakes.append(f"rule {name} is a list of lines; write {name} = [“…”, “…”]")
            continue
        rules[name] = tuple(_compiled(line, f"rule {name}", mistakes) for line in lines)
    return rules


def _facts(source: Mapping[str, object], mistakes: list[str]) -> dict[str, tuple[Mapping[str, Template], ...]]:
    details: dict[str, tuple[Mapping[str, Template], ...]] = {}
    for name, facts in _table(source, "details", mistakes).items():
        spelled = _spelled(facts)
        if spelled is None:
            mistakes.append(f"detail {name} is a list of texts, a list of tables with the same keys, or {{from, to}}")
        elif name in _OWN_DETAILS:
            mistakes.append(f"detail {name}: $me and $you are the two names; call it otherwise")
        else:
            details[name] = tuple(
                {part: _compiled(text, f"detail {name}", mistakes) for part, text in fact.items()} for fact in spelled
            )
    return details


def _spelled(facts: object) -> list[dict[str, str]] | None:
    """The facts of one detail as texts by field, or None where they are no such thing."""
    match facts:
        case {"from": int(least), "to": int(most), **rest} if not rest and 0 <= least <= most < least + 1000:
            return [{"": str(number)} for number in range(least, most + 1)]
        case list() if facts:
            fields = [_fields(fact) for fact in facts]
            same = all(each is not None and each.keys() == (fields[0] or {}).keys() for each in fields)
            return [each for each in fields if each] if same else None
        case _:
            return None


def _fields(fact: object) -> dict[str, str] | None:
    """A fact by field: a plain text has the one field ""."""
    if isinstance(fact, str):
        return {"": fact}
    if not isinstance(fact, Mapping) or not fact:
        return None
    good = all(_KEY.fullmatch(str(part)) and isinstance(text, str) for part, text in fact.items())
    return {str(part): str(text) for part, text in fact.items()} if good else None


def _compiled(text: str, where: str, mistakes: list[str]) -> Template:
    try:
        return compiled(text)
    except TemplateError as error:
        mistakes.append(f"{where}: {error}")
        return ()


def _unknown_keys(source: Mapping[str, object]) -> Iterator[str]:
    for key in source:
        if key not in _KEYS:
            yield f"unknown key {key}; known are {', '.join(sorted(_KEYS))}"


def _missing(grammar: Grammar) -> Iterator[str]:
    for rule in REQUIRED:
        if rule not in grammar.rules:
            yield f"rule {rule} is missing; every grammar has {', '.join(REQUIRED)} (or takes them from its phrases)"


def _keys(grammar: Grammar) -> set[str]:
    return {
        f"{name}.{part}" if part else name for name, facts in grammar.details.items() for part in facts[0]
    } | _OWN_DETAILS


def _unresolved(grammar: Grammar) -> Iterator[str]:
    """Calls and mentions of what is not there, or not there yet."""
    known = _keys(grammar)
    for name, lines in grammar.rules.items():
        for node in (node for line in lines for node in nodes(line)):
            yield from _wrong(node, f"rule {name}", grammar, known)
    seen: set[str] = set()
    for name, facts in grammar.details.items():
        for node in (node for fact in facts for text in fact.values() for node in nodes(text)):
            if isinstance(node, Call):
                yield f"detail {name}: <{node.rule}> is a rule; a detail may only choose and mention earlier details"
            elif node.key not in seen:
                yield f"detail {name}: ${node.key} is no earlier detail"
        seen |= {f"{name}.{part}" if part else name for part in facts[0]}


def _wrong(node: Call | Mention, where: str, grammar: Grammar, known: set[str]) -> Iterator[str]:
    if isinstance(node, Mention):
        if node.key not in known:
            yield f"{where}: ${node.key} is no detail; known are {', '.join('$' + key for key in sorted(known))}"
    elif node.rule not in grammar.rules:
        yield f"{where}: <{node.rule}> is no rule; known are {', '.join(sorted(grammar.rules))}"
    elif node.most > len(grammar.rules[node.rule]):
        yield f"{where}: {node.most} lines of <{node.rule}> are asked for, but it has {len(grammar.rules[node.rule])}"


def _callees(grammar: Grammar, rule: str) -> set[str]:
    return {node.rule for line in grammar.rules[rule] for node in nodes(line) if isinstance(node, Call)}


def _circles(grammar: Grammar) -> Iterator[str]:
    """Rules that call themselves: leaves of the call graph are taken off until none is left."""
    calls = {rule: _callees(grammar, rule) & grammar.rules.keys() for rule in grammar.rules}
    while leaves := {rule for rule, callees in calls.items() if not callees & calls.keys()}:
        calls = {rule: callees for rule, callees in calls.items() if rule not in leaves}
    if calls:
        yield f"rules go round in a circle: {', '.join(sorted(calls))}; one of them must not call the others"


def _unused(grammar: Grammar, source: Mapping[str, object]) -> Iterator[str]:
    """Rules of the grammar's own that nothing calls: most often a misspelled name."""
    reached, waiting = set[str](), list(REQUIRED)
    while waiting:
        rule = waiting.pop()
        if rule not in reached:
            reached.add(rule)
            waiting += _callees(grammar, rule)
    for rule in _table(source, "rules", []):
        if rule not in reached:
            yield f"rule {rule} is never used; call it as <{rule}> or take it out"
