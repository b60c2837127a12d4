"""New thread or reply: which received messages are answered on a date.

Answered is only what was seen up to the day before, in the inbox or rescued to it, and not answered yet. Its sender
gets the answer, which takes a place in the answerer's own lane to that sender. About three in ten messages are answers.
How long a thread gets, and how many days a message waits for its answer, was decided when it was written: both are
drawn from ids, so that waiting a day is no second draw.

A new mailbox listens first: where older senders exist it opens no threads of its own in its first days, it answers.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zlib import crc32

from warmup.policy.mailbox import SlotId
from warmup.policy.pairing import SEED_DAILY, Correspondent

REPLY_SHARE: Final = 0.3
"""Answers among all messages (FACTS, Published ramps)."""

LISTENING: Final = timedelta(days=3)
"""How long a new mailbox only answers."""

ANSWER_WITHIN: Final = timedelta(days=5)
"""Older messages are not answered any more; a weekend in between is no reason."""

# How many answers come a day, two, three … after the message was seen; people answer soon or hardly at all.
_DELAYS: Final = {1: 62, 2: 22, 3: 10, 4: 6}

_DELAYED: Final = tuple(timedelta(days=days) for days, n in _DELAYS.items() for _ in range(n))

# How many threads end with their first, second, third … message.
_LENGTHS: Final = {1: 40, 2: 30, 3: 18, 4: 8, 5: 4}

_DRAWN_LENGTHS: Final = tuple(length for length, n in _LENGTHS.items() for _ in range(n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """A message that may be answered: seen on the receiver's date `seen_on`, its thread `length` messages long."""

    slot_id: SlotId
    thread_id: str
    sender: Correspondent
    seen_on: date
    length: int


def replies(
    unanswered: Iterable[Unanswered],
    room: Mapping[str, int],
    rng: random.Random,
    *,
    on: date,
    listening: bool,
    seed_daily: int = SEED_DAILY,
) -> tuple[Unanswered, ...]:
    """What is answered on the date `on`, within each lane's `room`: one answer a thread, `seed_daily` a sender.

    Listening answers whatever there is room for, and every thread at least once.
    """
    total = sum(room.values())
    # Rounded by chance, so that small days have their share of answers too.
    wanted = total if listening else int(total * REPLY_SHARE + rng.random())
    ripe = [message for message in unanswered if _is_ripe(message, on, waits=not listening)]
    ripe.sort(key=lambda message: message.slot_id)
    rng.shuffle(ripe)
    lanes, senders, threads = Counter[str](), Counter[int](), set[str]()
    chosen: list[Unanswered] = []
    for message in ripe:
        if len(chosen) >= wanted:
            break
        sender, shortest = message.sender, 2 if listening else 1
        fits = lanes[sender.provider] < room.get(sender.provider, 0) and senders[sender.id] < seed_daily
        goes_on = message.length < max(shortest, thread_length(message.thread_id))
        if fits and goes_on and message.thread_id not in threads:
            chosen.append(message)
            lanes[sender.provider] += 1
            senders[sender.id] += 1
            threads.add(message.thread_id)
    return tuple(chosen)


def thread_length(thread_id: str) -> int:
    """How many messages the thread is to have in all; most have one to three."""
    # Not a generator's draw, as below: this is asked of as many.
    return _DRAWN_LENGTHS[crc32(b"length %s" % thread_id.encode()) % len(_DRAWN_LENGTHS)]


def is_listening(enrolled_on: date, on: date, *, others: Iterable[date], lasting: timedelta = LISTENING) -> bool:
    """True where a mailbox opens no threads yet on the date `on`.

    `others` are the dates on which the other senders were enrolled: while none of them is past listening itself,
    nobody would write first, and so everybody may.
    """
    return on < enrolled_on + lasting and any(other + lasting <= on for other in others)


def delay(slot_id: SlotId) -> timedelta:
    """How long the message waits for its answer, in days after the one it was seen on."""
    # Not a generator's draw: this is asked of every message that could be answered, and seeding one takes long.
    return _DELAYED[crc32(b"delay %d" % slot_id) % len(_DELAYED)]


def _is_ripe(message: Unanswered, on: date, *, waits: bool) -> bool:
    if not message.seen_on < on <= message.seen_on + ANSWER_WITHIN:
        return False
    return not waits or on >= message.seen_on + delay(message.slot_id)
