"""`secrets rotate`, killed before any write it makes to key or ledger, beside a running daemon, and in time.

What is sealed is opened here with what lies on the disk and nothing of the program's: the key file is read line by
line, the rows from beside. Besides: no core and no file for others' eyes while the daemon runs, whatever its umask.
"""

import json
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tests.scenarios.house import PATIENCE, WARMUP, House, NotInTime, Town, until
from tests.torture.outcome import Form, Outcome
from tests.torture.stage import DirectedStage
from tests.torture.strace import SYNCING, WRITING, Call, calls_in

SPEED = 1500.0
KILLS = {Form.SHORT: 7, Form.FULL: 50}
MAILBOXES = {Form.SHORT: 60, Form.FULL: 1200}
"""A thousand is one batch."""
TIMED = {Form.SHORT: 0, Form.FULL: 10_000}
MOST_SECONDS = 10.0
ROTATIONS = {Form.SHORT: 1, Form.FULL: 6}
"""Beside a running daemon."""
MORE = 4
"""Messages that have to be taken after each of them."""
IDLE_SECONDS = 40.0
"""Real: a session is kept for 30 once nobody uses it."""
OWN = ("run.log", "config.toml")
"""What the house wrote by itself."""
MOVING = ("rename", "unlink")

_ADD = {"smtp": "127.0.0.1:25", "smtp_security": "none", "imap": "127.0.0.1:143", "imap_security": "none"}


@dataclass(slots=True, kw_only=True)
class Found:
    """What was tried, and what was broken by it."""

    tries: int = 0
    losses: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)


def run(form: Form, folder: Path) -> Outcome:
    """Kill rotations, rotate under a daemon, and look at what lies about."""
    parts = [(killed, folder / "killed"), (beside_a_daemon, folder / "beside")]
    with ThreadPoolExecutor(len(parts)) as threads:
        founds = [each.result() for each in [threads.submit(part, form, place) for part, place in parts]]
    # By itself: it is measured.
    founds.append(in_time(form, folder / "timed"))
    losses = [text for found in founds for text in found.losses]
    breaches = [text for found in founds for text in found.breaches]
    return Outcome(
        scenario="secrets",
        tries=sum(found.tries for found in founds),
        losses=len(losses),
        breaches=len(breaches),
        figures="; ".join(text for found in founds for text in found.figures),
        broken=(*losses, *breaches)[:20],
    )


def enrolled(folder: Path, count: int) -> House:
    """A house of many mailboxes whose passwords were never tried."""
    house = House(folder=folder)
    house.install()
    fleet = folder.with_name(f"{folder.name}.csv")
    fleet.touch(mode=0o600)
    columns = ["address", "password", *_ADD]
    rows = ([address, secret_of(address), *_ADD.values()] for address in addresses(count))
    fleet.write_text("\n".join(",".join(row) for row in [columns, *rows]) + "\n", encoding="utf-8")
    subprocess.run(
        [WARMUP, "mailbox", "import", "--no-verify", fleet],
        env=house.surroundings,
        capture_output=True,
        check=True,
        timeout=10 * PATIENCE,
    )
    fleet.unlink()
    return house


def addresses(count: int) -> list[str]:
    """So many."""
    return [f"m{number}@d{number % 40}.test" for number in range(count)]


def secret_of(address: str) -> str:
    """What its password is."""
    return f"pass of {address}"


def killed(form: Form, folder: Path) -> Found:
    """Rotations killed before calls that are spread over all they make."""
    folder.mkdir()
    first, found = enrolled(folder / "first", MAILBOXES[form]), Found()
    shutil.copytree(first.folder, folder / "traced")
    traced(House(folder=folder / "traced"), folder / "calls.log")
    calls = calls_in(folder / "calls.log")
    states: Counter[str] = Counter()
    for number, call in enumerate(spread(calls, folder / "calls.log", KILLS[form])):
        shutil.copytree(first.folder, folder / str(number))
        house = House(folder=folder / str(number))
        signal_option = ("-e", f"inject={call.name}:signal=SIGKILL:when={call.number}")
        if traced(house, folder / f"{number}.log", *signal_option) == 0:
            found.breaches.append(f"the kill before {call} did not strike")
            continue
        found.tries += 1
        states[state_of_keys(house)] += 1
        found.losses += [f"killed before {call}: {text}" for text in unopened(house, MAILBOXES[form])]
        found.breaches += [f"killed before {call}: {text}" for text in not_finished(house, MAILBOXES[form])]
        shutil.rmtree(house.folder)
    left = ", ".join(f"{count} with {state}" for state, count in sorted(states.items()))
    found.figures.append(f"{found.tries} kills among {len(calls)} calls left {left}")
    return found


def traced(house: House, log: Path, *options: str) -> int:
    """Rotate under strace; how it ended."""
    names = ",".join((*WRITING, *SYNCING, *MOVING))
    only = [
        word for name in ("", "warmup.key", "warmup.key.new", "warmup.db", "warmup.db-wal") for word in ("-P", name)
    ]
    only = [word if word == "-P" else str(house.folder / word) for word in only]
    command = [
        "strace",
        "-f",
        "-o",
        str(log),
        *only,
        "-e",
        f"trace={names}",
        *options,
        str(WARMUP),
        "secrets",
        "rotate",
    ]
    done = subprocess.run(command, env=house.surroundings, capture_output=True, timeout=PATIENCE, check=False)
    return done.returncode


def spread(calls: Sequence[Call], log: Path, count: int) -> list[Call]:
    """Of the calls that are about the key file half of `count`, of the others the rest, both evenly."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if "(" in line and "resumed>" not in line]
    lines = [line for line in lines if any(f" {name}(" in line for name in (*WRITING, *SYNCING, *MOVING))]
    assert len(lines) == len(calls), log
    about_keys = [call for call, line in zip(calls, lines, strict=True) if "warmup.key" in line]
    others = [call for call in calls if call not in about_keys]
    first = evenly(about_keys, -(-count // 2))
    return [*first, *evenly(others, count - len(first))]


def evenly(calls: Sequence[Call], count: int) -> list[Call]:
    """So many of them, as far from each other as they can be."""
    count = min(count, len(calls))
    return [calls[(2 * number + 1) * len(calls) // (2 * count)] for number in range(count)]


def keys_of(house: House) -> list[bytes]:
    """The lines of the key file."""
    return (house.folder / "warmup.key").read_bytes().split()


def state_of_keys(house: House) -> str:
    """How many keys the file has, and whether a replacement lies beside it."""
    beside = " and an unfinished file" if (house.folder / "warmup.key.new").exists() else ""
    return f"{len(keys_of(house))} key(s){beside}"


def sealed(house: House) -> list[tuple[str, bytes]]:
    """Every secret as it lies in the ledger, and whose it is."""
    query = "SELECT m.address, c.sealed FROM credentials c JOIN mailboxes m ON m.id = c.mailbox_id"
    with closing(sqlite3.connect(f"file:{house.ledger}?mode=ro", uri=True, timeout=PATIENCE)) as ledger:
        identity = ledger.execute("SELECT identity_key_sealed FROM installation").fetchall()
        return [("", bytes(identity[0][0])), *((str(who), bytes(what)) for who, what in ledger.execute(query))]


def unopened(house: House, count: int) -> list[str]:
    """Each secret that the key file on the disk does not open, or that is another than it was."""
    rows = sealed(house)
    if len(rows) != 2 * count + 1:
        return [f"{len(rows)} secrets are kept of {2 * count + 1}"]
    try:
        keys = MultiFernet([Fernet(key) for key in keys_of(house)])
        told = {who: json.loads(keys.decrypt(what))["secret"] for who, what in rows}
    except (InvalidToken, ValueError) as lost:
        return [f"a secret does not open with the key file that is left ({type(lost).__name__})"]
    return [f"the secret of {who} is another" for who, secret in told.items() if who and secret != secret_of(who)]


def not_finished(house: House, count: int) -> list[str]:
    """What is wrong once the rotation was run again."""
    before = keys_of(house)
    done = house.ended("secrets", "rotate")
    if done.returncode != 0:
        return [f"the next rotation ended with {done.returncode}: {done.stderr.strip()[-200:]}"]
    keys = keys_of(house)
    if len(keys) != 1 or keys[0] == before[-1]:
        return ["the next rotation did not end what was begun"]
    left = [path.name for path in house.folder.glob("warmup.key.*")]
    return [*unopened(house, count), *(f"{name} is left behind" for name in left)]


def in_time(form: Form, folder: Path) -> Found:
    """One rotation of a large fleet."""
    found, count = Found(), TIMED[form]
    if not count:
        return found
    house = enrolled(folder, count)
    began = time.monotonic()
    house("secrets", "rotate")
    took = time.monotonic() - began
    found.tries += 1
    found.figures.append(f"{count} mailboxes in {took:.1f} s")
    found.losses += unopened(house, count)
    if took > MOST_SECONDS:
        found.breaches.append(f"{count} mailboxes took {took:.1f} s, more than {MOST_SECONDS:g}")
    return found


def beside_a_daemon(form: Form, folder: Path) -> Found:
    """Rotations while mail goes out: every login after them is by a secret that was sealed anew."""
    found = Found()
    with DirectedStage.open(folder, speed=SPEED, accounts=2, environ={}, daily_limit="200") as stage:
        # As lax as can be: what it writes is still for nobody else.
        stage.house.launch("sh", "-c", 'umask 0; exec "$0" "$@"')
        daemon = stage.house.daemons[-1]
        try:
            taken(stage, "mail goes out")
            for number in range(ROTATIONS[form]):
                stage.house("secrets", "rotate")
                stage.town.process.send_signal(signal.SIGUSR1)
                taken(stage, f"mail goes out after rotation {number + 1}")
                found.tries += 1
        except NotInTime as late:
            found.breaches.append(str(late))
        found.breaches += open_to_others(stage.house.folder)
        if not re.search(r"Max core file size +0 +0 ", Path(f"/proc/{daemon.pid}/limits").read_text()):
            found.breaches.append("the daemon may leave a core")
        if "another key" in (said := stage.house.log.read_text(errors="replace")):
            found.breaches.append("the daemon could not open a secret that was sealed anew")
        found.breaches += [f"{who}'s password is in the log" for who, word in words(stage.town) if word in said]
        if form is Form.FULL:
            found.figures.append(remembered(stage, daemon.pid))
        if daemon.poll() is not None:
            found.breaches.append(f"the daemon ended with {daemon.returncode}")
    found.figures.append(f"{found.tries} rotations under a daemon")
    return found


def taken(stage: DirectedStage, what: str) -> None:
    """Wait until the servers have taken some more."""
    before = len(stage.town.journal())
    until(lambda: len(stage.town.journal()) >= before + MORE, seconds=PATIENCE, what=what)


def open_to_others(folder: Path) -> list[str]:
    """Each file of the program's that others than its owner may read or write."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.name not in OWN}
    return [f"{name} has mode {mode:04o}" for name, mode in sorted(modes.items()) if mode & 0o077]


def words(town: Town) -> list[tuple[str, str]]:
    """Whose password is what."""
    return [(str(account["address"]), str(account["password"])) for account in town.accounts]


def remembered(stage: DirectedStage, pid: int) -> str:
    """How many passwords are to be found in the daemon's memory once its sessions are closed.

    Nothing refers to them by then (a test of the doors shows that); what Python freed is overwritten when it is used
    again, and not before.
    """
    stage.house("mailbox", "pause", "--all")
    before = in_memory(pid, stage.town)
    stage.town.process.terminate()
    time.sleep(IDLE_SECONDS)
    after = in_memory(pid, stage.town)
    return (
        f"{before} copies of {len(stage.town.accounts)} passwords in memory while it ran,"
        f" {after} of them in freed memory {IDLE_SECONDS:g} s after the last session"
    )


def in_memory(pid: int, town: Town) -> int:
    """How often a password stands in the memory of a process, plain or as it is said to a server."""
    sought = [word.encode() for _, word in words(town)]
    sought += [b64encode(f"\0{account['username']}\0{account['password']}".encode()) for account in town.accounts]
    count = 0
    with Path(f"/proc/{pid}/maps").open(encoding="utf-8") as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            span, access = line.split()[:2]
            if not access.startswith("rw"):
                continue
            start, end = (int(edge, 16) for edge in span.split("-"))
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
            count += sum(content.count(word) for word in sought)
    return count
