"""Two nodes on one ledger: they share the work, and one that is killed is missed for less than a minute.

The mail world is a process with a journal, the server a real PostgreSQL. Some accounts' messages are taken and never
answered, so that whoever is killed leaves messages in flight of which some have arrived.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.postgres import Server
from tests.scenarios.conftest import BuildHouse, OpenTown
from tests.scenarios.house import PATIENCE, House, Row, Town, until

pytestmark = pytest.mark.lab

SPEED = 600.0
LIMIT = 60
EACH = 3
MORE = 6
TAKEN_OVER_SECONDS = 60.0
SENT = """
    SELECT node FROM attempts JOIN outcomes ON outcomes.attempt_id = attempts.id WHERE outcome = 'accepted'
        GROUP BY node HAVING count(*) >= %s ORDER BY node
"""
FLYING = "SELECT flights.slot_id FROM flights JOIN attempts ON attempts.id = flights.attempt_id WHERE node = %s"
AT_WORK = """
    SELECT worker_id FROM flights JOIN attempts ON attempts.id = flights.attempt_id
        JOIN procrastinate_jobs ON args->'mailboxes' @> to_jsonb(flights.mailbox_id)
        WHERE node = %s AND status = 'doing' AND args->>'step' = 'send'
"""
Connection = psycopg.Connection[tuple[Any, ...]]
SILENT = tuple(f"ada@{domain}" for domain in ("gmail.test", "outlook.test", "corp.test"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What was left behind, and what others were told meanwhile."""

    journal: list[Row]
    messages: list[Row]
    attempts: list[Row]
    nodes: tuple[str, str]
    in_flight: set[int]
    local: tuple[int, str]
    upgrade: tuple[int, str]
    same_folder: tuple[int, str]
    dry_run: tuple[int, str]
    pids: tuple[int, int]
    ended: int


@pytest.fixture(scope="module")
def run(open_town: OpenTown, build_house: BuildHouse, postgres: Server) -> Iterator[Lived]:
    faults = [option for who in SILENT for option in ("--fault", f"silent-after-dot:{who}:6")]
    start = datetime.now(UTC).isoformat()
    town = open_town("--start", start, "--speed", str(SPEED), "--accounts", "6", "--seed", "cluster", *faults)
    database = postgres.database()
    first = build_house(ca_file=town.ca_file, speed=SPEED, url=postgres.url(database))
    first.enrol_all(town.accounts, ramp="esp", provider="custom", daily_limit=LIMIT)
    first.environ = as_a_node(first.environ)
    second = House(folder=first.folder.with_name("second"), environ=first.environ, url=first.url)
    second.join(first)
    try:
        yield lived(town, first, second, postgres.where(database))
    finally:
        second.close()


def as_a_node(environ: object) -> dict[str, str]:
    """What a node is told: the lease is real seconds, the grace ledger's, in which half a minute is five hours."""
    assert isinstance(environ, dict)
    node = {"ENGINE__KIND": "cluster", "SEND__SESSION_SECONDS": "15", "SEND__LEASE_SECONDS": "16"}
    return environ | {f"WARMUP__{name}": value for name, value in {**node, "SEND__GRACE_SECONDS": "43200"}.items()}


def lived(town: Town, first: House, second: House, where: str) -> Lived:
    """Both send; the first is killed in mid-flight; the second goes on alone."""
    pids = (first.start().pid, second.start().pid)
    local = first.ended("run", WARMUP__ENGINE__KIND="local")
    upgrade = first.ended("db", "upgrade")
    same_folder = first.ended("run", **first.environ)
    dry_run = second.ended("run", "--dry-run", **first.environ)
    with psycopg.connect(where, autocommit=True) as ledger:
        names = until(lambda: both_sent(ledger), seconds=PATIENCE, what="both nodes send")
        nodes = names if f":{pids[0]}:" in names[0] else names[::-1]
        worker = until(lambda: worker_of(ledger, nodes[0]), seconds=PATIENCE, what="the first has one in flight")
        first.kill()
        in_flight = {slot for (slot,) in ledger.execute(FLYING, [nodes[0]])}
        until(lambda: not holds_jobs(ledger, worker), seconds=TAKEN_OVER_SECONDS, what="its work is taken over")
        before = len(town.journal())
        until(lambda: len(town.journal()) >= before + MORE, seconds=PATIENCE, what="mail goes out", every=0.1)
        until(lambda: not ledger.execute(FLYING, [nodes[0]]).fetchone(), seconds=PATIENCE, what="nothing is in flight")
    ended = second.stop()
    return Lived(
        journal=town.journal(),
        messages=second.export("messages"),
        attempts=second.export("attempts"),
        nodes=nodes,
        in_flight=in_flight,
        local=(local.returncode, local.stderr),
        upgrade=(upgrade.returncode, upgrade.stderr),
        same_folder=(same_folder.returncode, same_folder.stderr),
        dry_run=(dry_run.returncode, dry_run.stderr),
        pids=pids,
        ended=ended,
    )


def both_sent(ledger: Connection) -> tuple[str, str] | None:
    """The two nodes' names, once each had some messages taken."""
    busy = [node for (node,) in ledger.execute(SENT, [EACH])]
    return (busy[0], busy[1]) if len(busy) == 2 else None


def worker_of(ledger: Connection, node: str) -> int | None:
    """The number of a node's worker, once the node has a message in flight and the job of it."""
    row = ledger.execute(AT_WORK, [node]).fetchone()
    return row[0] if row else None


def holds_jobs(ledger: Connection, worker: int) -> bool:
    query = "SELECT FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = %s"
    return ledger.execute(query, [worker]).fetchone() is not None


def test_both_nodes_share_the_work(run: Lived) -> None:
    sent = Counter(row["node"] for row in run.attempts)
    assert set(sent) == set(run.nodes)
    assert min(sent.values()) >= EACH


def test_no_message_was_received_twice_and_none_is_unknown(run: Lived) -> None:
    received = Counter(row["message_id"] for row in run.journal if not row["own"])
    assert max(received.values()) == 1
    known = {row["message_id"]: row["outcome"] for row in run.messages}
    assert {known.get(message_id) for message_id in received} <= {"accepted", "uncertain", "in_flight"}
    assert len(received) >= 2 * EACH + MORE


def test_no_wall_is_passed_by_the_servers_own_count(run: Lived) -> None:
    taken: dict[str, list[datetime]] = {}
    for row in run.journal:
        taken.setdefault(row["account"], []).append(datetime.fromisoformat(row["at"]))
    assert taken
    for account, instants in taken.items():
        for early, late in zip(instants, instants[LIMIT:], strict=False):
            assert late - early >= timedelta(hours=24), account


def test_what_the_killed_node_had_in_flight_is_never_made_again(run: Lived) -> None:
    assert run.in_flight
    rows = [row for row in run.messages if row["slot"] in run.in_flight]
    assert {row["attempts"] for row in rows} == {1}


def test_nothing_is_lost_with_a_node(run: Lived) -> None:
    # What came due while nobody had its shard went out late, but in time.
    assert [row for row in run.messages if row["outcome"] == "lapsed"] == []
    assert run.ended == 0


def test_a_daemon_of_one_machine_and_an_upgrade_are_told_who_has_the_ledger(run: Lived) -> None:
    for code, said in (run.local, run.upgrade):
        assert code == 75, said
        assert f"pid {run.pids[0]} " in said or f"pid {run.pids[1]} " in said


def test_a_folder_is_one_nodes(run: Lived) -> None:
    code, said = run.same_folder
    assert code == 75, said
    assert f"pid {run.pids[0]} " in said


def test_a_node_that_would_send_nothing_takes_no_work(run: Lived) -> None:
    code, said = run.dry_run
    assert code == 2, said
    assert said.startswith("error: ")
