"""What the shipped grammars say: enough of it, no two alike, nothing that looks like bulk mail."""

import importlib.util
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from warmup.content import Grammars
from warmup.mail.grammar import FEWEST_WORDS, MOST_WORDS, Grammar, Text, say
from warmup.mail.template import Choice, Template

Draw = Callable[[list[Grammar], int], list[Text]]

_spec = importlib.util.spec_from_file_location("similarity", Path(__file__).with_name("similarity.py"))
assert _spec
assert _spec.loader
similarity = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(similarity)

LANGUAGES = ("de", "en", "es", "fr")
SPAM = re.compile(
    r"https?:|www\.|@|[$€£%]|\d{5}|"
    r"\b(free|urgent|winner|prize|cash|money|offer|click|discount|guarantee\w*|bitcoin|invoice|password|unsubscribe|"
    r"gratis|kostenlos|gewinn\w*|geld|rabatt|rechnung|dringend|angebot|passwort|"
    r"gratuit\w*|gagn\w+|argent|promo\w*|urgence|facture|cliquez|"
    r"dinero|oferta|premio|urgente|ganar|descuento|factura|clic)\b",
    re.IGNORECASE,
)
# What one register says and the other never does.
OTHER_REGISTER = {
    ("de", "first"): r"\b(Ihnen|Ihre?[mnrs]?)\b",
    ("de", "whole"): r"\b([Dd]u|[Dd]ich|[Dd]ir|[Dd]ein\w*)\b",
    ("fr", "first"): r"\b([Vv]ous (avez|pouvez|êtes)|[Vv]otre|[Vv]euillez)\b",
    ("fr", "whole"): r"\b([Tt]u|[Tt]oi|[Tt]es|[Tt]on|[Tt]a)\b",
    ("es", "first"): r"\b([Uu]sted|[Ll]e ruego|[Dd]ígame)\b",
    ("es", "whole"): r"\b([Tt]ú|[Tt]e|[Tt]us?|[Cc]ontigo|[Tt]i)\b",
}


def of(grammars: Grammars, language: str) -> list[Grammar]:
    return [grammar for grammar in grammars.grammars if grammar.language == language]


def samples(grammar: Grammar, count: int = 60) -> list[Text]:
    texts = []
    for seed in range(count):
        opener = say(grammar, random.Random(seed), sender_name="Clara Weiss", recipient_name="Jon Petit")
        rng = random.Random(seed + 1000)
        answer = say(grammar, rng, sender_name="Jon Petit", recipient_name="Clara Weiss", reply_to=opener.about)
        texts += [opener, answer]
    return texts


def test_every_language_has_several_topics_in_both_registers(grammars: Grammars) -> None:
    assert grammars.languages == LANGUAGES
    for language in LANGUAGES:
        assert len(of(grammars, language)) >= 6
    for language in ("de", "es", "fr"):
        assert {grammar.address for grammar in of(grammars, language)} == {"first", "whole"}


def test_of_10_000_messages_no_two_are_equal_and_neighbours_differ(grammars: Grammars, draw: Draw) -> None:
    texts = draw(list(grammars.grammars), 10_000)
    assert len({text.body for text in texts}) == 10_000
    alike = [value for value in similarity.nearest([text.body for text in texts]) if value > 0.5]
    assert len(alike) <= 0.01 * len(texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_language_alone_holds_out_as_long(grammars: Grammars, draw: Draw, language: str) -> None:
    texts = draw(of(grammars, language), 5_000)
    assert len({text.body for text in texts}) == len(texts)
    alike = [value for value in similarity.nearest([text.body for text in texts]) if value > 0.5]
    assert len(alike) <= 0.01 * len(texts)


def test_the_measure_sees_a_copy_with_one_word_changed() -> None:
    text = " ".join(f"word{number}" for number in range(60))
    near = text.replace("word30", "other")
    first, second, third = similarity.nearest([text, near, "something else entirely with more than five words"])
    assert first == second == pytest.approx(51 / 61)
    assert third == 0


def test_messages_have_the_length_of_a_short_letter(grammars: Grammars) -> None:
    for grammar in grammars.grammars:
        for text in samples(grammar):
            assert FEWEST_WORDS <= len(text.body.split()) <= MOST_WORDS, f"{grammar.name}: {text.body}"
            assert text.body.count("\n\n") >= 2, text.body
            assert 5 <= len(text.subject) <= 78, text.subject


def test_nothing_of_the_notation_and_no_double_sign_is_left(grammars: Grammars) -> None:
    for grammar in grammars.grammars:
        for text in samples(grammar):
            for part in (text.subject, text.body):
                left = re.search(r"[{}<>|$¶_]|  |\.\.|,,|,\.| [.,]|\?\?|[.,][A-Za-zÀ-ÿ]|\n\n\n", part)
                assert not left, f"{grammar.name}: {left} in {part}"


def test_nothing_reads_like_bulk_mail(grammars: Grammars) -> None:
    for grammar in grammars.grammars:
        for text in samples(grammar):
            for part in (text.subject, text.body):
                found = SPAM.search(part)
                assert not found, f"{grammar.name}: {found} in {part}"


def test_no_rule_of_any_grammar_uses_a_word_of_bulk_mail(grammars: Grammars) -> None:
    for grammar in grammars.grammars:
        lines = [line for rule in grammar.rules.values() for line in rule]
        lines += [text for facts in grammar.details.values() for fact in facts for text in fact.values()]
        for line in lines:
            for words in constants(line):
                assert not SPAM.search(words), f"{grammar.name}: {words}"


def test_one_message_has_one_register(grammars: Grammars) -> None:
    for grammar in grammars.grammars:
        other = OTHER_REGISTER.get((grammar.language, grammar.address))
        for line in (line for rule in grammar.rules.values() for line in rule) if other else ():
            for words in constants(line):
                assert not re.search(other or "", words), f"{grammar.name} says “{words}” in the other register"


def test_sentences_begin_with_a_capital(grammars: Grammars) -> None:
    for grammar in grammars.grammars:
        for text in samples(grammar, 20):
            assert not text.subject.removeprefix("Re: ").lstrip("«„“¿¡ \u00a0")[:1].islower(), text.subject
            small = re.search(r"[^\d.][.?!] [a-zà-ÿ]", text.body)
            assert not small, f"{grammar.name}: {small} in {text.body}"


def test_an_answer_keeps_to_its_thread(grammars: Grammars) -> None:
    for grammar in grammars.grammars:
        for opener, answer in zip(*[iter(samples(grammar, 10))] * 2, strict=True):
            assert answer.subject == f"Re: {opener.subject}"
            assert answer.details == opener.details
            assert answer.body != opener.body


def constants(template: Template) -> list[str]:
    """Every piece of fixed text in `template`."""
    found: list[str] = []
    for node in template:
        if isinstance(node, str):
            found.append(node)
        elif isinstance(node, Choice):
            found += [words for option in node.options for words in constants(option)]
    return found
