"""The fleet at a glance: the same beside a daemon, after one and without the key, and nothing changes by looking."""

import hashlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Desk
from tests.cli.story import MONDAY, founded, judgement
from tests.ledger.conftest import HOUR, MINUTE, World
from warmup.ledger.holds import NewHold
from warmup.ledger.lock import DaemonLock
from warmup.ledger.sightings import NewSighting
from warmup.ledger.standings import Subject
from warmup.policy.authentication import Method
from warmup.policy.fate import Placement
from warmup.policy.standing import Standing


async def a_day_begun(world: World) -> None:
    """Four planned, three sent, two standings judged, one problem with an escape sequence in it."""
    ann, bob = world.sender, world.seeds[0]
    slots = await world.plan(4, at=MONDAY)
    for slot in slots[:3]:
        await world.send(slot)
    judgements = [
        judgement(Subject.MAILBOX, ann.address, mailbox_id=ann.id),
        judgement(Subject.LANE, ann.address, mailbox_id=ann.id, provider="one.test", standing=Standing.SLOWED),
    ]
    await world.ledger.standings.append(judgements, now=MONDAY + 5 * MINUTE)
    await world.ledger.mailboxes.note_problem(bob.id, "the server said \x1b[31mno\nand closed", now=MONDAY)


async def test_status_tells_the_day_of_every_mailbox(ready: Desk) -> None:
    async with founded(ready) as world:
        await a_day_begun(world)
    told = ready.warmup("status", "--json").document
    assert (told["at"], told["daemon"]) == ("2031-03-03T09:05:00Z", None)
    ann, bob, eve = told["mailboxes"]
    assert ann == {
        "address": "ann@send.test",
        "account": "127.0.0.1/ann@send.test",
        "provider": "custom",
        "receiver": "send.test",
        "role": "both",
        "state": "active",
        "limit": 50,
        "target": None,
        "ramp": "standard",
        "timezone": "UTC",
        "day": 1,
        "sent_today": 3,
        "target_today": 4,
        "sent_24h": 3,
        "own_24h": 0,
        "inbox_ratio": 0.95,
        "lower_ratio": 0.85,
        "upper_ratio": 0.99,
        "standing": "slowed",
        "capped_by": None,
        "suppressed": None,
        "holds": [],
        "authentication": [],
        "problem": None,
        "problem_at": None,
    }
    assert (bob["problem"], bob["problem_at"]) == ("the server said \x1b[31mno\nand closed", "2031-03-03T09:00:00Z")
    assert (eve["standing"], eve["inbox_ratio"], eve["day"]) == (None, None, 0)


async def test_the_table_says_the_same_and_obeys_no_escape_sequence(ready: Desk) -> None:
    async with founded(ready) as world:
        await a_day_begun(world)
    lines = ready.warmup("status").out.splitlines()
    assert lines[0] == "2031-03-03T09:05:00Z  daemon: not running  3 mailboxes, 3 of 4 sent today"
    ann, bob = (next(line for line in lines if line.startswith(name)) for name in ("ann@", "bob@"))
    assert "3/4/50" in ann
    assert "95% (85% to 99%)" in ann
    assert "slowed" in ann
    assert bob.endswith("the server said [31mno and closed")


async def test_what_servers_said_is_shown(ready: Desk) -> None:
    async with founded(ready) as world:
        (slot,) = await world.plan(1, at=MONDAY)
        await world.send(slot)
        vouched = {Method.SPF: "pass", Method.DKIM: "fail"}
        seen = NewSighting(slot_id=slot.id, placement=Placement.INBOX, vouched=vouched)
        await world.ledger.sightings.record(slot.recipient_id, [seen], now=MONDAY + MINUTE)
        await world.ledger.standings.suppress("eve@two.test", "550 5.1.1 no such user", now=MONDAY)
        hold = NewHold(until=MONDAY + HOUR, reason="421 4.7.28 slow down", provider="one.test")
        await world.ledger.holds.hold(world.sender.account_id, hold, now=MONDAY)
    ann, _, eve = ready.warmup("status", "--json").document["mailboxes"]
    assert ann["authentication"] == [{"provider": "one.test", "spf": 1.0, "dkim": 0.0, "dmarc": None}]
    held = {"provider": "one.test", "of": None, "until": "2031-03-03T10:00:00Z", "reason": "421 4.7.28 slow down"}
    assert ann["holds"] == [held]
    assert eve["suppressed"] == "550 5.1.1 no such user"
    shown = ready.warmup("status").out
    assert "one.test waits until 2031-03-03T10:00:00Z: 421 4.7.28 slow down" in shown
    assert "nobody writes to it until `warmup mailbox check eve@two.test`: 550 5.1.1 no such user" in shown


async def test_a_paused_mailbox_says_so(ready: Desk) -> None:
    async with founded(ready):
        pass
    assert ready.warmup("mailbox", "pause", "ann@send.test").code == 0
    assert "paused (-)" in ready.warmup("status").out


async def test_it_is_read_while_a_daemon_holds_the_ledger_and_writes(ready: Desk) -> None:
    async with founded(ready) as world:
        await a_day_begun(world)
        with DaemonLock.acquire(world.ledger.path, now=MONDAY), writing(world.ledger.path):
            told = ready.warmup("status", "--json").document
    assert told["daemon"]["pid"] == os.getpid()
    assert told["mailboxes"][0]["sent_today"] == 3


@contextmanager
def writing(ledger: Path) -> Iterator[None]:
    """A write that is under way and not committed."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE days SET target = 77")
        yield
        connection.execute("ROLLBACK")


async def test_looking_needs_no_key_and_changes_nothing(ready: Desk) -> None:
    async with founded(ready) as world:
        await a_day_begun(world)
    (ready.folder / "warmup.key").unlink()
    before = fingerprint(ready)
    for arguments in (("status",), ("metrics",), ("plan", "ann@send.test"), ("export", "messages")):
        assert ready.warmup(*arguments).code == 0
    assert fingerprint(ready) == before


def fingerprint(desk: Desk) -> str:
    return hashlib.sha256((desk.folder / "warmup.db").read_bytes()).hexdigest()


@pytest.mark.parametrize("arguments", [("status",), ("metrics",), ("plan", "a@b.test"), ("export", "daily")])
def test_without_a_ledger_it_is_78_and_says_how_to_begin(desk: Desk, arguments: tuple[str, ...]) -> None:
    ended = desk.warmup(*arguments)
    assert ended.code == 78
    assert len(ended.errors) == 1
    assert "`warmup init`" in ended.errors[0]
    assert ended.out == ""
    assert not (desk.folder / "warmup.db").exists()


def test_an_empty_fleet_says_how_to_begin(ready: Desk) -> None:
    ended = ready.warmup("status")
    assert ended.code == 0
    assert "warmup mailbox add" in ended.err
    assert ready.warmup("status", "--json").document["mailboxes"] == []


async def test_a_watch_draws_again_until_ctrl_c(ready: Desk) -> None:
    async with founded(ready):
        pass
    assert watched(ready, times=2) == (0, "")


def watched(desk: Desk, *, times: int) -> tuple[int, str]:
    """Exit code and stderr of a watch that was interrupted after it had drawn so many times."""
    with subprocess.Popen(
        [str(COMMAND), "status", "--watch"],
        cwd=desk.folder,
        env=desk.surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watch:
        assert watch.stdout is not None
        drawn = 0
        for line in watch.stdout:
            drawn += "3 mailboxes" in line
            if drawn == times:
                break
        watch.send_signal(signal.SIGINT)
        _, complaints = watch.communicate(timeout=30)
        return watch.returncode, complaints


def test_a_watch_is_for_people(ready: Desk) -> None:
    assert ready.warmup("status", "--watch", "--json").code == 2
