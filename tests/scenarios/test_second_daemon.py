"""One daemon a ledger: the second goes away and says who is there; the first says how it is, and ends in order."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.scenarios.conftest import BuildHouse, OpenTown
from tests.scenarios.house import House

DRAIN_SECONDS = 30
"""As the house is configured."""


@pytest.fixture(scope="module")
def house(open_town: OpenTown, build_house: BuildHouse) -> Iterator[House]:
    town = open_town("--start", datetime.now(UTC).isoformat(), "--accounts", "1")
    house = build_house(ca_file=town.ca_file)
    for account in town.accounts[:2]:
        house.enrol(account, "--provider", "custom", "--daily-limit", "60")
    house.start()
    yield house
    house.close()


def test_a_second_daemon_exits_75_within_five_seconds_and_names_the_holder(house: House) -> None:
    began = time.monotonic()
    second = house.ended("run")
    assert time.monotonic() - began < 5
    assert second.returncode == 75
    assert f"pid {house.daemons[-1].pid} " in second.stderr
    # And the first is none the worse for it.
    assert house.get("/readyz")[0] == 200


def test_the_daemon_says_that_it_is_ready_and_alive(house: House) -> None:
    assert house.get("/readyz")[0] == 200
    assert house.get("/livez")[0] == 200


def test_the_metrics_name_the_build_and_the_mailboxes(house: House) -> None:
    status, text = house.get("/metrics")
    assert status == 200
    assert "\nwarmup_build_info{" in text


def test_promtool_is_content_with_the_metrics(house: House) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("WARMUP_LAB") == "require":
            pytest.fail("WARMUP_LAB=require, and promtool is not installed: apt-get install prometheus")
        pytest.skip("promtool is not installed: apt-get install prometheus")
    _, text = house.get("/metrics")
    verdict = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert (verdict.returncode, verdict.stdout + verdict.stderr) == (0, "")


def test_sigterm_ends_the_daemon_in_order_and_lets_the_ledger_go(house: House) -> None:
    daemon = house.daemons[-1]
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=DRAIN_SECONDS + 30) == 0
    assert time.monotonic() - began < DRAIN_SECONDS
    assert not (house.folder / "warmup.db.http").exists()
    house.start()
    assert house.stop() == 0
