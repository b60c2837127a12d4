"""Many nodes on one ledger: who keeps whom away, what a lease closes, and whom to believe afterwards."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.ledger.conftest import HOUR, MINUTE, NOW, OK, RULES, World
from tests.postgres import Server
from warmup.ledger import schema
from warmup.ledger.attempts import Claimed
from warmup.ledger.database import Database
from warmup.ledger.errors import LedgerBusy, LedgerFailed
from warmup.ledger.session_lock import SessionLock, Share, Timepiece, holder_on_server
from warmup.ledger.slots import Slot
from warmup.ledger.store import Store
from warmup.mail.answer import Deferred, Refused, Reply
from warmup.policy.mailbox import AttemptId

LEASE = 10 * MINUTE
REFUSED = Refused(reply=Reply(code=550, status="5.7.1", text="no"))
DEFERRED = Deferred(reply=Reply(code=451, status="4.7.1", text="later"), reason="")


async def claim_as(world: World, slot: Slot, node: str) -> Claimed:
    """Claim a slot in a node's name, when it is due."""
    claimed = await world.ledger.attempts.claim(slot.id, now=slot.due_at, rules=RULES, node=node)
    assert isinstance(claimed, Claimed), claimed
    return claimed


async def recover_as(world: World, node: str, *, claimed_by: object) -> tuple[AttemptId, ...]:
    """What a node does about what others left in flight."""
    assert isinstance(claimed_by, type(NOW))
    return await world.ledger.attempts.recover(
        now=NOW + HOUR, look_at=NOW + HOUR, deadline_at=NOW + 25 * HOUR, alive=node, claimed_by=claimed_by
    )


async def outcome_of(world: World, claimed: Claimed) -> tuple[str, str, str | None]:
    """What is recorded of an attempt's end."""
    ((outcome, source, status),) = await world.rows(
        f"SELECT outcome, source, status FROM outcomes WHERE attempt_id = {claimed.id}"
    )
    return outcome, source, status


async def test_a_lease_closes_what_others_left_and_nothing_younger(world: World) -> None:
    early, own, late = await world.plan(3)
    gone = await claim_as(world, early, "gone")
    mine = await claim_as(world, own, "mine")
    young = await claim_as(world, late, "gone")
    attempts = world.ledger.attempts
    assert not await attempts.overdue(alive="mine", claimed_by=early.due_at - MINUTE)
    assert await attempts.overdue(alive="mine", claimed_by=own.due_at)
    assert await recover_as(world, "mine", claimed_by=own.due_at) == (gone.id,)
    assert not await attempts.overdue(alive="mine", claimed_by=own.due_at)
    assert await world.end(mine, OK, NOW + HOUR)
    assert await world.end(young, OK, NOW + HOUR)
    assert (await outcome_of(world, gone))[:2] == ("uncertain", "recovery")


async def test_what_a_lease_closed_is_never_due_again(world: World) -> None:
    (slot,) = await world.plan(1)
    await claim_as(world, slot, "gone")
    await recover_as(world, "mine", claimed_by=slot.due_at)
    assert (await world.ledger.turns.to_send(slot.mailbox_id, NOW + 2 * HOUR)).due == ()


@pytest.mark.parametrize(
    ("answer", "outcome", "watched"),
    [(OK, ("accepted", "smtp", "2.0.0"), 1), (REFUSED, ("refused", "smtp", "5.7.1"), 0)],
    ids=["accepted", "refused"],
)
async def test_who_saw_the_end_is_believed_over_the_lease(
    world: World, answer: object, outcome: tuple[str, str, str], watched: int
) -> None:
    (slot,) = await world.plan(1)
    claimed = await claim_as(world, slot, "cut off")
    await recover_as(world, "mine", claimed_by=slot.due_at)
    assert isinstance(answer, type(OK) | Refused)
    assert await world.end(claimed, answer, NOW + HOUR)
    assert await outcome_of(world, claimed) == outcome
    assert await world.rows("SELECT count(*) FROM watches") == [(watched,)]
    # Once is enough.
    assert not await world.end(claimed, DEFERRED, NOW + HOUR)
    assert await outcome_of(world, claimed) == outcome


async def test_a_late_deferral_is_kept_and_not_made_again(world: World) -> None:
    (slot,) = await world.plan(1)
    claimed = await claim_as(world, slot, "cut off")
    await recover_as(world, "mine", claimed_by=slot.due_at)
    assert await world.end(claimed, DEFERRED, NOW + HOUR, retry_at=NOW + HOUR)
    assert await outcome_of(world, claimed) == ("deferred", "smtp", "4.7.1")
    assert (await world.ledger.turns.to_send(slot.mailbox_id, NOW + 2 * HOUR)).due == ()


@pytest.fixture
def database(postgres: Server, blank_database: str) -> Iterator[Database]:
    """A ledger on a server."""
    name = postgres.database(template=blank_database)
    yield Database.of(postgres.url(name))
    postgres.drop(name)


def lock(database: Database, share: Share) -> SessionLock:
    """The ledger, held."""
    return SessionLock.acquire(database, now=NOW, share=share)


@pytest.mark.lab
def test_nodes_share_a_ledger_and_keep_a_daemon_of_one_machine_away(database: Database) -> None:
    with lock(database, Share.AMONG_NODES), lock(database, Share.AMONG_NODES):
        with pytest.raises(LedgerBusy, match=f"pid {os.getpid()} on "):
            lock(database, Share.ALONE)
        holder = holder_on_server(database)
        assert holder is not None
        assert holder.pid == os.getpid()
    assert holder_on_server(database) is None


@pytest.mark.lab
def test_a_daemon_of_one_machine_keeps_nodes_away(database: Database) -> None:
    with lock(database, Share.ALONE), pytest.raises(LedgerBusy, match=f"pid {os.getpid()} on "):
        lock(database, Share.AMONG_NODES)
    lock(database, Share.AMONG_NODES).release()


@pytest.mark.lab
async def test_a_node_that_lost_its_share_takes_it_again_and_knows(database: Database) -> None:
    with lock(database, Share.AMONG_NODES) as held:
        store = Store(database, guard=held.guard)
        await store.write(lambda _connection: None)
        before = store.was_lost
        held.connection.close()
        held.connection = psycopg.connect(held.database.url.set(drivername="postgresql").render_as_string())
        await store.write(lambda _connection: None)
        assert (before, store.was_lost) == (False, True)
        with pytest.raises(LedgerBusy):
            lock(database, Share.ALONE)
        await store.close()


@pytest.mark.lab
@pytest.mark.parametrize(("ahead", "said"), [(-200, "behind"), (200, "ahead of"), (100, None), (-100, None)])
async def test_a_node_whose_clock_is_wrong_writes_nothing(database: Database, ahead: int, said: str | None) -> None:
    def wall() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead)

    piece = Timepiece(wall=wall, tolerance=timedelta(seconds=150))
    with SessionLock.acquire(database, now=NOW, share=Share.AMONG_NODES, timepiece=piece) as held:
        store, wrote = Store(database, guard=held.guard), []
        if said is None:
            await store.write(lambda _connection: wrote.append(1))
        else:
            with pytest.raises(LedgerFailed, match=f"clock is (199|200|201) s {said} the database server's"):
                await store.write(lambda _connection: wrote.append(1))
        assert bool(wrote) is (said is None)
        await store.close()


@pytest.mark.lab
def test_the_queue_comes_and_goes_with_the_schema_and_is_checked(database: Database) -> None:
    where = database.url.set(drivername="postgresql").render_as_string()
    theirs = "SELECT count(*) FROM pg_class WHERE relname ^@ 'procrastinate_'"
    functions = "SELECT count(*) FROM pg_proc WHERE proname ^@ 'procrastinate_'"
    types = "SELECT count(*) FROM pg_type WHERE typname ^@ 'procrastinate_'"
    with psycopg.connect(where, autocommit=True) as connection:
        assert schema.inspect(database.spelled) == ()
        connection.execute("DROP FUNCTION procrastinate_fetch_job_v2")
        assert schema.inspect(database.spelled) == ("the queue of a cluster lacks procrastinate_fetch_job_v2",)
        schema.downgrade(database.spelled, "0007")
        for query in (theirs, functions, types):
            assert connection.execute(query.encode()).fetchone() == (0,)
        schema.upgrade(database.spelled)
        assert schema.inspect(database.spelled) == ()


@pytest.mark.lab
async def test_a_transaction_whose_program_stands_still_does_not_hold_the_others(database: Database) -> None:
    store = Store(database)
    said = await store.write(lambda held: held.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one())
    await store.close()
    assert said == "20s"
