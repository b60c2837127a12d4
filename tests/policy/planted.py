"""Small fleets with one thing wrong, made by the dice and not by the model that is to find it out."""

import random
from dataclasses import dataclass
from datetime import date, timedelta

from warmup.policy.attribution import Suspect, Trial

FIRST = date(2026, 3, 2)
MOODS = (Suspect.MAILBOX, Suspect.DOMAIN, Suspect.RECEIVER)
PLANTED = (Suspect.SEED, Suspect.GRAMMAR, *MOODS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What was sent, in order, and who is guilty (None: nobody)."""

    trials: list[Trial]
    suspect: Suspect | None
    name: str

    @property
    def innocents(self) -> set[str]:
        """The seeds that did nothing."""
        return {trial.seed for trial in self.trials} - ({self.name} if self.suspect is Suspect.SEED else set())


def planted(suspect: Suspect | None, rng: random.Random, *, after: int = 150) -> Story:
    """A fleet of two or three domains and two to four receivers, whose ordinary spam is 0.5 to 6 %.

    A mood begins after up to 150 quiet messages, a bad seed or grammar is bad from the first; then come `after` more,
    of which what is planted puts 60 to 95 % away.
    """
    boxes = [f"m{n}@d{d}.test" for d in range(rng.randint(2, 3)) for n in range(rng.randint(2, 3))]
    receivers = [f"r{n}" for n in range(rng.randint(2, 4))]
    seeds = [f"s{n}@{receiver}" for receiver in receivers for n in range(rng.randint(3, 8))]
    grammars = [f"g{n}" for n in range(rng.randint(6, 28))]
    ordinary = {receiver: rng.uniform(0.005, 0.06) for receiver in receivers}
    rate, quiet, daily = rng.uniform(0.6, 0.95), rng.randint(0, 150) if suspect in MOODS else 0, rng.randint(8, 25)
    guilty = _names(rng.choice(boxes), rng.choice(seeds), rng.choice(grammars))
    trials = []
    for number in range(quiet + after):
        box, seed, grammar = rng.choice(boxes), rng.choice(seeds), rng.choice(grammars)
        names = _names(box, seed, grammar)
        is_hit = suspect is not None and number >= quiet and names[suspect] == guilty[suspect]
        strays = rng.random() < (rate if is_hit else ordinary[names[Suspect.RECEIVER]])
        trials.append(
            Trial(
                day=FIRST + timedelta(days=number // daily),
                mailbox=box,
                domain=names[Suspect.DOMAIN],
                receiver=names[Suspect.RECEIVER],
                seed=seed,
                grammar=grammar,
                harm=1.0 if strays else 0.5 if rng.random() < 0.01 else 0.0,
            )
        )
    return Story(trials=trials, suspect=suspect, name=guilty[suspect] if suspect else "")


def _names(box: str, seed: str, grammar: str) -> dict[Suspect, str]:
    return {
        Suspect.MAILBOX: box,
        Suspect.DOMAIN: box.partition("@")[2],
        Suspect.RECEIVER: seed.partition("@")[2],
        Suspect.SEED: seed,
        Suspect.GRAMMAR: grammar,
    }
