"""The thread behind the ledger's connections: in order, to the end, and gone when nobody needs it."""

import asyncio
import gc
import threading
from functools import partial

import pytest

from warmup.ledger.worker import Worker

PATIENCE = 30.0


async def test_what_is_given_is_done_in_order_by_one_thread() -> None:
    worker, done = Worker("one"), list[tuple[int, str]]()

    def note(number: int) -> None:
        done.append((number, threading.current_thread().name))

    for number in range(100):
        worker.give(partial(note, number))
    assert await worker.ask(lambda: len(done)) == 100
    assert done == [(number, "one") for number in range(100)]
    worker.close()


async def test_what_it_raises_is_raised_where_it_was_asked_for() -> None:
    worker = Worker("one")
    with pytest.raises(ZeroDivisionError):
        await worker.ask(lambda: 1 // 0)
    assert await worker.ask(lambda: "and goes on") == "and goes on"
    worker.close()


async def test_work_is_done_though_nobody_waits_for_it_any_more() -> None:
    worker, may_end, done = Worker("one"), threading.Event(), list[str]()

    def work() -> None:
        may_end.wait(PATIENCE)
        done.append("done")

    asking = asyncio.create_task(worker.ask(work))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    may_end.set()
    await asyncio.to_thread(worker.close)
    assert done == ["done"]


def test_work_outlives_the_loop_that_asked_for_it() -> None:
    worker, may_end, done = Worker("one"), threading.Event(), list[str]()

    async def leave() -> None:
        asking = asyncio.create_task(worker.ask(lambda: may_end.wait(PATIENCE)))
        await asyncio.sleep(0)
        asking.cancel()

    asyncio.run(leave())
    may_end.set()
    worker.give(partial(done.append, "still there"))
    worker.close()
    assert done == ["still there"]


def test_closing_waits_for_all_that_was_given_and_takes_no_more() -> None:
    worker, done = Worker("one"), list[int]()
    for number in range(1000):
        worker.give(partial(done.append, number))
    worker.close()
    assert len(done) == 1000
    with pytest.raises(RuntimeError, match="one was closed"):
        worker.give(lambda: None)


def test_a_worker_that_nobody_holds_ends() -> None:
    worker, seen, has_begun = Worker("lonely"), list[threading.Thread](), threading.Event()

    def work(mine: Worker) -> None:
        seen.append(threading.current_thread())
        has_begun.set()
        assert mine

    # As a store's does, the work holds the worker it is done by.
    worker.give(partial(work, worker))
    assert has_begun.wait(PATIENCE)
    del worker
    for _ in range(100):
        # It may have been in the middle of its work still.
        gc.collect()
        seen[0].join(PATIENCE / 100)
        if not seen[0].is_alive():
            break
    assert not seen[0].is_alive()
