"""A long thought does not keep anybody waiting."""

import asyncio
import threading

import pytest

from warmup.steps.aside import aside


async def test_the_loop_goes_on_while_something_is_decided() -> None:
    loop_went_on = threading.Event()

    def decide(patience: float) -> bool:
        return loop_went_on.wait(patience)

    decision = asyncio.ensure_future(aside(decide, 10.0))
    await asyncio.sleep(0)
    loop_went_on.set()
    assert await decision


async def test_what_a_decision_raises_is_the_steps_to_know() -> None:
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0)
