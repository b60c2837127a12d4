"""Which messages are answered, and who opens threads."""

import random
from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.mailbox import AccountId, MailboxId, SlotId
from warmup.policy.pairing import SEED_DAILY, Correspondent
from warmup.policy.thread import (
    ANSWER_WITHIN,
    LISTENING,
    REPLY_SHARE,
    Unanswered,
    is_listening,
    replies,
    thread_length,
)

TODAY = date(2026, 11, 24)
YESTERDAY = TODAY - timedelta(days=1)
LANES = ("gmail", "outlook")


def thread_of(length: int) -> str:
    """The id of a thread that is to have at least so many messages."""
    return next(str(number) for number in range(10_000) if thread_length(str(number)) >= length)


def message(
    number: int,
    *,
    thread: str = "",
    sender: int = 0,
    provider: str = "gmail",
    seen_on: date = YESTERDAY,
    length: int = 1,
) -> Unanswered:
    sender = sender or number
    return Unanswered(
        slot_id=SlotId(number),
        thread_id=thread or f"thread {number}",
        sender=Correspondent(id=MailboxId(sender), account_id=AccountId(sender), domain="d.test", provider=provider),
        seen_on=seen_on,
        length=length,
    )


messages = st.lists(
    st.builds(
        message,
        st.integers(1, 500),
        thread=st.integers(0, 60).map(str),
        sender=st.integers(1, 9),
        provider=st.sampled_from(LANES),
        seen_on=st.integers(-8, 1).map(lambda days: TODAY + timedelta(days=days)),
        length=st.integers(1, 6),
    ),
    max_size=60,
    unique_by=lambda one: one.slot_id,
)
rooms = st.dictionaries(st.sampled_from(LANES), st.integers(0, 30))


@given(messages, rooms, st.booleans(), st.integers())
def test_an_answer_is_to_something_seen_before_today_and_has_a_place_in_its_lane(
    unanswered: list[Unanswered], room: dict[str, int], listening: bool, seed: int
) -> None:
    chosen = replies(unanswered, room, random.Random(seed), on=TODAY, listening=listening)
    assert all(TODAY - ANSWER_WITHIN <= one.seen_on < TODAY for one in chosen)
    assert all(n <= room.get(lane, 0) for lane, n in Counter(one.sender.provider for one in chosen).items())
    assert max(Counter(one.sender.id for one in chosen).values(), default=0) <= SEED_DAILY
    assert len({one.thread_id for one in chosen}) == len(chosen)
    assert all(one.length < max(2 if listening else 1, thread_length(one.thread_id)) for one in chosen)
    assert listening or len(chosen) <= sum(room.values()) * REPLY_SHARE + 1


@given(messages, rooms, st.integers())
def test_the_order_of_what_was_received_changes_nothing(
    unanswered: list[Unanswered], room: dict[str, int], seed: int
) -> None:
    mixed = random.Random(seed).sample(unanswered, len(unanswered))
    first = replies(unanswered, room, random.Random(seed), on=TODAY, listening=False)
    assert first == replies(mixed, room, random.Random(seed), on=TODAY, listening=False)


def test_about_three_in_ten_messages_are_answers_where_there_is_enough_to_answer() -> None:
    unanswered = [message(number) for number in range(1, 200)]
    total = sum(
        len(replies(unanswered, {"gmail": 4, "outlook": 3}, random.Random(seed), on=TODAY, listening=False))
        for seed in range(500)
    )
    assert 0.28 < total / (500 * 7) < 0.32


def test_listening_answers_all_there_is_room_for() -> None:
    unanswered = [message(number) for number in range(1, 20)]
    assert len(replies(unanswered, {"gmail": 4}, random.Random(1), on=TODAY, listening=True)) == 4


def test_what_came_in_today_or_long_ago_is_not_answered() -> None:
    for seen_on in (TODAY, TODAY - ANSWER_WITHIN - timedelta(days=1)):
        late = message(1, thread=thread_of(2), seen_on=seen_on)
        assert replies([late], {"gmail": 100}, random.Random(1), on=TODAY, listening=False) == ()


def test_a_thread_ends_at_its_length() -> None:
    thread = thread_of(3)
    open_ = message(1, thread=thread, length=2)
    over = message(2, thread=thread, length=thread_length(thread))
    assert replies([open_], {"gmail": 100}, random.Random(1), on=TODAY, listening=False) == (open_,)
    assert replies([over], {"gmail": 100}, random.Random(1), on=TODAY, listening=False) == ()


def test_a_thread_gets_one_answer_a_day() -> None:
    thread = thread_of(3)
    both = [message(1, thread=thread), message(2, thread=thread)]
    assert len(replies(both, {"gmail": 100}, random.Random(1), on=TODAY, listening=False)) == 1


def test_most_threads_have_one_to_three_messages_and_none_more_than_five() -> None:
    lengths = Counter(thread_length(f"{number:024x}") for number in range(4000))
    assert set(lengths) == {1, 2, 3, 4, 5}
    assert sum(lengths[n] for n in (1, 2, 3)) > 0.8 * 4000
    assert lengths[1] > lengths[2] > lengths[3] > lengths[4] > lengths[5]


@pytest.mark.parametrize(
    ("age", "others", "listens"),
    [
        (0, [30], True),
        (2, [30, 0], True),
        (3, [30], False),
        (0, [], False),
        (0, [0, 2], False),
        (1, [3], True),
    ],
)
def test_a_new_mailbox_listens_where_older_ones_write_to_it(age: int, others: list[int], listens: bool) -> None:
    assert timedelta(days=3) == LISTENING
    enrolled = [TODAY - timedelta(days=days) for days in others]
    assert is_listening(TODAY - timedelta(days=age), TODAY, others=enrolled) is listens


def test_listening_lasts_as_long_as_it_is_told() -> None:
    week_ago = [TODAY - timedelta(days=7)]
    assert not is_listening(TODAY - timedelta(days=1), TODAY, others=week_ago, lasting=timedelta(days=1))
    assert not is_listening(TODAY, TODAY, others=week_ago, lasting=timedelta(days=0))
    assert not is_listening(TODAY, TODAY, others=week_ago, lasting=timedelta(days=8))
