"""The local engine: bounded, never the same work twice at once, and no unit takes another down."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from warmup.engine.local import LocalEngine
from warmup.engine.work import Work
from warmup.ledger.errors import LedgerFailed
from warmup.policy.mailbox import MailboxId
from warmup.steps.step import Step


def work(number: int, step: Step = Step.SEND) -> Work:
    return Work(step, MailboxId(number))


@asynccontextmanager
async def running(perform: Callable[[Work], Awaitable[None]], concurrency: int) -> AsyncIterator[LocalEngine]:
    engine = LocalEngine(perform, concurrency=concurrency)
    try:
        yield engine
    finally:
        await engine.drain(0)


async def test_no_more_units_run_together_than_the_concurrency() -> None:
    now = most = 0

    async def perform(_work: Work) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    async with running(perform, 3) as engine:
        for number in range(50):
            engine.submit(work(number))
        await engine.idle()
    assert most == 3


async def test_the_same_work_is_not_taken_twice_while_it_waits_or_runs() -> None:
    gate, done = asyncio.Event(), []

    async def perform(unit: Work) -> None:
        await gate.wait()
        done.append(unit)

    async with running(perform, 1) as engine:
        assert [engine.submit(work(1)), engine.submit(work(1)), engine.submit(work(1, Step.OBSERVE))] == [
            True,
            False,
            True,
        ]
        await asyncio.sleep(0)
        assert not engine.submit(work(1))
        gate.set()
        await engine.idle()
        assert engine.submit(work(1))
        await engine.idle()
    assert done == [work(1), work(1, Step.OBSERVE), work(1)]


@pytest.mark.parametrize("failure", [RuntimeError("broken"), LedgerFailed("the disk is full")])
async def test_a_unit_that_fails_takes_nothing_else_down(failure: Exception) -> None:
    done = []

    async def perform(unit: Work) -> None:
        if unit.mailbox == 1:
            raise failure
        done.append(unit.mailbox)

    async with running(perform, 1) as engine:
        for number in (1, 2, 3):
            engine.submit(work(number))
        await engine.idle()
        assert engine.submit(work(1))
    assert done == [2, 3]


async def test_a_drain_lets_what_runs_end_and_takes_no_more() -> None:
    gate, done = asyncio.Event(), []

    async def perform(unit: Work) -> None:
        await gate.wait()
        done.append(unit.mailbox)

    engine = LocalEngine(perform, concurrency=1)
    engine.submit(work(1))
    engine.submit(work(2))
    await asyncio.sleep(0)
    draining = asyncio.create_task(engine.drain(30))
    await asyncio.sleep(0)
    assert not engine.submit(work(3))
    gate.set()
    assert await draining
    assert done == [1]


async def test_a_drain_that_runs_out_of_time_says_so() -> None:
    async def perform(_work: Work) -> None:
        await asyncio.Event().wait()

    engine = LocalEngine(perform, concurrency=1)
    engine.submit(work(1))
    await asyncio.sleep(0)
    assert not await engine.drain(0.01)
