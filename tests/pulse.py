"""How long an event loop was kept from its other work, in CPU seconds: a busy machine changes nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_BEAT_SECONDS = 0.001


@dataclass(slots=True)
class Pulse:
    """The longest stretch between two turns of the loop so far."""

    longest: float = 0.0
    beats: int = 0

    async def beat(self) -> None:
        """Feel the pulse until cancelled."""
        while True:
            before = time.thread_time()
            await asyncio.sleep(_BEAT_SECONDS)
            self.longest = max(self.longest, time.thread_time() - before)
            self.beats += 1


@asynccontextmanager
async def feeling_the_pulse() -> AsyncIterator[Pulse]:
    """The pulse of the running loop, while it is felt."""
    pulse = Pulse()
    task = asyncio.create_task(pulse.beat())
    try:
        yield pulse
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
