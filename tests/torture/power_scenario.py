"""The power fails: the disk as it may be found then, hundreds of times, from one recording of a running daemon.

strace records every write, sync and truncation of the ledger's files. For each state the recording is cut somewhere,
and of what was not synced by then some is dropped, some kept, some torn (recorded_disk). The ledger has to open whole,
to know every message that a server had accepted before the cut, and its high-water mark has to know them too, without
being ahead: a daemon that starts again neither forgets nor believes itself restored.
"""

import json
import random
import sqlite3
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests.scenarios.house import PATIENCE, until
from tests.torture.disk_scenario import faults_of, is_ready
from tests.torture.outcome import Form, Outcome
from tests.torture.recorded_disk import TRACED, Event, RecordedDisk, events_in
from tests.torture.stage import Stage, staged
from tests.torture.strace import traced_from_its_start
from warmup.ledger.highwater import HighWater, Mark

STATES = {Form.SHORT: 60, Form.FULL: 500}
MESSAGES = {Form.SHORT: 20, Form.FULL: 60}
BY_THE_PROGRAM = {Form.SHORT: 2, Form.FULL: 10}
"""How many of the states `warmup db check` looks at too."""
_MAIL_SECONDS = 180.0


@dataclass(slots=True)
class Count:
    """What was found so far."""

    whole: int = 0
    losses: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)


def run(form: Form, folder: Path) -> Outcome:
    """Record once, then cut again and again."""
    count, rng = Count(), random.Random("power")
    with staged(folder) as stage:
        disk = _files_of(stage)
        events = _recording(stage, folder / "trace", MESSAGES[form])
        accepted = _accepted(stage)
        cuts = sorted(rng.randrange(1, len(events)) for _ in range(STATES[form]))
        place, seen = folder / "state", 0
        for number, cut in enumerate(cuts):
            for event in events[seen:cut]:
                disk.see(event)
            seen = cut
            known = accepted[: bisect_left(accepted, (events[cut].at, ""))]
            _lay_out(place, disk.after_a_cut(rng))
            _look(place / stage.ledger.name, [key for _, key in known], count, f"cut {number} at call {cut}")
            if number % (STATES[form] // BY_THE_PROGRAM[form]) == 0:
                _ask_the_program(stage, place / stage.ledger.name, count, f"cut {number} at call {cut}")
    syncs = sum(event.kind == "sync" for event in events)
    checkpointed = sum(event.kind == "write" and event.path == str(stage.ledger) for event in events)
    if not checkpointed:
        count.breaches.append("nothing was tried: the journal never went into the ledger")
    return Outcome(
        scenario="power",
        tries=STATES[form],
        losses=len(count.losses),
        breaches=len(count.breaches),
        figures=(
            f"{count.whole}/{STATES[form]} reopen whole; {len(accepted)} messages accepted; {len(events)} calls, "
            f"{syncs} of them syncs, {checkpointed} writes of checkpoints"
        ),
        broken=(*count.losses[:20], *count.breaches[:20]),
    )


def _paths(stage: Stage) -> list[Path]:
    """What is to outlive a power cut, and its folder; `-shm` is made anew at every start."""
    return [stage.ledger.with_name(stage.ledger.name + suffix) for suffix in ("", "-wal", ".hw")] + [
        stage.ledger.parent
    ]


def _files_of(stage: Stage) -> RecordedDisk:
    """The disk before the daemon's start, all of it durable."""
    return RecordedDisk({str(path): bytearray(path.read_bytes()) for path in _paths(stage) if path.is_file()})


def _recording(stage: Stage, log: Path, messages: int) -> list[Event]:
    """What a daemon does to the files, from its start until it has sent `messages`."""
    every_byte = ("-y", "-ttt", "-xx", "-s", "1000000", "-e", TRACED)
    with traced_from_its_start(stage.house, log, _paths(stage), *every_byte):
        until(lambda: is_ready(stage.house), seconds=PATIENCE, what="the daemon is ready")
        until(lambda: len(stage.received()) >= messages, seconds=_MAIL_SECONDS, what=f"{messages} messages are sent")
    stage.house.kill()
    paths = {str(path) for path in _paths(stage)}
    return [event for event in events_in(log) if event.path in paths]


def _accepted(stage: Stage) -> list[tuple[float, str]]:
    """When each message was accepted, in seconds of the wall clock, oldest first."""
    told = json.loads((stage.town.folder / "sandbox.json").read_text(encoding="utf-8"))
    start, anchor = (datetime.fromisoformat(told[key]) for key in ("start", "anchor"))

    def wall(at: str) -> float:
        passed: timedelta = (datetime.fromisoformat(at) - start) / float(told["speed"])
        return (anchor + passed).timestamp()

    return sorted((wall(row["at"]), row["message_id"]) for row in stage.received())


def _lay_out(place: Path, files: Mapping[str, bytes]) -> None:
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    for path, content in files.items():
        (place / Path(path).name).write_bytes(content)


def _look(ledger: Path, accepted: Sequence[str], count: Count, what: str) -> None:
    """Open one state as a start does, and compare it with the servers' books."""
    try:
        wrong = faults_of(ledger)
        with sqlite3.connect(ledger) as connection:
            rows = connection.execute("SELECT message_id, attempts.id FROM slots JOIN attempts ON slot_id = slots.id")
            attempts = dict(rows.fetchall())
            (last,) = connection.execute("SELECT incarnation, last_attempt FROM installation")
        connection.close()
    except sqlite3.DatabaseError as failure:
        count.losses.append(f"{what}: {failure}")
        return
    if wrong:
        count.losses.append(f"{what}: {wrong[:3]}")
        return
    count.whole += 1
    count.losses += [f"{what}: {key} was accepted and has no attempt" for key in accepted if key not in attempts]
    mark = HighWater(ledger).read()
    sent = Mark(1, max((attempts.get(key, 0) for key in accepted), default=0))
    if (mark or Mark(1, 0)) < sent:
        count.breaches.append(f"{what}: the mark is {mark}, and {sent} was sent")
    if (mark is None and last[1] > 0) or (mark is not None and mark > Mark(*last)):
        count.breaches.append(f"{what}: the mark is {mark}, ahead of the ledger's {last}")


def _ask_the_program(stage: Stage, ledger: Path, count: Count, what: str) -> None:
    checked = stage.house.ended("db", "check", WARMUP__LEDGER__URL=f"sqlite:///{ledger}")
    if checked.returncode != 0:
        count.losses.append(f"{what}: warmup db check ended with {checked.returncode}: {checked.stderr}")
