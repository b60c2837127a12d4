"""The same daemon on a database server: one of them at a time, and patient with a server that goes away.

The mail world is a process with a journal, the server a real PostgreSQL that is stopped at once, as a crash would stop
it, while mail goes out.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.postgres import Server
from tests.scenarios.conftest import BuildHouse, OpenTown
from tests.scenarios.house import PATIENCE, House, Row, Town, until

pytestmark = pytest.mark.lab

SPEED = 1500.0
DAY_SECONDS = 86_400 / SPEED
OUTAGES = 2
MORE = 6


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One that may go down without anybody else noticing."""
    server = Server.start()
    yield server
    server.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What was left behind, and what a second daemon said while the first ran."""

    journal: list[Row]
    messages: list[Row]
    second: tuple[int, str]
    holder: int
    unready: list[int]


@pytest.fixture(scope="module")
def run(open_town: OpenTown, build_house: BuildHouse, own_server: Server) -> Lived:
    start = datetime.now(UTC).isoformat()
    town = open_town("--start", start, "--speed", str(SPEED), "--accounts", "2", "--seed", "postgres")
    house = build_house(ca_file=town.ca_file, speed=SPEED, url=own_server.url(own_server.database()))
    house.enrol_all(town.accounts, ramp="esp", provider="custom", daily_limit=60)
    daemon = house.start()
    second = house.ended("run")
    unready = [go_down_in_mid_run(town, house, own_server) for _ in range(OUTAGES)]
    grown(town, MORE)
    until(lambda: not in_flight(house), seconds=PATIENCE, what="nothing is in flight", every=0.2)
    assert house.stop() == 0
    return Lived(
        journal=town.journal(),
        messages=house.export("messages"),
        second=(second.returncode, second.stderr),
        holder=daemon.pid,
        unready=unready,
    )


def grown(town: Town, more: int) -> None:
    """Wait until the servers took `more` messages."""
    before = len(town.journal())
    until(lambda: len(town.journal()) >= before + more, seconds=3 * DAY_SECONDS, what="mail goes out", every=0.005)


def go_down_in_mid_run(town: Town, house: House, server: Server) -> int:
    """Stop the server while mail goes out, and start it again once the daemon noticed; what `/readyz` said then."""
    grown(town, MORE)
    server.go_down()
    status = until(lambda: not_ready(house), seconds=PATIENCE, what="/readyz says that it is not ready", every=0.1)
    server.come_up()
    until(lambda: not not_ready(house), seconds=PATIENCE, what="/readyz says that it is ready", every=0.1)
    return status


def not_ready(house: House) -> int | None:
    status = house.status("/readyz")
    return None if status == 200 else status


def in_flight(house: House) -> list[Row]:
    return [row for row in house.export("messages") if row["outcome"] == "in_flight"]


def test_a_second_daemon_is_told_who_holds_the_ledger(run: Lived) -> None:
    code, said = run.second
    assert code == 75, said
    assert f"pid {run.holder} " in said


def test_a_server_that_is_away_makes_the_daemon_unready(run: Lived) -> None:
    assert run.unready == [503] * OUTAGES


def test_no_message_was_received_twice_and_none_is_unknown(run: Lived) -> None:
    received = Counter(row["message_id"] for row in run.journal if not row["own"])
    assert len(received) >= MORE * (OUTAGES + 1)
    assert max(received.values()) == 1
    known = {row["message_id"]: row["outcome"] for row in run.messages}
    assert {known.get(message_id) for message_id in received} <= {"accepted", "uncertain"}


def test_what_the_server_missed_was_kept_until_it_was_back(run: Lived) -> None:
    # The daemon itself never died: whatever it saw, it recorded.
    assert [row for row in run.messages if row["outcome_source"] == "recovery"] == []
    assert [row for row in run.messages if row["outcome"] == "uncertain"] == []
