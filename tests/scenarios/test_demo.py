"""`warmup demo`, called as its users call it: what it says adds up, and its servers agree."""

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.scenarios.house import WARMUP
from warmup.cli.schema import schema_text

# Far more than it takes alone: it shares the machine with other tests.
PATIENCE = 400


@pytest.fixture(scope="module")
def document() -> Any:
    """What six days came to; the exit code says that servers and ledger agree."""
    demo = start_demo(days=6)
    out, err = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 0, err
    return json.loads(out)


def start_demo(*options: str, days: int) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WARMUP")}
    command = [str(WARMUP), "demo", "--days", str(days), "--json", "--seed", "7", *options]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_document_keeps_to_its_schema(document: Any) -> None:
    Draft202012Validator(json.loads(schema_text("demo"))).validate(document)


def test_served_it_shows_its_metrics_until_it_is_told_to_stop() -> None:
    # Two simulated days a second at most: slow enough to be met, and the way to slow it down is met as well.
    demo = start_demo("--serve", "--speed", "172800", days=1)
    assert demo.stderr is not None
    assert demo.stdout is not None
    try:
        said = iter(demo.stderr.readline, "")
        address = next(line.split()[1] for line in said if line.startswith("serving http")).removesuffix("/metrics,")
        assert any("serving until" in line for line in said)
        with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
            metrics = answer.read().decode()
        with urllib.request.urlopen(f"{address}/readyz", timeout=30) as answer:
            assert answer.status == 200
        demo.send_signal(signal.SIGINT)
        out, _ = demo.communicate(timeout=PATIENCE)
    finally:
        demo.kill()
    assert demo.returncode == 0
    sent = json.loads(out)["totals"]["sent"]
    counted = [line for line in metrics.splitlines() if line.startswith("warmup_messages_total{")]
    assert sum(float(line.split()[-1]) for line in counted if 'outcome="accepted"' in line) == sent > 0


def test_servers_saw_nothing_twice_nothing_above_a_limit_and_nothing_unknown(document: Any) -> None:
    totals = document["totals"]
    assert totals["sent"] > 100
    assert {key: totals[key] for key in ("duplicates", "over_limit", "untracked")} == {
        "duplicates": 0,
        "over_limit": 0,
        "untracked": 0,
    }


def test_the_sums_of_the_contract_hold(document: Any) -> None:
    totals: Mapping[str, int] = document["totals"]
    assert totals["planned"] == sum(totals[k] for k in ("sent", "lapsed", "deferred", "refused", "uncertain"))
    assert totals["sent"] == sum(totals[k] for k in ("seen", "missing", "unobserved"))
    assert totals["seen"] == sum(totals[k] for k in ("inbox", "promotions", "spam", "other"))
    assert totals["sent"] == sum(mailbox["sent"] for mailbox in document["mailboxes"])


def test_no_day_passes_its_target_and_no_target_its_ceiling(document: Any) -> None:
    days = [(mailbox["address"], day) for mailbox in document["mailboxes"] for day in mailbox["days"]]
    assert {day["day"] for _, day in days} >= {1, 2, 3, 4, 5, 6}
    assert [(who, day["day"]) for who, day in days if not day["sent"] <= day["target"] <= day["ceiling"]] == []
    assert [
        (who, day["day"], lane["provider"])
        for who, day in days
        for lane in day["lanes"]
        if lane["sent"] > lane["target"]
    ] == []


def test_no_mailbox_passes_its_limit_in_any_24_hours(document: Any) -> None:
    most = {mailbox["address"]: (mailbox["max_in_24h"], mailbox["limit"]) for mailbox in document["mailboxes"]}
    assert all(0 < count <= limit for count, limit in most.values()), most
    # One provider's servers enforce a small limit of their own, which comes near enough to bind.
    assert min(limit for _, limit in most.values()) == 12


def test_the_same_seed_gives_the_same_totals() -> None:
    both = [start_demo(days=3) for _ in range(2)]
    said = [demo.communicate(timeout=PATIENCE) for demo in both]
    assert [demo.returncode for demo in both] == [0, 0], [err for _, err in said]
    first, second = (json.loads(out) for out, _ in said)
    assert first["totals"] == second["totals"]
    assert first["totals"]["sent"] > 0
