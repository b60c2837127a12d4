"""The engine of one process: a bounded group of workers over one queue.

It promises that the same work never waits or runs twice at once, that no more than `concurrency` units run together,
and that a unit that fails is logged and takes nothing else down: with its traceback, unless it was the
disk, of which the daemon speaks for all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from warmup.engine.work import Submitted, Work
from warmup.ledger.errors import LedgerBusy, LedgerFailed

log = structlog.get_logger("engine")


class LocalEngine:
    """Runs work in this process's event loop, in the order it was submitted."""

    def __init__(self, perform: Callable[[Work], Awaitable[None]], *, concurrency: int) -> None:
        if concurrency < 1:
            raise ValueError(f"an engine needs a concurrency of at least 1, got {concurrency}")
        self._perform = perform
        self._queue: asyncio.Queue[Work] = asyncio.Queue()
        self._known: set[Work] = set()
        self._draining = False
        self._workers = [asyncio.create_task(self._toil(), name=f"worker-{n}") for n in range(concurrency)]

    @property
    def trouble(self) -> str | None:
        return None

    async def submit_all(self, works: Sequence[Work]) -> Submitted:
        return Submitted(sum(self.submit(work) for work in works))

    def submit(self, work: Work) -> bool:
        """Take one unit; False where the same work already waits or runs, or the engine drains."""
        if self._draining or work in self._known:
            return False
        self._known.add(work)
        self._queue.put_nowait(work)
        return True

    async def idle(self) -> None:
        await self._queue.join()

    async def drain(self, seconds: float) -> bool:
        self._draining = True
        while not self._queue.empty():
            self._known.discard(self._queue.get_nowait())
            self._queue.task_done()
        try:
            await asyncio.wait_for(self._queue.join(), seconds)
            clean = True
        except TimeoutError:
            clean = False
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        return clean

    async def _toil(self) -> None:
        while True:
            work = await self._queue.get()
            try:
                await self._perform(work)
            except (LedgerFailed, LedgerBusy) as failure:
                log.debug("unit put off", step=work.step.value, mailbox=work.mailbox, error=str(failure))
            except Exception:  # the edge of a unit: it is logged, and due again at the next tick
                log.exception("unit failed", step=work.step.value, mailbox=work.mailbox)
            finally:
                self._known.discard(work)
                self._queue.task_done()
