"""The operator's own grammars: beside ours or in place of ours, and refused with file, reason and fix."""

import random
from pathlib import Path

import pytest

from warmup.content import ContentError, load, shipped

OWN = """
name = "nl-tuin"
language = "nl"

[rules]
subject = ["Over de $plant"]
greeting = ["Hallo $you,"]
greeting_unnamed = ["Hallo,"]
body = ["<nieuws> <2-2 zin> ¶ <2-2 zin>"]
reply = ["dank je, de $plant. <nieuws> <2-2 zin> ¶ <2-2 zin>"]
nieuws = ["de $plant {staat|groeit} {voor|achter|naast} het huis {dit|vorig} jaar {heel goed|beter|prachtig}."]
zin = [
  "{Gisteren|Vandaag|Maandag} {zagen|hoorden} wij {een|de} {merel|mus|vink} in {de oude|de jonge|de grote} boom.",
  "{Morgen|Vrijdag|Zondag} {komt|belt} {Jan|Piet|Marie} met {koek|appels|brood} en {veel|weinig} tijd.",
  "{Soms|Vaak|Nooit} {regent|waait} het {hier|bij ons|buiten} zo {hard|lang|zacht} als in {mei|juni|maart}.",
  "{De buren|De kinderen|Wij} {lezen|koken|zingen} {binnen|buiten|samen} tot {negen|tien|elf} uur {uit|in} de avond.",
]
sign_off = ["Groeten,"]

[details]
plant = ["roos", "varen", "iris"]
"""


def refused(folder: Path) -> str:
    with pytest.raises(ContentError) as error:
        load(folder)
    return "\n".join(error.value.mistakes)


def test_no_folder_means_ours_alone() -> None:
    assert load(None) == shipped()


def test_an_own_grammar_stands_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "tuin.toml").write_text(OWN, "utf-8")
    grammars = load(tmp_path)
    assert len(grammars.grammars) == len(shipped().grammars) + 1
    assert grammars.named("nl-tuin").language == "nl"
    assert grammars.pick(random.Random(0), "nl").name == "nl-tuin"


def test_an_own_grammar_takes_the_place_of_ours_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "tuin.toml").write_text(OWN.replace("nl-tuin", "en-garden"), "utf-8")
    grammars = load(tmp_path)
    assert len(grammars.grammars) == len(shipped().grammars)
    assert grammars.named("en-garden").language == "nl"


def test_an_own_grammar_may_use_our_phrases_and_its_own(tmp_path: Path) -> None:
    own = OWN.replace('sign_off = ["Groeten,"]\n', "")
    (tmp_path / "phrases").mkdir()
    (tmp_path / "phrases" / "nl.toml").write_text('[rules]\nsign_off = ["Tot ziens,"]\n', "utf-8")
    (tmp_path / "a.toml").write_text('phrases = "nl"\n' + own, "utf-8")
    (tmp_path / "b.toml").write_text('phrases = "en-casual"\n' + own.replace("nl-tuin", "nl-b"), "utf-8")
    assert {"nl-tuin", "nl-b"} <= {grammar.name for grammar in load(tmp_path).grammars}


def test_a_bad_file_is_named_with_every_mistake_and_its_fix(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(OWN, "utf-8")
    (tmp_path / "one.toml").write_text(OWN.replace("nl-tuin", "nl-een").replace("<nieuws>", "<niews>"), "utf-8")
    (tmp_path / "two.toml").write_text("name = [", "utf-8")
    (tmp_path / "three.toml").write_bytes(b"name = '\xff'")
    (tmp_path / "four.toml").write_text('phrases = "none"\n' + OWN.replace("nl-tuin", "nl-vier"), "utf-8")
    said = refused(tmp_path)
    assert f"{tmp_path / 'one.toml'}: rule body: <niews> is no rule; known are" in said
    assert f"{tmp_path / 'two.toml'}: no TOML" in said
    assert f"{tmp_path / 'three.toml'}: cannot be read" in said
    assert f"{tmp_path / 'four.toml'}: no phrase book 'none'; there are" in said
    assert "good.toml" not in said


def test_two_grammars_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(OWN, "utf-8")
    (tmp_path / "b.toml").write_text(OWN, "utf-8")
    assert "two grammars are called nl-tuin" in refused(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "gone")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<2-2 zin> ¶ <2-2 zin>", "<1-1 zin>", "words; add or take away sentences"),
        ("{koek|appels|brood}", "https://a.test", "has a link"),
    ],
)
def test_messages_that_are_too_short_or_carry_links_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "tuin.toml").write_text(OWN.replace(old, new), "utf-8")
    assert said in refused(tmp_path)


def test_a_language_or_a_name_nobody_has_is_a_clear_error() -> None:
    with pytest.raises(LookupError, match="no grammar speaks xx; there are de, en, es, fr"):
        shipped().pick(random.Random(0), "xx")
    with pytest.raises(LookupError, match="no grammar is called gone"):
        shipped().named("gone")


def test_the_same_draw_picks_the_same_grammar() -> None:
    picks = [shipped().pick(random.Random(seed), "en").name for seed in range(40)]
    assert picks == [shipped().pick(random.Random(seed), "en").name for seed in range(40)]
    assert len(set(picks)) > 4
