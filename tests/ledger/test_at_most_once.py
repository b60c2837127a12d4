"""A slot is handed over at most once, whatever runs at the same time and wherever it is cut off."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from tests.ledger.conftest import HOUR, MINUTE, NOW, OK, RULES, World
from warmup.ledger.attempts import Claimed
from warmup.ledger.tables import attempts
from warmup.mail.answer import Deferred, Refused, Reply, Uncertain
from warmup.policy.fate import Outcome, Placement
from warmup.policy.quota import Go, Hindrance, Lapse, Wait

CLAIMER = Path(__file__).with_name("claimer.py")
TRY_LATER = Deferred(reply=Reply(code=451, status="4.7.1", text="try later"))


async def test_two_processes_of_many_threads_claim_every_slot_exactly_once(world: World) -> None:
    slots = await world.plan(40, target=40)
    ids = json.dumps([slot.id for slot in slots])
    command = [sys.executable, str(CLAIMER), world.url, str(world.ledger.path)]
    runs = [
        await asyncio.create_subprocess_exec(
            *command, node, (NOW + HOUR / 2).isoformat(), ids, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for node in ("north", "south")
    ]
    said = [await run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    claimed = Counter(slot for out, _ in said for slot in json.loads(out))
    assert claimed == Counter(slot.id for slot in slots)


async def test_concurrent_claims_of_one_slot_give_one_attempt(world: World) -> None:
    (slot,) = await world.plan(1)
    answers = await asyncio.gather(
        *(world.ledger.attempts.claim(slot.id, now=NOW, rules=RULES, node=f"n{n}") for n in range(20))
    )
    assert sum(isinstance(answer, Claimed) for answer in answers) == 1
    assert Wait(until=None, reason=Hindrance.IN_FLIGHT) in answers


async def test_the_unique_key_refuses_a_second_first_attempt(world: World) -> None:
    (slot,) = await world.plan(1)
    first = await world.claim(slot)
    row = {"slot_id": slot.id, "ordinal": first.ordinal, "account_id": 1, "domain": "x", "claimed_at": NOW, "node": ""}
    with pytest.raises(IntegrityError):
        await world.ledger.store.write(lambda connection: connection.execute(insert(attempts).values(**row)))


@pytest.mark.parametrize("answer", [OK, Refused(reply=Reply(code=550)), Uncertain(reason="silence after the dot")])
async def test_a_slot_that_ended_is_never_claimed_again(world: World, answer: Refused | Uncertain) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot, answer)
    assert (await world.ledger.turns.to_send(world.sender.id, NOW + HOUR)).due == ()
    again = await world.ledger.attempts.claim(slot.id, now=NOW, rules=RULES, node="n", judge=lambda _: Go(ordinal=2))
    assert again == Wait(until=None, reason=Hindrance.ENDED)


async def test_a_deferred_slot_is_due_again_at_its_retry_and_not_before(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.end(await world.claim(slot), TRY_LATER, NOW, retry_at=NOW + 10 * MINUTE)
    assert await world.ledger.slots.due(NOW + 9 * MINUTE) == ()
    assert await world.ledger.slots.due(NOW + 10 * MINUTE) == (world.sender.id,)
    second = await world.claim(slot, NOW + 10 * MINUTE)
    assert second.ordinal == 2
    assert second.slot == slot


async def test_a_deferred_slot_without_a_retry_is_given_up(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.end(await world.claim(slot), TRY_LATER, NOW)
    assert await world.ledger.slots.next_due() is None


async def test_a_deferred_message_that_arrived_all_the_same_is_not_sent_again(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.end(await world.claim(slot), TRY_LATER, NOW, retry_at=NOW + 10 * MINUTE)
    await world.see(slot, Placement.INBOX, NOW + MINUTE)
    assert await world.ledger.slots.next_due() is None


async def test_a_message_seen_before_its_deferral_was_recorded_is_not_sent_again(world: World) -> None:
    (slot,) = await world.plan(1)
    claimed = await world.claim(slot)
    await world.see(slot, Placement.INBOX, NOW)
    await world.end(claimed, TRY_LATER, NOW, retry_at=NOW + 10 * MINUTE)
    assert await world.ledger.slots.next_due() is None


async def test_an_outcome_is_recorded_once(world: World) -> None:
    (slot,) = await world.plan(1)
    claimed = await world.claim(slot)
    assert await world.end(claimed, OK, NOW)
    assert not await world.end(claimed, TRY_LATER, NOW, retry_at=NOW + MINUTE)
    assert await world.ledger.slots.next_due() is None


async def test_what_a_crash_cut_off_is_uncertain_and_never_sent_again(world: World) -> None:
    first, second = await world.plan(2)
    await world.claim(first)
    await world.send(second)
    await world.ledger.close()

    reopened = world.reopened()
    world.ledger = reopened
    try:
        assert await world.recover(NOW + HOUR) == 1
        assert await world.recover(NOW + HOUR) == 0
        rows = [row async for row in reopened.export.messages()]
        assert [(row["outcome"], row["outcome_source"]) for row in rows] == [
            (Outcome.UNCERTAIN, "recovery"),
            (Outcome.ACCEPTED, "smtp"),
        ]
        assert await reopened.slots.due(NOW + 24 * HOUR) == ()
        assert len(await reopened.sightings.awaited(first.recipient_id)) == 1
    finally:
        await reopened.close()


async def test_a_claim_that_waits_makes_the_slot_due_when_it_says(world: World) -> None:
    (slot,) = await world.plan(1)
    until = NOW + 7 * MINUTE
    wait = Wait(until=until, reason=Hindrance.LIMIT)
    assert await world.ledger.attempts.claim(slot.id, now=NOW, rules=RULES, node="n", judge=lambda _: wait) == wait
    assert await world.ledger.slots.next_due() == until


async def test_a_claim_that_lapses_takes_the_slot_out(world: World) -> None:
    (slot,) = await world.plan(1)
    late = slot.due_at + RULES.grace + MINUTE
    await world.read_own(late)
    answer = await world.ledger.attempts.claim(slot.id, now=late, rules=RULES, node="n")
    assert answer == Lapse(reason=Hindrance.GRACE)
    assert await world.ledger.slots.next_due() is None
    (row,) = [row async for row in world.ledger.export.messages()]
    assert row["outcome"] == "lapsed"


async def test_a_cancelled_caller_leaves_a_whole_claim_behind(world: World) -> None:
    slots = await world.plan(10)
    tasks = [asyncio.create_task(world.claim(slot, NOW + 10 * MINUTE)) for slot in slots]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    closed = await world.recover(NOW + 10 * MINUTE)
    waiting = (await world.ledger.turns.to_send(world.sender.id, NOW + HOUR)).due
    assert closed + len(waiting) == len(slots)
