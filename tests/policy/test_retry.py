"""Which deferrals are tried again, when, and which are given up."""

import random
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.answer import Deferred, Reply
from warmup.policy.retry import Patience, next_try, patience

DUE = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
GRACE = timedelta(minutes=30)


def deferred(code: int, status: str | None = None, text: str = "") -> Deferred:
    return Deferred(reply=Reply(code=code, status=status, text=text))


LOST = Deferred(reply=None, reason="connection lost before the final dot")
GREYLISTED = deferred(451, "4.7.1", "Greylisted, please try again later")


def tries(deferral: Deferred, seed: int) -> list[datetime]:
    """The instants of all attempts of a slot that is always deferred, with the same answer."""
    rng = random.Random(seed)
    found = [DUE]
    while at := next_try(deferral, ordinal=len(found), now=found[-1], due_at=DUE, grace=GRACE, rng=rng):
        found.append(at)
    return found


class Drawn(random.Random):
    """Chance that always says the same: `share` of what may be added."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def random(self) -> float:
        return self.share


def minutes(deferral: Deferred, *, share: float) -> list[float]:
    """When it is tried, in minutes after it was due, if chance adds `share` of what it may."""
    found = [DUE]
    while at := next_try(deferral, ordinal=len(found), now=found[-1], due_at=DUE, grace=GRACE, rng=Drawn(share)):
        found.append(at)
    return [(at - DUE) / timedelta(minutes=1) for at in found]


@pytest.mark.parametrize(
    ("deferral", "made"),
    [
        (LOST, [0, 1, 3, 7, 15]),
        (GREYLISTED, [0, 6, 18]),
        (deferred(451, "4.3.0"), [0, 5, 15]),
    ],
)
def test_every_wait_is_twice_the_one_before(deferral: Deferred, made: list[float]) -> None:
    assert minutes(deferral, share=0.0) == made


def test_a_wait_is_stretched_by_half_at_the_most_and_never_past_grace() -> None:
    assert minutes(GREYLISTED, share=1.0) == [0, 9, 9 + 18]
    assert minutes(deferred(451, "4.3.0"), share=1.0) == [0, 7.5, 7.5 + 15]
    late = DUE + timedelta(minutes=23)
    tried = partial(next_try, ordinal=1, due_at=DUE, grace=GRACE, rng=Drawn(1.0))
    assert tried(GREYLISTED, now=late) == DUE + GRACE
    # To the last moment, and not beyond.
    assert tried(LOST, now=DUE + timedelta(minutes=29)) == DUE + GRACE
    assert tried(LOST, now=DUE + timedelta(minutes=29, seconds=1)) is None


@pytest.mark.parametrize(
    ("deferral", "taken"),
    [
        (LOST, Patience.SOON),
        (GREYLISTED, Patience.GREYLISTED),
        (deferred(450, "4.2.0", "Recipient address rejected: Greylisted"), Patience.GREYLISTED),
        (deferred(450, None, "graylisting in action"), Patience.GREYLISTED),
        (deferred(450, "4.7.1", "Service unavailable"), Patience.GREYLISTED),
        (deferred(421, "4.7.1", "Access denied, closing connection"), Patience.NOT_TODAY),
        (deferred(421, "4.7.0", "[TSS04] Messages temporarily deferred due to user complaints"), Patience.NOT_TODAY),
        (deferred(421, "4.7.28", "Our system has detected an unusual rate"), Patience.NOT_TODAY),
        (
            deferred(450, "4.2.1", "The user you are trying to contact is receiving mail too quickly"),
            Patience.NOT_TODAY,
        ),
        (deferred(452, "4.2.2", "Mailbox full"), Patience.NOT_TODAY),
        # Postfix's own rate limits come with greylisting's codes, and are none.
        (deferred(450, "4.7.1", "Error: too much mail from 192.0.2.1"), Patience.NOT_TODAY),
        (deferred(450, "4.7.1", "Error: too many recipients from 192.0.2.1"), Patience.NOT_TODAY),
        (deferred(451, "4.3.0", "Temporary lookup failure"), Patience.LATER),
        (deferred(451, "4.3.10", "A status nobody knows"), Patience.LATER),
        (deferred(450, None, "try again"), Patience.LATER),
    ],
)
def test_a_deferral_is_taken_for_what_it_says(deferral: Deferred, taken: Patience) -> None:
    assert patience(deferral) is taken


def test_a_receiver_that_says_too_much_is_not_asked_again() -> None:
    assert tries(deferred(421, "4.7.0", "try again later"), seed=1) == [DUE]


@given(st.integers())
def test_greylisting_of_15_minutes_is_seen_out(seed: int) -> None:
    made = tries(GREYLISTED, seed)
    assert made[1] >= DUE + timedelta(minutes=5)
    assert made[-1] >= DUE + timedelta(minutes=15)


@given(st.sampled_from([LOST, GREYLISTED, deferred(451, "4.3.0")]), st.integers())
def test_no_try_is_past_grace_and_the_waits_grow(deferral: Deferred, seed: int) -> None:
    made = tries(deferral, seed)
    assert 2 <= len(made) <= 6
    assert made[-1] <= DUE + GRACE
    waits = [later - earlier for earlier, later in pairwise(made)]
    assert all(later > earlier for earlier, later in pairwise(waits))


def test_slots_deferred_together_do_not_come_back_together() -> None:
    assert len({tries(GREYLISTED, seed)[1] for seed in range(50)}) == 50


def test_a_slot_with_no_grace_left_is_given_up() -> None:
    late = DUE + timedelta(minutes=25)
    rng = random.Random(1)
    assert next_try(GREYLISTED, ordinal=1, now=late, due_at=DUE, grace=GRACE, rng=rng) is None
    assert next_try(LOST, ordinal=1, now=late, due_at=DUE, grace=GRACE, rng=rng) is not None
    assert next_try(LOST, ordinal=1, now=DUE + GRACE, due_at=DUE, grace=GRACE, rng=rng) is None
