"""A world is read whole or not at all."""

import tomllib

import pytest

from warmup.world import WORLD_NAMES, World, WorldError, WorldUnknown, built_in, read_world

RECEIVER = """
name = "r"
base_spam = 0.02
quiet_volume = 8
tolerance = 1.5
pressure = 2
distrust = 3
trust = 0.6
trust_gain = 0.012
trust_loss = 0.03
memory_days = 5
defer_at = 3
"""


def world_of(text: str) -> World:
    return read_world(tomllib.loads(text))


@pytest.mark.parametrize("name", WORLD_NAMES)
def test_every_built_in_world_is_complete_and_carries_its_name(name: str) -> None:
    world = built_in(name)
    assert world.name == name
    assert world.about
    assert sum(world.weights().values()) == pytest.approx(1)


def test_the_built_in_worlds_say_what_the_model_says() -> None:
    assert built_in("strict").receiver("strict").distrust == 4
    assert built_in("new-domain").mailboxes_per_domain == 20
    assert built_in("turning").events[0].covers(31, "turning", index=0, mailboxes=1)
    assert built_in("mixed").weights() == {"gentle": 0.5, "strict": 0.25, "volume-shy": 0.25}


def test_an_unknown_world_is_answered_with_the_choices() -> None:
    with pytest.raises(WorldUnknown, match=r"no world 'gentel'; choose from gentle, strict"):
        built_in("gentel")


def test_a_receiver_takes_the_models_defaults() -> None:
    receiver = world_of(f'name = "w"\n[[receiver]]\n{RECEIVER}').receiver("r")
    assert (receiver.weight, receiver.missing, receiver.seeds, receiver.control_seeds) == (1, 0.01, 20, 2)
    assert (receiver.domain_quiet, receiver.engagement, receiver.delay_minutes) == (20, 0.35, 20)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f'name = "w"\nnmae = "x"\n[[receiver]]\n{RECEIVER}', "unknown key nmae"),
        (f'name = "w"\n[[receiver]]\n{RECEIVER}\ntrsut = 1', "receiver 'r': unknown key trsut"),
        (f'name = "w"\n[[receiver]]\n{RECEIVER}\n[[event]]\nday = 1\nshok = 1', "event: unknown key shok"),
        ('name = "w"', "at least one"),
        ('name = "w"\n[[receiver]]\nname = "r"', "missing key base_spam"),
        (f'name = "w"\n[[receiver]]\n{RECEIVER}\nweight = "much"', "weight is a number"),
        (f'name = "w"\n[[receiver]]\n{RECEIVER}\nmissing = 1.5', "missing is 0 to 1"),
        (f'name = "w"\n[[receiver]]\n{RECEIVER}\n[[receiver]]\n{RECEIVER}', "share a name"),
        (f'name = "w"\n[[receiver]]\n{RECEIVER}\n[[event]]\nday = 1\nreceiver = "q"', "no receiver 'q'"),
        (f'name = "w"\n[receiver]\n{RECEIVER}', "array of tables"),
    ],
)
def test_a_document_that_describes_no_world_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(WorldError, match=complaint):
        world_of(text)


def test_an_events_share_hits_the_first_mailboxes_only() -> None:
    event = built_in("mixed").events[0]
    hit = [event.covers(45, "strict", index=number, mailboxes=6) for number in range(6)]
    assert hit == [True, True, True, False, False, False]
    assert not event.covers(45, "gentle", index=0, mailboxes=6)
    assert not event.covers(53, "strict", index=0, mailboxes=6)
