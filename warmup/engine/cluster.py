"""The engine of many processes: jobs of Procrastinate on the ledger's own PostgreSQL, for any node to take.

A job is a step for some mailboxes of one *shard* (mailbox id modulo `SHARDS`): it costs about as much as a send does,
so it carries many. What concerns the fleet as a whole (`FLEET`) is one shard more; only a judgement that follows from a
server's answer at once is made where the answer came (steps/aftermath). Procrastinate's `lock` is the shard,
its `queueing_lock` step and shard. So no two nodes are at the same mailbox, one node at a time plans, judges, retires
and prunes, and however many nodes tick, the same work waits once. Only what is due is deferred: due times stay in the
ledger, and a job that is lost with its queue is deferred again at the next tick.

It promises nothing about mail, and need not: claims and walls are the ledger's, whichever node runs a unit and however
often. A node that is killed or cut off loses its jobs `STALLED_SECONDS` after its last sign of life, and another has
them within `STALLED_SECONDS + WATCH_SECONDS` and a poll. If it lives after all, two nodes may be at one mailbox for a
while, each with its own claims. While the server is away the worker ends and is begun anew until one stands; what runs
meanwhile goes on, and waits for the ledger where it has to.

`concurrency` is a node's: so many mailboxes at once. Waits for servers (`Backoff`, `Narrow`) are every node's own too.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import DeleteJobCondition, Job, Status
from procrastinate.manager import JobManager
from procrastinate.worker import Worker
from psycopg.errors import RaiseException

from warmup.clock import pause
from warmup.engine.work import Submitted, Work
from warmup.ledger.database import Database
from warmup.ledger.engines import CONNECT_SECONDS, PATIENCE, SERVERS_PATIENCE, failed, options_of
from warmup.ledger.errors import LedgerBusy, LedgerFailed
from warmup.policy.mailbox import MailboxId
from warmup.steps.step import Step

log = structlog.get_logger("engine")

SHARDS: Final = 256

FLEET: Final = frozenset({Step.JUDGE, Step.RETIRE, Step.PLAN, Step.PRUNE})
"""Steps that read or write what belongs to more than one mailbox: one node at a time does them."""

MOST: Final = 500
"""Mailboxes in one job: few enough for another node to begin anew with, where the first is lost."""

HEARTBEAT_SECONDS: Final = 5.0
STALLED_SECONDS: Final = 20.0
WATCH_SECONDS: Final = 5.0

_QUEUE: Final = "warmup"
_TASK: Final = "warmup"
_TRIES: Final = 3
_AT_ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""By any machine's clock."""
_CONNECTIONS: Final = 4
_FAREWELL_SECONDS: Final = 3.0

# They tell of every job, and of a server that is away with a traceback a second: we say it once, in our words.
_TALKATIVE: Final = ("procrastinate", "psycopg.pool")

_SETTINGS: Final = {
    # A job that is lost with a server's last moments is deferred again.
    "synchronous_commit": "off",
    **SERVERS_PATIENCE,
}


def shard_of(work: Work) -> str:
    """What the work is locked by."""
    return "fleet" if work.step in FLEET else str(work.mailbox % SHARDS)


def name_of(work: Work) -> str:
    """What waits once: the work's step and shard."""
    return f"{work.step.value} {shard_of(work)}"


def jobs_of(works: Iterable[Work]) -> list[Job]:
    """The jobs that carry the works, in the order of the first of each."""
    carried: defaultdict[str, list[Work]] = defaultdict(list)
    for work in works:
        carried[name_of(work)].append(work)
    return [
        Job(
            id=None,
            queue=_QUEUE,
            lock=shard_of(some[0]),
            queueing_lock=name,
            task_name=_TASK,
            task_kwargs={"step": some[0].step.value, "mailboxes": [work.mailbox for work in some[:MOST]]},
        )
        for name, some in carried.items()
    ]


def works_of(job: Job) -> Iterator[Work]:
    """What a job carries."""
    carried: dict[str, Any] = job.task_kwargs
    for mailbox in carried["mailboxes"]:
        yield Work(Step(carried["step"]), MailboxId(mailbox))


class ClusterEngine:
    """One node's share in the work of all."""

    def __init__(
        self,
        perform: Callable[[Work], Awaitable[None]],
        database: Database,
        *,
        concurrency: int,
        poll_seconds: float,
        watch_seconds: float = WATCH_SECONDS,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"an engine needs a concurrency of at least 1, got {concurrency}")
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._perform = perform
        self._database = database
        self._concurrency = concurrency
        self._poll_seconds = poll_seconds
        self._watch_seconds = watch_seconds
        self._room = asyncio.Semaphore(concurrency)
        self._units: dict[asyncio.Task[None], Work] = {}
        self._draining = False
        self._trouble: str | None = "it has not begun yet"
        self._worker: Worker | None = None
        self._app = App(connector=_connector(database))
        self._app.job_manager = _Manager(self._app.connector, may_wait=lambda: not self._draining, seconds=poll_seconds)
        self._app.task(name=_TASK, queue=_QUEUE)(self._carry)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def trouble(self) -> str | None:
        return self._trouble

    async def start(self) -> None:
        """Take part from now on. LedgerFailed where the server is away."""
        try:
            await self._app.open_async()
        except Exception as failure:
            raise failed(self._database, str(failure)) from failure
        self._trouble = None
        self._tasks = [
            asyncio.create_task(self._work(), name="cluster-worker"),
            asyncio.create_task(self._watch_the_others(), name="cluster-watch"),
        ]

    async def submit_all(self, works: Sequence[Work]) -> Submitted:
        if self._draining or not works:
            return Submitted(0)
        try:
            return await self._submit(works)
        except ConnectorException as failure:
            raise failed(self._database, _said(failure)) from failure

    async def idle(self) -> None:
        while await self._jobs():
            await pause(self._poll_seconds)

    async def drain(self, seconds: float) -> bool:
        self._draining = True
        worker, watch = self._tasks
        watch.cancel()
        if self._worker is not None:
            self._worker.stop()
        done, _ = await asyncio.wait([worker], timeout=seconds)
        clean = bool(done)
        if not clean:
            for unit in self._units:
                unit.cancel()
            # What is left to say to the server: that the jobs and the worker are no more. Unsaid, it is seen later.
            await asyncio.wait([worker], timeout=_FAREWELL_SECONDS)
        await self._app.close_async()
        return clean

    async def _submit(self, works: Sequence[Work]) -> Submitted:
        for _ in range(_TRIES):
            jobs = await self._jobs()
            waiting = {job.queueing_lock for job in jobs if job.status == Status.TODO.value}
            running = {work for job in jobs if job.status == Status.DOING.value for work in works_of(job)}
            lacking = [work for work in works if work not in running]
            deferred = jobs_of(work for work in lacking if name_of(work) not in waiting)
            try:
                if deferred:
                    await self._app.job_manager.batch_defer_jobs_async(deferred)
            except AlreadyEnqueued:
                continue  # another node ticked at the same moment
            taken = {work for job in deferred for work in works_of(job)}
            return Submitted(len(taken), tuple(work for work in lacking if work not in taken))
        return Submitted(0, tuple(works))

    async def _jobs(self) -> list[Job]:
        """What waits and what runs, as of one moment: a job that is taken over goes from the one to the other."""
        jobs = await self._app.job_manager.list_jobs_async(queue=_QUEUE)
        return [job for job in jobs if job.status in (Status.TODO.value, Status.DOING.value)]

    async def _carry(self, step: str, mailboxes: list[int]) -> None:
        """A job: all its units, as many at once as there is room for. What a drain left over is deferred again."""
        works = [Work(Step(step), MailboxId(mailbox)) for mailbox in mailboxes]
        done = await asyncio.gather(*(self._unit(work) for work in works))
        left = [work for work, is_done in zip(works, done, strict=True) if not is_done]
        try:
            if left:
                await self._app.job_manager.batch_defer_jobs_async(jobs_of(left))
        except (AlreadyEnqueued, ConnectorException) as failure:
            log.debug("left to the next tick", step=step, mailboxes=len(left), error=_said(failure))

    async def _unit(self, work: Work) -> bool:
        """Do one unit; False where there was no time left to begin it."""
        async with self._room:
            if self._draining:
                return False
            task = asyncio.create_task(self._guarded(work))
            self._units[task] = work
            await asyncio.wait([task])
            del self._units[task]
            return True

    async def _guarded(self, work: Work) -> None:
        try:
            await self._perform(work)
        except (LedgerFailed, LedgerBusy) as failure:
            log.debug("unit put off", step=work.step.value, mailbox=work.mailbox, error=str(failure))
        except Exception:  # the edge of a unit: it is logged, and due again at the next tick
            log.exception("unit failed", step=work.step.value, mailbox=work.mailbox)

    async def _work(self) -> None:
        """Have a worker stand, whatever becomes of it."""
        while not self._draining:
            self._worker = Worker(
                self._app,
                queues=[_QUEUE],
                concurrency=self._concurrency,
                fetch_job_polling_interval=self._poll_seconds,
                delete_jobs=DeleteJobCondition.ALWAYS,
                install_signal_handlers=False,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
            )
            try:
                await self._worker.run()
            except Exception as failure:  # noqa: BLE001 (whatever ended it, another one has to stand)
                self._note(_said(failure))
            if not self._draining:
                await pause(self._poll_seconds)

    async def _watch_the_others(self) -> None:
        """Give the jobs of workers that show no sign of life to whoever comes first; see whether the queue answers."""
        while True:
            await pause(self._watch_seconds)
            try:
                stalled = await self._app.job_manager.get_stalled_jobs(
                    queue=_QUEUE, seconds_since_heartbeat=STALLED_SECONDS
                )
                self._note(None)
                for job in stalled:
                    await self._take_over(job)
            except ConnectorException as failure:
                # Away; or another node was faster, and the next look will see it.
                log.debug("nothing taken over", error=_said(failure))

    async def _take_over(self, job: Job) -> None:
        assert job.id is not None
        log.warning("taken over", step=job.task_kwargs["step"], shard=job.lock, mailboxes=len(list(works_of(job))))
        manager = self._app.job_manager
        try:
            await manager.retry_job(job, retry_at=_AT_ONCE)
        except UniqueViolation:
            # The same work waits already.
            await manager.finish_job_by_id_async(job.id, Status.FAILED, delete_job=True)

    def _note(self, trouble: str | None) -> None:
        if trouble is not None and self._trouble is None:
            log.error("the queue cannot be reached", error=trouble)
        if trouble is None and self._trouble is not None:
            log.warning("the queue is reached again")
        self._trouble = trouble


class _Manager(JobManager):
    """Says that a job has ended until the server has heard it: a live worker's job keeps its shard from everybody."""

    def __init__(self, connector: BaseConnector, *, may_wait: Callable[[], bool], seconds: float) -> None:
        super().__init__(connector)
        self._may_wait = may_wait
        self._seconds = seconds

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001 (theirs)
        while True:
            try:
                await super().finish_job(job, status, delete_job)
            except ConnectorException as failure:
                is_gone = isinstance(failure.__cause__, RaiseException)
                log.debug("not heard that a job ended", job=job.id, error=_said(failure))
                if is_gone or not self._may_wait():
                    return
            else:
                return
            await pause(self._seconds)


def _connector(database: Database) -> PsycopgConnector:
    kwargs: dict[str, Any] = {
        "application_name": "warmup queue",
        "connect_timeout": CONNECT_SECONDS,
        "options": options_of(_SETTINGS),
        **PATIENCE,
    }
    return PsycopgConnector(
        conninfo=database.url.set(drivername="postgresql").render_as_string(hide_password=False),
        kwargs=kwargs,
        min_size=1,
        max_size=_CONNECTIONS,
        timeout=CONNECT_SECONDS,
    )


def _said(failure: BaseException) -> str:
    """What the driver said: the queue's own words are "Database error." and no more."""
    return str(failure.__cause__ or failure)
