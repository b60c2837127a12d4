"""A thread that does what it is given, in order, and nothing else: a look at a row must not cost more than the row.

concurrent.futures would do, at half as much again for every way there and back: it makes two futures with locks of
their own for each work, and the loop waits for one that waits for the other.
"""

import asyncio
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")

_Queue = SimpleQueue[Callable[[], None] | None]


class Worker:
    """Begins with its first work, and ends when it is closed, or nobody holds it any more.

    Who waits and is cancelled leaves the work to be done all the same.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: _Queue = SimpleQueue()
        self._thread: Thread | None = None
        self._is_closed = False
        self._lock = Lock()

    def give(self, work: Callable[[], None]) -> None:
        """Have it done after all that was given before. It must not raise."""
        # What is put behind the end would never be done, and who waits for it wait for ever.
        with self._lock:
            if self._is_closed:
                raise RuntimeError(f"{self._name} was closed")
            if self._thread is None:
                # It ends with the process: whoever still waits for it then is gone too.
                self._thread = Thread(target=_toil, args=(self._queue,), name=self._name, daemon=True)
                self._thread.start()
                weakref.finalize(self, self._queue.put, None)
            self._queue.put(work)

    async def ask(self, work: Callable[[], T]) -> T:
        """Have it done, and give what it returns or raise what it raises."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def told() -> None:
            result, failure = None, None
            try:
                result = work()
            except BaseException as reason:  # noqa: BLE001 - raised where it was asked for
                failure = reason
            # Nobody is there any more where the loop was closed meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_tell, outcome, result, failure)

        self.give(told)
        return await outcome

    def close(self) -> None:
        """Wait until everything that was given is done, and end."""
        with self._lock:
            self._is_closed = True
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()


def _toil(queue: _Queue) -> None:
    while (work := queue.get()) is not None:
        work()
        # It may hold whoever gave it, and through them this thread's worker.
        del work


def _tell(outcome: "asyncio.Future[Any]", result: Any, failure: BaseException | None) -> None:
    if outcome.cancelled():
        return
    if failure is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(failure)
