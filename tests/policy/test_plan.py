"""A whole day: what is allowed, to whom, when."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.allowance import Allowance, LaneAllowance
from warmup.policy.fate import Cap, Kind
from warmup.policy.mailbox import AccountId, Endpoint, Hours, Mailbox, MailboxId, Role, Security, SlotId, State
from warmup.policy.pairing import SEED_DAILY, Correspondent, Past, pool
from warmup.policy.plan import DayPlan, PlannedSlot, plan_for
from warmup.policy.standing import Standing
from warmup.policy.thread import Unanswered, thread_length
from warmup.policy.window import is_open

TUESDAY = date(2026, 11, 24)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
GRACE = timedelta(minutes=30)
LANES = ("gmail", "outlook", "yahoo")
SUBMISSION = Endpoint(host="mail.test", port=465, security=Security.TLS)
SENDER = Mailbox(
    id=MailboxId(1),
    account_id=AccountId(1),
    address="ann@own.test",
    provider="custom",
    receiver="own.test",
    role=Role.BOTH,
    state=State.ACTIVE,
    ramp="standard",
    target=None,
    daily_limit=500,
    timezone="UTC",
    smtp=SUBMISSION,
    imap=SUBMISSION,
    username="ann",
    enrolled_at=MIDNIGHT - timedelta(days=30),
)


def seed(number: int, provider: str) -> Correspondent:
    return Correspondent(
        id=MailboxId(number), account_id=AccountId(number), domain=f"d{number}.test", provider=provider
    )


SEEDS = [seed(10 + number, LANES[number % 3]) for number in range(30)]


def received(number: int, *, provider: str = "gmail") -> Unanswered:
    return Unanswered(
        slot_id=SlotId(number),
        thread_id=f"thread {number}",
        sender=seed(100 + number, provider),
        seen_on=TUESDAY - timedelta(days=1),
        length=1,
    )


def lane(provider: str, target: int, *, factor: float = 1.0) -> LaneAllowance:
    return LaneAllowance(
        provider=provider,
        level=5,
        ceiling=target / factor,
        factor=factor,
        target=target,
        standing=Standing.SOUND if factor == 1 else Standing.SLOWED,
        thin=False,
        capped_by=Cap.RAMP,
        reason="its share of the ramp",
    )


def allowed(**targets: int) -> Allowance:
    total = sum(targets.values())
    lanes = tuple(lane(provider, target) for provider, target in targets.items())
    return Allowance(ceiling=total, target=total, level=5, capped_by=Cap.RAMP, reason="the ramp", lanes=lanes)


def planned(allowance: Allowance, *, chance: int = 1, **changes: Any) -> DayPlan:
    given_: dict[str, Any] = {
        "seeds": pool(SEEDS),
        "past": Past(),
        "unanswered": [received(number) for number in range(1, 9)],
        "listening": False,
        "hours": Hours(),
        "now": MIDNIGHT,
        "grace": GRACE,
        "rng": random.Random(chance),
    }
    mailbox = changes.pop("mailbox", SENDER)
    return plan_for(mailbox, TUESDAY, 5, allowance, **{**given_, **changes})


def per_lane(plan: DayPlan) -> dict[str, int]:
    return dict(Counter(slot.provider for slot in plan.slots))


def test_there_are_as_many_slots_in_each_lane_as_are_allowed() -> None:
    allowance = allowed(gmail=9, outlook=4, yahoo=2)
    plan = planned(allowance)
    assert per_lane(plan) == {"gmail": 9, "outlook": 4, "yahoo": 2}
    assert plan.allowance == allowance
    assert (plan.mailbox_id, plan.date, plan.day) == (SENDER.id, TUESDAY, 5)


def test_the_same_inputs_give_the_same_day_and_another_chance_another() -> None:
    allowance = allowed(gmail=9, outlook=4, yahoo=2)
    assert planned(allowance) == planned(allowance)
    assert planned(allowance).slots != planned(allowance, chance=2).slots


def test_replies_keep_their_thread_and_new_threads_have_ids_of_their_own() -> None:
    plans = [planned(allowed(gmail=10, outlook=5), chance=chance) for chance in range(20)]
    slots = [slot for plan in plans for slot in plan.slots]
    for slot in slots:
        if slot.kind is Kind.REPLY:
            assert slot.thread_id == f"thread {slot.in_reply_to}"
            assert slot.recipient_id == 100 + (slot.in_reply_to or 0)
    opened = [slot.thread_id for slot in slots if slot.kind is Kind.NEW]
    assert len(set(opened)) == len(opened)
    assert 0.15 < 1 - len(opened) / len(slots) < 0.31


def test_a_slot_is_a_reply_just_where_it_names_what_it_answers() -> None:
    new = next(slot for slot in planned(allowed(gmail=3)).slots if slot.kind is Kind.NEW)
    with pytest.raises(ValueError, match="a reply names"):
        replace(new, kind=Kind.REPLY)
    with pytest.raises(ValueError, match="a reply names"):
        replace(new, in_reply_to=SlotId(1))


def test_missing_seeds_make_a_smaller_day_that_says_so() -> None:
    plan = planned(allowed(gmail=9, icloud=6), unanswered=[])
    assert per_lane(plan) == {"gmail": 9}
    assert plan.allowance.target == 9
    assert plan.allowance.capped_by is Cap.SEEDS
    assert "icloud" in plan.allowance.reason
    assert [lane.target for lane in plan.allowance.lanes] == [9, 0]
    assert plan.allowance.ceiling == 15


def test_a_lane_that_was_cut_short_grows_from_what_was_planned() -> None:
    two = [seed(10, "gmail"), seed(11, "gmail")]
    allowance = replace(allowed(gmail=0), target=20, lanes=(lane("gmail", 20, factor=0.5),))
    short = planned(allowance, seeds=pool(two), unanswered=[]).allowance.lanes[0]
    assert short.target == 2 * SEED_DAILY
    assert short.ceiling * short.factor == short.target


def test_a_day_planned_late_is_as_dense_as_a_whole_one_and_no_denser() -> None:
    allowance = allowed(gmail=12, outlook=6, yahoo=2)
    noon = MIDNIGHT + timedelta(hours=13)
    plan = planned(allowance, now=noon)
    assert 7 <= len(plan.slots) <= 12
    assert all(slot.due_at > noon for slot in plan.slots)
    assert "late" in plan.allowance.reason
    assert plan.allowance.target == len(plan.slots)
    assert per_lane(plan)["gmail"] > per_lane(plan)["outlook"] > per_lane(plan)["yahoo"]


def test_a_closed_day_and_a_day_that_is_over_have_no_slots() -> None:
    allowance = allowed(gmail=12)
    weekend = planned(allowance, hours=Hours(days=frozenset({5, 6})))
    over = planned(allowance, now=MIDNIGHT + timedelta(hours=18))
    for plan in (weekend, over):
        assert plan.slots == ()
        assert plan.allowance.target == 0
        assert plan.allowance.lanes[0].target == 0
    assert "closed" in weekend.allowance.reason
    assert "late" in over.allowance.reason


def test_a_listening_mailbox_only_answers() -> None:
    plan = planned(allowed(gmail=5, outlook=5), listening=True, unanswered=[received(1), received(2)])
    assert [slot.kind for slot in plan.slots] == [Kind.REPLY] * 2
    assert plan.allowance.target == 2
    assert plan.allowance.capped_by is Cap.RAMP
    assert "only answers" in plan.allowance.reason


def test_an_answer_is_not_made_from_a_lane_that_has_nothing_to_send() -> None:
    plan = planned(allowed(outlook=5), listening=True)
    assert plan.slots == ()


def test_an_answered_seed_gets_so_many_fewer_new_messages() -> None:
    number = next(number for number in range(1, 99) if thread_length(f"thread {number}") > 1)
    known = replace(received(number), sender=seed(10, "gmail"))
    both = pool([seed(10, "gmail"), seed(13, "gmail")])
    for chance in range(30):
        plan = planned(allowed(gmail=2 * SEED_DAILY), seeds=both, unanswered=[known], chance=chance)
        assert [slot.kind for slot in plan.slots].count(Kind.REPLY) == 1
        assert Counter(slot.recipient_id for slot in plan.slots) == {10: SEED_DAILY, 13: SEED_DAILY}


def test_what_one_lane_lacks_is_not_given_to_another() -> None:
    plan = planned(allowed(gmail=2, icloud=50), unanswered=[])
    assert per_lane(plan) == {"gmail": 2}


@given(
    targets=st.fixed_dictionaries({}, optional={provider: st.integers(0, 60) for provider in LANES}),
    seeds=st.lists(st.integers(10, 60), unique=True, max_size=40),
    letters=st.lists(st.tuples(st.integers(1, 40), st.sampled_from(LANES)), max_size=20, unique_by=lambda one: one[0]),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Apia"]),
    late=st.integers(-20, 40),
    listening=st.booleans(),
    chance=st.integers(),
)
def test_every_plan_keeps_its_promises(
    targets: dict[str, int],
    seeds: list[int],
    letters: list[tuple[int, str]],
    zone: str,
    late: int,
    listening: bool,
    chance: int,
) -> None:
    allowance, now = allowed(**targets), MIDNIGHT + timedelta(hours=late)
    mailbox = replace(SENDER, timezone=zone)
    plan = planned(
        allowance,
        mailbox=mailbox,
        seeds=pool([seed(number, LANES[number % 3]) for number in seeds]),
        unanswered=[received(number, provider=provider) for number, provider in letters],
        now=now,
        listening=listening,
        chance=chance,
    )
    slots = plan.slots
    assert [slot.number for slot in slots] == list(range(1, len(slots) + 1))
    assert all(before.due_at < after.due_at for before, after in pairwise(slots))
    assert all(slot.due_at >= now for slot in slots)
    assert all(opens_for(slot, mailbox) for slot in slots)
    assert {lane.provider: lane.target for lane in plan.allowance.lanes} == {
        provider: per_lane(plan).get(provider, 0) for provider in targets
    }
    assert plan.allowance.target == len(slots) <= allowance.target
    assert all(n <= targets[provider] for provider, n in per_lane(plan).items())
    assert max(Counter(slot.recipient_id for slot in slots).values(), default=0) <= SEED_DAILY
    assert len(slots) == allowance.target or plan.allowance.reason != allowance.reason


def opens_for(slot: PlannedSlot, mailbox: Mailbox) -> bool:
    """True where the slot may go at its due time and still until its grace ends."""
    last = slot.due_at + GRACE - timedelta(microseconds=1)
    return is_open(Hours(), mailbox.zone, slot.due_at) and is_open(Hours(), mailbox.zone, last)
