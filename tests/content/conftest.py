"""The shipped grammars and the messages a daemon would draw from them."""

import random
from collections.abc import Callable

import pytest

from warmup.content import Grammars, shipped
from warmup.mail.grammar import Grammar, Text, say

Draw = Callable[[list[Grammar], int], list[Text]]


@pytest.fixture(scope="session")
def grammars() -> Grammars:
    return shipped()


@pytest.fixture(scope="session")
def draw() -> Draw:
    def drawn(choice: list[Grammar], count: int) -> list[Text]:
        """`count` messages between the same two people, the hardest case; every third answers an earlier one."""
        rng = random.Random(20261124)
        openers: dict[str, Text] = {}
        texts: list[Text] = []
        for number in range(count):
            grammar = rng.choice(choice)
            seed = random.Random(rng.getrandbits(64))
            earlier = openers.get(grammar.name) if number % 3 == 2 else None
            about = earlier.about if earlier else None
            text = say(grammar, seed, sender_name="Clara Weiss", recipient_name="Jon Petit", reply_to=about)
            if earlier is None:
                openers[grammar.name] = text
            texts.append(text)
        return texts

    return drawn
