"""Carries one domain's messages to the modelled world, and brings back what a sender may see of their fate.

What a sender sees: the server's answer at once, a placement after its delay, a missing message after a day, a message
moved to spam when it was moved, a complaint when the message was read. What only measures see goes into the `Tally`.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from heapq import heappush
from typing import Final

from warmup.cli.simulation.setting import MINUTES, Setting, instant
from warmup.cli.simulation.tally import Tally
from warmup.mail import answer
from warmup.policy.attention import MISSING_AFTER
from warmup.policy.blame import is_objection
from warmup.policy.evidence import Sign
from warmup.policy.retry import next_try
from warmup.world import Deferred, Folder, Placed, Receiver, Refused, WorldState

GRAMMARS: Final = 12
"""How many texts the letters are drawn from; each has its own `content` at a receiver."""

_GRACE: Final = timedelta(minutes=30)
_UNSEEN: Final = MISSING_AFTER / timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is known of the message handed over at `at` (minutes), on the lane, from `known_at` on.

    `number` tells the lane's messages apart: of two that say something of the same one, the later holds.
    """

    known_at: float
    at: float
    lane: int
    number: int
    sign: Sign
    control: bool

    def __lt__(self, other: "Learnt") -> bool:
        return (self.known_at, self.lane, self.number) < (other.known_at, other.lane, other.number)


class Post:
    """The world's door for the mailboxes of one domain. `unseen` is what will be known, a heap by `known_at`."""

    def __init__(self, setting: Setting, boxes: range) -> None:
        self._seed = setting.seed
        self._state = WorldState(setting.world, seed=setting.seed, mailboxes=setting.names)
        self._lanes = [(box, receiver) for box in boxes for receiver in setting.world.receivers]
        self._names = setting.names
        self._written = [0] * len(self._lanes)
        self._contents = {
            receiver.name: [self._state.content_of(f"grammar-{number}", receiver.name) for number in range(GRAMMARS)]
            for receiver in setting.world.receivers
            if receiver.content_spread
        }
        self.unseen: list[Learnt] = []

    def send(self, lane: int, now: float, due: float, ordinal: int, tally: Tally) -> float | None:
        """Hand one message over; when it is to be tried again, in minutes, or None."""
        box, rules = self._lanes[lane]
        if ordinal == 1:
            self._written[lane] += 1
        number = self._written[lane]
        seed = (number + box) % rules.seeds
        control = seed >= rules.seeds - rules.control_seeds
        contents = self._contents.get(rules.name)
        verdict = self._state.deliver(
            self._names[box],
            f"s{seed}",
            rules.name,
            now=now,
            content=contents[(number * 5 + box) % GRAMMARS] if contents else 0.0,
            engages=not control,
        )
        match verdict:
            case Placed():
                self._placed(verdict, Learnt(now, now, lane, number, Sign.INBOX, control), rules, tally)
                return None
            case Deferred():
                again = self._again(verdict, lane, now, due, ordinal)
                if again is None:
                    tally.deferred += 1
                    self._rebuff(verdict, Learnt(now, now, lane, number, Sign.REBUFF, control))
                return again
            case Refused():
                tally.refused += 1
                self._rebuff(verdict, Learnt(now, now, lane, number, Sign.REBUFF, control))
                return None

    def true_spam(self, lane: int, now: float) -> float:
        """The probability that a stranger's next message would go to spam: for measures alone."""
        box, rules = self._lanes[lane]
        return self._state.true_spam(self._names[box], rules.name, now=now)

    def _placed(self, placed: Placed, seen: Learnt, rules: Receiver, tally: Tally) -> None:
        tally.sent += 1
        tally.complaints += placed.complaint
        truth = placed.spam_probability
        if placed.known and 0 < rules.known_inbox < 1:
            truth /= 1 - rules.known_inbox
        tally.expected_spam += truth
        if tally.true_spam is None or truth > tally.true_spam:
            tally.true_spam = truth
        is_spam = placed.folder is Folder.SPAM
        if placed.folder is Folder.MISSING:
            tally.missing += 1
            self._will_know(seen, _UNSEEN, Sign.MISSING)
        else:
            tally.spam += is_spam
            tally.inbox += not is_spam
            self._will_know(seen, placed.visible_after, Sign.SPAM if placed.folder is Folder.SPAM else Sign.INBOX)
        if placed.resorted_after is not None:
            self._will_know(seen, placed.resorted_after, Sign.MOVED)
        if placed.complaint:
            self._will_know(seen, placed.visible_after, Sign.COMPLAINT)
        if not placed.known:
            tally.strangers += 1
            tally.stranger_spam += is_spam

    def _will_know(self, seen: Learnt, minutes: float, sign: Sign) -> None:
        heappush(self.unseen, Learnt(seen.at + minutes, seen.at, seen.lane, seen.number, sign, seen.control))

    def _rebuff(self, verdict: Deferred | Refused, seen: Learnt) -> None:
        if is_objection(_reply(verdict)):
            heappush(self.unseen, seen)

    def _again(self, deferral: Deferred, lane: int, now: float, due: float, ordinal: int) -> float | None:
        again = next_try(
            answer.Deferred(reply=_reply(deferral)),
            ordinal=ordinal,
            now=instant(now),
            due_at=instant(due),
            grace=_GRACE,
            rng=random.Random(f"{self._seed}/{self._lanes[lane][0]}/{lane}/{due}/{ordinal}"),
        )
        return None if again is None else (again - instant(0.0)) / timedelta(days=1) * MINUTES


def _reply(verdict: Deferred | Refused) -> answer.Reply:
    return answer.Reply(code=verdict.code, status=verdict.status, text=verdict.text)
