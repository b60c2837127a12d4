"""A grammar is read whole or refused with reasons, and what it says agrees with itself."""

import contextlib
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.grammar import Grammar, Subject, say
from warmup.mail.rulebook import GrammarError, parse
from warmup.mail.template import TemplateError, compiled

SENTENCE = "the {old|new} $plant {in|behind} the garden {grows|blooms} so well that <pair> came on $day to see it."


def source(**changes: Any) -> dict[str, Any]:
    rules: dict[str, Any] = {
        "subject": ["{about|on} the $plant"],
        "greeting": ["Hello $you,"],
        "greeting_unnamed": ["Hello,"],
        "body": [f"{SENTENCE} {SENTENCE} ¶ <2-3 news>"],
        "reply": [f"yes, the $plant. {SENTENCE} ¶ <2-3 news>"],
        "news": [f"first news: {SENTENCE}", f"second news: {SENTENCE}", f"third news: {SENTENCE}"],
        "pair": ["Ann and Bo", "Cy and Di"],
        "sign_off": ["Best,"],
    }
    details = {"plant": ["rose", "iris", "fern"], "day": ["Monday", "Friday"]}
    return {
        "name": "test-garden",
        "language": "en",
        "rules": rules | changes.pop("rules", {}),
        "details": details | changes.pop("details", {}),
    } | changes


def grammar(**changes: Any) -> Grammar:
    return parse(source(**changes))


def mistakes(written: dict[str, Any]) -> str:
    with pytest.raises(GrammarError) as refused:
        parse(written)
    return "\n".join(refused.value.mistakes)


@given(st.integers())
def test_the_same_draws_give_the_same_text(seed: int) -> None:
    first, second = (
        say(grammar(), random.Random(seed), sender_name="Ann Lee", recipient_name="Bo Roy") for _ in range(2)
    )
    assert first == second


@given(st.integers())
def test_nothing_of_the_notation_is_left(seed: int) -> None:
    text = say(grammar(), random.Random(seed), sender_name="Ann", recipient_name="Bo")
    assert not re.search(r"[{}<>|$¶]|  ", text.subject + text.body)


@given(st.integers())
def test_subject_body_and_answer_speak_of_one_thing(seed: int) -> None:
    rng = random.Random(seed)
    opener = say(grammar(), rng, sender_name="Ann", recipient_name="Bo")
    answer = say(grammar(), rng, sender_name="Bo", recipient_name="Ann", reply_to=opener.about)
    again = say(grammar(), rng, sender_name="Ann", recipient_name="Bo", reply_to=answer.about)
    plants = re.compile("rose|iris|fern")
    assert len({*plants.findall(opener.subject), *plants.findall(opener.body), *plants.findall(answer.body)}) == 1
    assert answer.subject == again.subject == f"Re: {opener.subject}"


@given(st.integers())
def test_lines_of_one_rule_do_not_come_twice(seed: int) -> None:
    body = say(grammar(), random.Random(seed), sender_name="Ann", recipient_name="Bo").body.lower()
    assert all(body.count(f"{ordinal} news:") <= 1 for ordinal in ("first", "second", "third"))


@given(st.integers(), st.text(max_size=40), st.text(max_size=40))
def test_any_display_name_leaves_the_draws_and_the_lines_alone(seed: int, sender: str, recipient: str) -> None:
    text = say(grammar(), random.Random(seed), sender_name=sender, recipient_name=recipient)
    plain = say(grammar(), random.Random(seed), sender_name="", recipient_name="")
    assert text.details == plain.details
    assert text.subject == plain.subject
    assert text.body.split("\n\n")[1:3] == plain.body.split("\n\n")[1:3]
    assert len(text.body.split("\n\n")) == 4


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("Bo Roy", "Hello Bo,"),
        ("Roy, Bo", "Hello Bo,"),
        ("Dr. Bo Roy", "Hello Bo,"),
        ("Bo", "Hello Bo,"),
        ("", "Hello,"),
        ("bo@seed.test", "Hello,"),
        ("  Bo \t Roy ", "Hello Bo,"),
    ],
)
def test_a_person_is_called_as_a_person_would(name: str, called: str) -> None:
    text = say(grammar(), random.Random(1), sender_name="Ann Lee", recipient_name=name)
    assert text.body.startswith(called + "\n\n")
    assert text.body.endswith("\n\nBest,\nAnn\n")


def test_a_formal_grammar_calls_by_the_whole_name() -> None:
    text = say(grammar(address="whole"), random.Random(1), sender_name="Ann Lee", recipient_name="Roy, Bo")
    assert text.body.startswith("Hello Bo Roy,")
    assert text.body.endswith("\nAnn Lee\n")


@pytest.mark.parametrize(
    ("language", "line", "set_line"),
    [
        ("en", "it 's fine . so we , you and I go ! or not ?", "it 's fine. So we, you and I go! Or not?"),
        ("en", "the dog's bed. it", "the dog’s bed. It"),
        ("fr", "l'ami vient ? « oui » ; voilà !", "l’ami vient\u00a0? «\u00a0Oui\u00a0»\u00a0; voilà\u00a0!"),
        ("es", "hola. ¿ vienes? ¡claro! sí", "hola. ¿Vienes? ¡Claro! Sí"),
        ("de", "am 12. um 10 Uhr. dann „los“", "am 12. um 10 Uhr. Dann „los“"),
    ],
)
def test_lines_are_set_as_their_language_sets_them(language: str, line: str, set_line: str) -> None:
    filler = " ".join(["word"] * 50)
    written = grammar(language=language, rules={"body": [f"{filler} ¶ {line} ¶ <1-1 news>"]})
    body = say(written, random.Random(0), sender_name="", recipient_name="").body
    assert body.split("\n\n")[2] == set_line[:1].upper() + set_line[1:]


def test_a_german_letter_goes_on_in_small_letters_after_the_comma() -> None:
    body = say(grammar(language="de"), random.Random(0), sender_name="", recipient_name="Bo").body
    assert body.split("\n\n")[1].startswith("the ")


def test_an_answer_to_a_thread_nobody_knows_draws_its_own_details() -> None:
    text = say(grammar(), random.Random(0), sender_name="", recipient_name="", reply_to=Subject(text="Re: Roses"))
    assert text.subject == "Re: Roses"
    assert text.details["plant"] in text.body


def test_details_may_be_tables_and_mention_earlier_ones() -> None:
    details = {"meal": [{"one": "pea", "many": "peas"}], "dish": ["{hot|cold} $meal.many"], "n": {"from": 3, "to": 4}}
    written = grammar(details=details, rules={"subject": ["$dish and $n $meal.one"]})
    subject = say(written, random.Random(0), sender_name="", recipient_name="").subject
    assert re.fullmatch("(Hot|Cold) peas and [34] pea", subject)


def test_phrases_lie_beneath_a_grammar_and_are_overruled_by_it() -> None:
    book = {"language": "en", "address": "whole", "rules": {"sign_off": ["Yours,"], "extra": ["unused is fine"]}}
    own = source()
    del own["language"], own["rules"]["sign_off"]
    assert parse(own, phrases=book).language == "en"
    text = say(parse(own, phrases=book), random.Random(0), sender_name="Ann Lee", recipient_name="")
    assert text.body.endswith("Yours,\nAnn Lee\n")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rules": {"body": ["<newz>"]}}, "<newz> is no rule; known are"),
        ({"rules": {"body": ["$plnt"]}}, "$plnt is no detail; known are"),
        ({"rules": {"body": ["$plant.many <news>"]}}, "$plant.many is no detail"),
        ({"rules": {"body": ["{a|b"]}}, "a brace is not closed"),
        ({"rules": {"body": ["a } b"]}}, "stands outside of braces"),
        ({"rules": {"body": ["a < b"]}}, "alone means nothing"),
        ({"rules": {"body": ["<3-2 news>"]}}, "asks for from 3 to 2 lines"),
        ({"rules": {"body": ["<2-9 news>"]}}, "9 lines of <news> are asked for, but it has 3"),
        ({"rules": {"body": []}}, "rule body is a list of lines"),
        ({"rules": {"body": "text"}}, "rule body is a list of lines"),
        ({"rules": {"news": ["<pair>"], "pair": ["<news>"]}}, "rules go round in a circle"),
        ({"rules": {"lost": ["never called"]}}, "rule lost is never used"),
        ({"rules": {"No": ["x"]}}, "a name has small letters"),
        ({"rules": {"body": ["{" * 20 + "}" * 20]}}, "braces go deeper"),
        ({"details": {"me": ["x"]}}, "$me and $you are the two names"),
        ({"details": {"plant": [{"one": "x"}, {"two": "y"}]}}, "tables with the same keys"),
        ({"details": {"plant": ["<news>"]}}, "may only choose and mention"),
        ({"details": {"plant": ["$day"]}}, "$day is no earlier detail"),
        ({"details": {"plant": {"from": 5, "to": 2}}}, "{from, to}"),
        ({"name": "Bad Name"}, "name is small letters"),
        ({"language": 3}, "language is a code"),
        ({"address": "tu"}, "address is “first”"),
        ({"rulez": {}}, "unknown key rulez"),
    ],
)
def test_a_bad_grammar_says_what_is_wrong(changes: dict[str, Any], said: str) -> None:
    assert said in mistakes(source(**changes))


def test_a_missing_rule_is_named() -> None:
    written = source()
    del written["rules"]["reply"]
    assert "rule reply is missing" in mistakes(written)


def test_all_mistakes_are_named_at_once() -> None:
    said = mistakes(source(name="", rulez={}, rules={"news": ["{"]}))
    assert all(part in said for part in ("name is", "rulez", "not closed"))


@given(st.text("ab {}|<>$¶2-3.", max_size=30))
def test_any_text_is_a_template_or_an_error(text: str) -> None:
    with contextlib.suppress(TemplateError):
        assert isinstance(compiled(text), tuple)
