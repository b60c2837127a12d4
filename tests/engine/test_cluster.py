"""The cluster's engine on a real PostgreSQL: what waits once, what runs one at a time, what is taken over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
import pytest

from tests.postgres import Server
from warmup.engine.cluster import MOST, SHARDS, ClusterEngine, jobs_of, shard_of, works_of
from warmup.engine.work import Submitted, Work
from warmup.ledger import schema
from warmup.ledger.database import Database
from warmup.ledger.errors import LedgerFailed
from warmup.policy.mailbox import MailboxId
from warmup.steps.step import Step

POLL_SECONDS = 0.05


def work(number: int, step: Step = Step.SEND) -> Work:
    return Work(step, MailboxId(number))


def test_mailboxes_of_one_shard_share_a_job_and_a_lock() -> None:
    far = work(1 + SHARDS)
    jobs = jobs_of([work(1), work(2), far, work(1, Step.OBSERVE)])
    assert [list(works_of(job)) for job in jobs] == [[work(1), far], [work(2)], [work(1, Step.OBSERVE)]]
    assert [job.lock for job in jobs] == ["1", "2", "1"]
    assert len({job.queueing_lock for job in jobs}) == 3


@pytest.mark.parametrize("step", [Step.JUDGE, Step.RETIRE, Step.PLAN, Step.PRUNE])
def test_what_concerns_the_fleet_has_one_lock(step: Step) -> None:
    assert {shard_of(work(number, step)) for number in (0, 1, 2, 300)} == {"fleet"}


def test_a_job_has_an_end() -> None:
    (job,) = jobs_of(work(number, Step.JUDGE) for number in range(MOST + 7))
    assert len(list(works_of(job))) == MOST


@pytest.fixture(scope="module")
def migrated(postgres: Server) -> str:
    name = postgres.database()
    schema.upgrade(postgres.url(name))
    return name


@pytest.fixture
def database(postgres: Server, migrated: str) -> Iterator[Database]:
    """A queue of its own."""
    name = postgres.database(template=migrated)
    yield Database.of(postgres.url(name))
    postgres.drop(name)


@pytest.fixture
def queue(postgres: Server, database: Database) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The queue's tables themselves."""
    assert database.url.database is not None
    with psycopg.connect(postgres.where(database.url.database), autocommit=True) as connection:
        yield connection


Queue = psycopg.Connection[tuple[object, ...]]
Perform = Callable[[Work], Awaitable[None]]


@asynccontextmanager
async def running(perform: Perform, database: Database, *, concurrency: int = 4) -> AsyncIterator[ClusterEngine]:
    engine = ClusterEngine(
        perform, database, concurrency=concurrency, poll_seconds=POLL_SECONDS, watch_seconds=POLL_SECONDS
    )
    await engine.start()
    try:
        yield engine
    finally:
        await engine.drain(0)


@pytest.mark.lab
class TestOnPostgres:
    """With a server."""

    async def test_the_same_work_waits_once_however_many_nodes_tick(self, database: Database, queue: Queue) -> None:
        gate, done = asyncio.Event(), []

        async def perform(unit: Work) -> None:
            await gate.wait()
            done.append(unit)

        works = [work(number) for number in range(12)]
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(running(perform, database)) for _ in range(3)]
            said = await asyncio.gather(*(node.submit_all(works) for node in nodes))
            assert sum(each.taken for each in said) == len(works)
            again = await asyncio.gather(*(node.submit_all(works) for node in nodes))
            assert sum(each.taken for each in again) == 0
            gate.set()
            await nodes[0].idle()
        assert sorted(unit.mailbox for unit in done) == [unit.mailbox for unit in works]
        assert queue.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)

    async def test_a_shard_is_one_nodes_at_a_time(self, database: Database) -> None:
        inside: list[Work] = []
        most = 0

        async def perform(unit: Work) -> None:
            nonlocal most
            inside.append(unit)
            most = max(most, len(inside))
            await asyncio.sleep(0.01)
            inside.remove(unit)

        works = [Work(step, MailboxId(7)) for step in (Step.SEND, Step.OBSERVE)]
        fleet = [work(1, step) for step in (Step.RETIRE, Step.PLAN, Step.PRUNE)]
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(running(perform, database)) for _ in range(2)]
            await nodes[0].submit_all(works)
            await nodes[0].idle()
            await nodes[1].submit_all(fleet)
            await nodes[0].idle()
        assert most == 1

    async def test_no_more_units_run_together_than_a_nodes_concurrency(self, database: Database) -> None:
        now = most = 0

        async def perform(_unit: Work) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1

        async with running(perform, database, concurrency=3) as engine:
            # Eight of a shard: more than there is room for in one job alone.
            await engine.submit_all([work(number % 4 + SHARDS * (number // 4)) for number in range(32)])
            await engine.idle()
        assert most == 3

    @pytest.mark.parametrize("failure", [RuntimeError("broken"), LedgerFailed("the server is away")])
    async def test_a_unit_that_fails_takes_nothing_else_down(self, database: Database, failure: Exception) -> None:
        done = []

        async def perform(unit: Work) -> None:
            if unit.mailbox == 1:
                raise failure
            done.append(unit.mailbox)

        async with running(perform, database) as engine:
            await engine.submit_all([work(1), work(1 + SHARDS), work(2)])
            await engine.idle()
            assert await engine.submit_all([work(1)]) == Submitted(1)
        assert sorted(done) == [2, 1 + SHARDS]

    async def test_what_waits_in_another_job_of_its_shard_is_asked_for_again(self, database: Database) -> None:
        gate = asyncio.Event()

        async def perform(_unit: Work) -> None:
            await gate.wait()

        async with running(perform, database, concurrency=1) as engine:
            await engine.submit_all([work(1)])
            await engine.submit_all([work(1, Step.OBSERVE)])
            late = work(1 + SHARDS, Step.OBSERVE)
            assert await engine.submit_all([work(1, Step.OBSERVE), late]) == Submitted(0, (work(1, Step.OBSERVE), late))
            gate.set()

    async def test_a_drain_leaves_to_others_what_it_did_not_begin(self, database: Database, queue: Queue) -> None:
        gate, begun, done = asyncio.Event(), asyncio.Event(), []

        async def perform(unit: Work) -> None:
            begun.set()
            await gate.wait()
            done.append(unit)

        works = [work(1), work(1 + SHARDS), work(1 + 2 * SHARDS)]
        engine = ClusterEngine(perform, database, concurrency=1, poll_seconds=POLL_SECONDS)
        await engine.start()
        await engine.submit_all(works)
        await begun.wait()
        draining = asyncio.create_task(engine.drain(30))
        await asyncio.sleep(0)
        assert await engine.submit_all([work(9)]) == Submitted(0)
        gate.set()
        assert await draining
        assert done == works[:1]
        left = queue.execute("SELECT status::text, args->'mailboxes' FROM procrastinate_jobs").fetchall()
        assert left == [("todo", [unit.mailbox for unit in works[1:]])]
        assert queue.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)

    async def test_a_drain_that_runs_out_of_time_cancels_and_says_so(self, database: Database) -> None:
        begun, cancelled = asyncio.Event(), asyncio.Event()

        async def perform(_unit: Work) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        engine = ClusterEngine(perform, database, concurrency=1, poll_seconds=POLL_SECONDS)
        await engine.start()
        await engine.submit_all([work(1)])
        await begun.wait()
        assert not await engine.drain(0.01)
        assert cancelled.is_set()

    @pytest.mark.parametrize("waits_already", [False, True], ids=["alone", "beside its like"])
    async def test_the_job_of_a_node_without_a_sign_of_life_is_taken_over(
        self, database: Database, queue: Queue, waits_already: bool
    ) -> None:
        done = []

        async def perform(unit: Work) -> None:
            done.append(unit)

        worker = queue.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id"
        ).fetchone()
        assert worker is not None
        (job,) = jobs_of([work(5)])
        for status in ("doing", *(["todo"] if waits_already else [])):
            queue.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, status, worker_id)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [
                    job.queue,
                    job.task_name,
                    job.lock,
                    job.queueing_lock,
                    psycopg.types.json.Jsonb(job.task_kwargs),
                    status,
                    worker[0] if status == "doing" else None,
                ],
            )
        async with running(perform, database) as engine:
            await engine.idle()
        assert done == [work(5)]
