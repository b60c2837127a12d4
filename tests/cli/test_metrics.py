"""One exposition without a daemon: the figures of the ledger, in words that Prometheus takes."""

import os
import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.conftest import Desk
from tests.cli.story import MONDAY, founded, judgement
from tests.ledger.conftest import HOUR
from warmup.ledger.standings import Subject
from warmup.mail.answer import Refused, Reply
from warmup.policy.fate import Placement


@pytest.fixture
async def told(ready: Desk) -> Desk:
    """Four planned: two accepted and seen in inbox and spam, one refused, one to come; one lane judged."""
    async with founded(ready) as world:
        ann = world.sender
        slots = await world.plan(4, at=MONDAY)
        for slot, placement in zip(slots[:2], (Placement.INBOX, Placement.SPAM), strict=True):
            await world.send(slot)
            await world.see(slot, placement, MONDAY + HOUR)
        await world.send(slots[2], Refused(reply=Reply(code=550, status="5.1.1", text="no such user")))
        lane = judgement(Subject.LANE, ann.address, mailbox_id=ann.id, provider="one.test")
        await world.ledger.standings.append([lane], now=MONDAY)
    return ready


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_exposition_says_what_the_ledger_knows(told: Desk) -> None:
    found = samples(told.warmup("metrics").out)

    def value(name: str, **labels: str) -> float | None:
        return found.get((f"warmup_{name}", frozenset(labels.items())))

    ann, one, two = {"mailbox": "ann@send.test"}, {"provider": "one.test"}, {"provider": "two.test"}
    assert value("messages_total", **ann, **one, outcome="accepted") == 1
    assert value("messages_total", **ann, **one, outcome="refused") == 1
    assert value("placements_total", **ann, **one, placement="inbox") == 1
    assert value("placements_total", **ann, **two, placement="spam") == 1
    assert value("bounces_total", **one, cause="recipient_unknown") == 1
    assert value("day_target_messages", **ann) == 4
    assert value("day_sent_messages", **ann) == 2
    assert value("limit_used_ratio", **ann) == 2 / 50
    assert value("standing", **ann, **one, standing="sound") == 1
    assert value("inbox_lower_ratio", **ann, **one) == 0.85
    assert value("build_info", version=told.warmup("--version").out.split()[1]) == 1


def test_the_document_has_the_same_samples(told: Desk) -> None:
    document = told.warmup("metrics", "--json").document
    assert {
        (sample["name"], frozenset(sample["labels"].items())): sample["value"]
        for family in document["metrics"]
        for sample in family["samples"]
    } == samples(told.warmup("metrics").out)


def test_promtool_is_content(told: Desk) -> None:
    promtool = shutil.which("promtool")
    if promtool is None and os.environ.get("WARMUP_LAB") == "require":
        pytest.fail("promtool is missing; apt-get install prometheus", pytrace=False)
    if promtool is None:
        pytest.skip("promtool is missing; apt-get install prometheus")
    text = told.warmup("metrics").out
    said = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
