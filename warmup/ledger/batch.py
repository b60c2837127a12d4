"""Small works that share a transaction: who comes while the disk is busy goes with the next commit.

All of a batch is durable before anybody of it is told so. They run one after the other, in the order in which they
came, and see what those before them wrote. Where one of them fails, the whole is rolled back and each is run again in a
transaction of its own, in the same order: then a failure is its own, and nobody else's. Where the commit fails, it
failed for all of them, and nobody knows whether it stood: none is run again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from sqlalchemy import Connection

Work = Callable[[Connection], Any]

MOST: Final = 64
"""Works of one transaction: the first of them waits for the last."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """One work. `then` is done with its result after the commit, on the same thread, before anybody is told."""

    work: Work
    then: Callable[[Any], None] | None
    outcome: asyncio.Future[Any]
    result: Any = None
    failure: BaseException | None = None


class Batch:
    """What waits for the next commit. Added to on an event loop, run on the writer's thread.

    `alone` runs a work in one transaction, durable when it returns, rolled back where it raises.
    """

    def __init__(self, alone: Callable[[Work], Any]) -> None:
        self._alone = alone
        self._waiting: list[_Waiting] = []
        self._lock = Lock()

    def add(self, work: Work, then: Callable[[Any], None] | None) -> tuple[asyncio.Future[Any], bool]:
        """What becomes of it, and whether `run` has to be called for it: once for all that wait."""
        each = _Waiting(work, then, asyncio.get_running_loop().create_future())
        with self._lock:
            self._waiting.append(each)
            return each.outcome, len(self._waiting) == 1

    def run(self) -> None:
        """Run and commit all that wait, and tell each how it ended. Never raises."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MOST):
            some = waiting[start : start + MOST]
            if len(some) == 1 or not self._together(some):
                for each in some:
                    self._by_itself(each)
            _tell([each for each in some if each.then is None])
            _tell(_followed([each for each in some if each.then is not None]))

    def _together(self, some: list[_Waiting]) -> bool:
        """All of them in one transaction; False, and nothing is written, where one of them failed."""
        results: list[Any] = []
        try:
            self._alone(lambda connection: results.extend(each.work(connection) for each in some))
        except Exception as failure:  # noqa: BLE001 - whose it is shows when each is run by itself
            if len(results) < len(some):
                return False
            for each in some:
                each.failure = failure
            return True
        for each, result in zip(some, results, strict=True):
            each.result = result
        return True

    def _by_itself(self, each: _Waiting) -> None:
        try:
            each.result = self._alone(each.work)
        except BaseException as failure:  # noqa: BLE001 - raised where the work was asked for
            each.failure = failure


def _followed(some: list[_Waiting]) -> list[_Waiting]:
    """The same, with what was to be done then: the last first, as a mark is raised for all before it."""
    for each in reversed(some):
        if each.failure is None and each.then is not None:
            try:
                each.then(each.result)
            except BaseException as failure:  # noqa: BLE001 - raised where the work was asked for
                each.failure = failure
    return some


def _tell(some: list[_Waiting]) -> None:
    """Wake those who wait, once for all of them; nobody is there any more where the loop was closed meanwhile."""
    if some and not some[0].outcome.get_loop().is_closed():
        some[0].outcome.get_loop().call_soon_threadsafe(_wake, some)


def _wake(some: list[_Waiting]) -> None:
    for each in some:
        if each.outcome.cancelled():
            continue
        if each.failure is None:
            each.outcome.set_result(each.result)
        else:
            each.outcome.set_exception(each.failure)
