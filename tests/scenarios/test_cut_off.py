"""A node that reaches mail servers but not the ledger: it sends nothing it has not claimed, and tells what it knows.

Two nodes; one of them reaches PostgreSQL by way of a proxy that the test cuts while messages are on their way. Then the
server itself goes down as in a crash, and comes back.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest

from tests.postgres import Server
from tests.proxy import Proxy
from tests.scenarios.conftest import BuildHouse, OpenTown
from tests.scenarios.house import PATIENCE, House, Row, Town, until
from tests.scenarios.test_cluster import FLYING, Connection, as_a_node, both_sent

pytestmark = pytest.mark.lab

SPEED = 600.0
MORE = 6
SLOW = tuple(f"ada@{domain}" for domain in ("gmail.test", "outlook.test", "corp.test"))


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One that may go down without anybody else noticing."""
    server = Server.start()
    yield server
    server.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What was left behind. `in_flight` are the slots that were, and nobody answered for, when the node was cut off."""

    journal: list[Row]
    messages: list[Row]
    attempts: list[Row]
    cut_off: str
    in_flight: set[int]
    claimed_by_the_other: int
    unready: tuple[int, int]
    ended: tuple[int, int]


@pytest.fixture(scope="module")
def run(open_town: OpenTown, build_house: BuildHouse, own_server: Server) -> Iterator[Lived]:
    # Late enough for the node to be cut off before the answer comes.
    faults = [option for who in SLOW for option in ("--fault", f"slow:{who}:6")]
    start = datetime.now(UTC).isoformat()
    town = open_town("--start", start, "--speed", str(SPEED), "--accounts", "6", "--seed", "cut-off", *faults)
    database = own_server.database()
    near = build_house(ca_file=town.ca_file, speed=SPEED, url=own_server.url(database))
    near.enrol_all(town.accounts, ramp="esp", provider="custom", daily_limit=60)
    near.environ = as_a_node(near.environ)
    with Proxy(own_server.port) as proxy:
        url = near.url.replace(f":{own_server.port}/", f":{proxy.port}/")
        far = House(folder=near.folder.with_name("far"), environ=near.environ, url=url)
        far.join(near)
        try:
            yield lived(town, near, far, own_server, proxy, own_server.where(database))
        finally:
            far.close()


def lived(town: Town, near: House, far: House, server: Server, proxy: Proxy, where: str) -> Lived:
    near.start()
    pid = far.start().pid
    with psycopg.connect(where, autocommit=True) as ledger:
        nodes = until(lambda: both_sent(ledger), seconds=PATIENCE, what="both nodes send")
        cut_off = next(node for node in nodes if f":{pid}:" in node)
        until(lambda: has_a_slow_one(ledger, cut_off), seconds=PATIENCE, what="it has one in flight", every=0.005)
        proxy.cut()
        until(lambda: far.status("/readyz") == 503, seconds=PATIENCE, what="it says that it is not ready", every=0.1)
        in_flight = flying_of(ledger, cut_off)
        before = claims_of_others(ledger, cut_off)
        until(
            lambda: claims_of_others(ledger, cut_off) >= before + MORE, seconds=PATIENCE, what="the other one goes on"
        )
        claimed = claims_of_others(ledger, cut_off) - before
        proxy.mend()
        until(lambda: far.status("/readyz") == 200, seconds=PATIENCE, what="it is back", every=0.1)
        until(lambda: not in_flight & flying_of(ledger, cut_off), seconds=PATIENCE, what="it says how they fared")
    unready = go_down(server, near, far)
    before = len(town.journal())
    until(lambda: len(town.journal()) >= before + MORE, seconds=PATIENCE, what="mail goes out again", every=0.1)
    ended = (near.stop(), far.stop())
    return Lived(
        journal=town.journal(),
        messages=near.export("messages"),
        attempts=near.export("attempts"),
        cut_off=cut_off,
        in_flight=in_flight,
        claimed_by_the_other=claimed,
        unready=unready,
        ended=ended,
    )


def flying_of(ledger: Connection, node: str) -> set[int]:
    """The slots that a node has in flight."""
    return {slot for (slot,) in ledger.execute(FLYING, [node])}


def has_a_slow_one(ledger: Connection, node: str) -> bool:
    """True while a node waits for the answer of a server that takes its time."""
    query = f"{FLYING} AND flights.mailbox_id IN (SELECT id FROM mailboxes WHERE address = ANY (%s))"
    return ledger.execute(query.encode(), [node, list(SLOW)]).fetchone() is not None


def claims_of_others(ledger: Connection, node: str) -> int:
    (count,) = ledger.execute("SELECT count(*) FROM attempts WHERE node <> %s", [node]).fetchone() or (0,)
    return int(count)


def go_down(server: Server, *houses: House) -> tuple[int, int]:
    """Stop the server until every node noticed, and start it again; what they said."""
    server.go_down()
    said = [until(partial(not_ready, house), seconds=PATIENCE, what="it noticed", every=0.1) for house in houses]
    server.come_up()
    for house in houses:
        until(partial(is_ready, house), seconds=PATIENCE, what="it is back", every=0.1)
    return said[0], said[1]


def not_ready(house: House) -> int | None:
    status = house.status("/readyz")
    return None if status == 200 else status


def is_ready(house: House) -> bool:
    return not_ready(house) is None


def test_nothing_was_sent_that_was_not_claimed(run: Lived) -> None:
    claimed = {row["slot"] for row in run.attempts}
    slot_of = {row["message_id"]: row["slot"] for row in run.messages}
    received = [row["message_id"] for row in run.journal if not row["own"]]
    assert received
    assert {slot_of.get(message_id) for message_id in received} <= claimed


def test_no_message_was_received_twice(run: Lived) -> None:
    received = Counter(row["message_id"] for row in run.journal if not row["own"])
    assert max(received.values()) == 1


def test_the_other_node_went_on(run: Lived) -> None:
    assert run.claimed_by_the_other >= MORE


def test_the_node_that_was_cut_off_told_how_its_messages_fared(run: Lived) -> None:
    assert run.in_flight
    ends = {(row["outcome"], row["outcome_source"]) for row in run.messages if row["slot"] in run.in_flight}
    assert ends == {("accepted", "smtp")}


def test_both_nodes_wait_for_a_server_that_is_away(run: Lived) -> None:
    assert run.unready == (503, 503)
    assert run.ended == (0, 0)
    assert [row for row in run.messages if row["outcome_source"] == "recovery"] == []
