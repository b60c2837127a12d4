"""The disk fails under the running daemon: at each of its first writes and syncs, with EIO and with ENOSPC.

From the chosen call on, every write and sync of the ledger's files fails (strace). While it does, the daemon either
ends with 74 and one line, or answers 503 on `/readyz`; nothing is handed to a server that the ledger does not know; and
once the disk is well again the same daemon, or a new one, goes on. At last the same on a real file system that is full.
"""

import shutil
import sqlite3
import subprocess
import urllib.error
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.scenarios.house import PATIENCE, House, NotInTime, Row, until
from tests.torture.outcome import Form, Outcome
from tests.torture.stage import Stage, staged
from tests.torture.strace import SYNCING, WRITING, Call, Tracer, attached, calls_in, failing_from, traced_from_its_start

ERRORS = ("EIO", "ENOSPC")
FIRST = 50
POINTS = {Form.SHORT: (2, 3), Form.FULL: (FIRST, FIRST)}
"""How many of the calls of a start, and how many of the rest of the first 50."""
NEW_MAIL_SECONDS = 60.0
_FAULT_SECONDS = 15.0
_TRACE = ("-e", f"trace={','.join((*WRITING, *SYNCING))}")


@dataclass(slots=True)
class Count:
    """What was found so far."""

    tries: int = 0
    intact: int = 0
    unready: int = 0
    ended: int = 0
    resumed: int = 0
    losses: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)


def run(form: Form, folder: Path) -> Outcome:
    """Attack, count, and look at the servers' books at the end."""
    count = Count()
    with staged(folder / "traced") as stage:
        attack = _Attack(stage=stage, count=count, log=folder / "trace")
        starting = attack.calls_of_a_start()
        running = attack.calls_of_a_run()[: FIRST - len(starting)]
        early, late = POINTS[form]
        for error in ERRORS:
            for point in _spread(starting, early):
                attack.start(point, starting, error)
            for point in _spread(running, late):
                attack.run(point, running, error)
        stage.house.stop()
        received, messages = stage.received(), stage.house.export("messages")
    full = _fill_a_real_one(count, folder)
    doubles = [key for key, times in Counter(row["message_id"] for row in received).items() if times > 1]
    unknown = {row["message_id"] for row in received} - {row["message_id"] for row in messages if row["attempts"]}
    count.losses += [f"{key} was sent, and the ledger has no attempt of it" for key in sorted(unknown)]
    return Outcome(
        scenario="disk",
        tries=count.tries,
        losses=len(count.losses),
        doubles=len(doubles),
        breaches=len(count.breaches),
        figures=(
            f"{len(received)} messages, {count.intact}/{count.tries} intact, {count.unready} times 503, "
            f"{count.ended} times 74, {count.resumed}/{count.tries} resumed; {full}"
        ),
        broken=(*count.losses, *(f"{key} was sent twice" for key in doubles), *count.breaches),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attack:
    """One installation, and how its disk is made to fail."""

    stage: Stage
    count: Count
    log: Path

    def calls_of_a_start(self) -> list[Call]:
        """The writes and syncs of a daemon until it is ready."""
        house = self.stage.house
        with traced_from_its_start(house, self.log, self.paths, *_TRACE):
            until(lambda: house.daemons[-1].poll() is None and is_ready(house), seconds=PATIENCE, what="ready")
            return calls_in(self.log)

    def calls_of_a_run(self) -> list[Call]:
        """As many of the same daemon's, beginning somewhere in its work."""
        with attached(self.stage.house.daemons[-1].pid, self.log, self.paths, *_TRACE):
            until(lambda: len(calls_in(self.log)) > FIRST, seconds=NEW_MAIL_SECONDS, what="mail goes out")
            return calls_in(self.log)

    def start(self, point: Call, calls: Sequence[Call], error: str) -> None:
        """Let the disk fail from `point` of a daemon's start on, and mend it."""
        house, what = self.stage.house, f"{error} from {point.name} {point.number} of a start on"
        if house.daemons[-1].poll() is None and house.stop() != 0:
            self.count.breaches.append(f"before {what}: the daemon did not stop as it should")
        with traced_from_its_start(house, self.log, self.paths, *failing_from(point, calls, error)) as tracer:
            self._watch(tracer, what)

    def run(self, point: Call, calls: Sequence[Call], error: str) -> None:
        """Let the disk fail from `point` on under the daemon that runs, and mend it."""
        pid, what = self.stage.house.daemons[-1].pid, f"{error} from {point.name} {point.number} of a run on"
        with attached(pid, self.log, self.paths, *failing_from(point, calls, error)) as tracer:
            self._watch(tracer, what)

    def _watch(self, tracer: Tracer, what: str) -> None:
        """See what the daemon does while the disk fails; mend the disk, and see it go on."""
        house, count = self.stage.house, self.count
        count.tries += 1
        log_before, before = len(house.log.read_bytes()), len(self.stage.received())

        def said() -> str:
            return house.log.read_bytes()[log_before:].decode(errors="replace")

        def gave_up() -> bool:
            return house.daemons[-1].poll() is not None or (is_unready(house) and "level=error" in said())

        try:
            until(lambda: tracer.has_injected and gave_up(), seconds=_FAULT_SECONDS, what=what)
        except NotInTime:
            count.breaches.append(f"{what}: neither 74 nor 503")
        _missing(self.stage, count, what)
        tracer.detach()
        if house.daemons[-1].poll() is None:
            count.unready += 1
            _said_once(said(), what, count)
        else:
            count.ended += 1
            _ended_well(house, said(), what, count)
            house.start()
        if "ledger failed" in said():
            until(lambda: "can be written again" in said(), seconds=PATIENCE, what=f"{what}: it says that it can write")
        _resumes(self.stage, count, before, what)

    @property
    def paths(self) -> list[Path]:
        """Every file the daemon writes for the ledger, and their folder."""
        ledger = self.stage.ledger
        beside = [ledger.with_name(ledger.name + suffix) for suffix in ("", "-wal", ".hw", ".lock", ".http", ".room")]
        return [*beside, ledger.parent]


def _spread(calls: Sequence[Call], points: int) -> list[Call]:
    """`points` of the calls, evenly; all, where that many are not there."""
    return [calls[index * len(calls) // points] for index in range(points)] if points < len(calls) else list(calls)


def is_ready(house: House) -> bool:
    """True where `/readyz` says 200."""
    try:
        return house.get("/readyz")[0] == 200
    except (OSError, ValueError):
        return False


def is_unready(house: House) -> bool:
    """True where `/readyz` says 503."""
    try:
        house.get("/readyz")
    except urllib.error.HTTPError as answer:
        return answer.code == 503
    except (OSError, ValueError):
        return False
    return False


def _said_once(said: str, what: str, count: Count) -> None:
    troubles = [line for line in said.splitlines() if "level=error" in line or "Traceback" in line]
    if len(troubles) != 1 or "ledger failed" not in troubles[0]:
        count.breaches.append(f"{what}: it said {troubles[:3]}")


def _ended_well(house: House, said: str, what: str, count: Count) -> None:
    code = house.daemons[-1].returncode
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    if code != 74 or len(errors) != 1 or "Traceback" in said:
        count.breaches.append(f"{what}: ended with {code}, saying {said[-300:]!r}")


def _resumes(stage: Stage, count: Count, before: int, what: str) -> None:
    """The disk is well again: the daemon is ready, mail goes out, and the file is whole."""
    try:
        until(lambda: is_ready(stage.house), seconds=PATIENCE, what=f"{what}: it is ready again")
        until(lambda: len(stage.received()) > before, seconds=NEW_MAIL_SECONDS, what=f"{what}: mail goes out again")
        count.resumed += 1
    except NotInTime as late:
        count.breaches.append(str(late))
    if wrong := faults_of(stage.ledger):
        count.losses.append(f"{what}: {wrong[:3]}")
    else:
        count.intact += 1


def faults_of(ledger: Path) -> list[str]:
    """What SQLite finds wrong with the file."""
    with closing(sqlite3.connect(ledger)) as connection:
        pages = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        return pages + [f"{row[0]} row {row[1]}" for row in connection.execute("PRAGMA foreign_key_check")]


def _missing(stage: Stage, count: Count, what: str) -> None:
    """What a server has and the ledger does not know, as its readers see it at this moment."""
    received = {row["message_id"] for row in stage.received()}
    unknown = received - attempted(stage.ledger)
    count.losses += [f"{what}: {key} was sent without an attempt" for key in sorted(unknown)]


def attempted(ledger: Path) -> set[str]:
    """The ids of the messages that have an attempt."""
    with closing(sqlite3.connect(ledger)) as connection:
        rows = connection.execute("SELECT message_id FROM slots JOIN attempts ON attempts.slot_id = slots.id")
        return {message_id for (message_id,) in rows}


def _fill_a_real_one(count: Count, folder: Path) -> str:
    """A file system of its own runs full under a daemon, which goes on once there is room. What came of it, in words.

    The daemon's own log lies on it too.
    """
    with _small_disk(folder / "small") as disk:
        if disk is None:
            return "no file system of its own could be mounted here"
        with staged(folder / "full", house=disk / "house", accounts=4) as stage:
            stage.house.start()
            until(lambda: len(stage.received()) > 0, seconds=NEW_MAIL_SECONDS, what="mail goes out")
            count.tries += 1
            filler = disk / "filler"
            _fill(filler)
            try:
                until(lambda: is_unready(stage.house), seconds=_FAULT_SECONDS, what="a full disk: 503")
                count.unready += 1
            except NotInTime as late:
                count.breaches.append(str(late))
            _missing(stage, count, "a full disk")
            before = len(stage.received())
            filler.unlink()
            _resumes(stage, count, before, "a full disk")
            stage.house.stop()
            _known(stage.received(), stage.house, count)
    return "a full tmpfs"


def _known(received: Sequence[Row], house: House, count: Count) -> None:
    known = {row["message_id"] for row in house.export("messages") if row["attempts"]}
    count.losses += [
        f"a full disk: {row['message_id']} is unknown" for row in received if row["message_id"] not in known
    ]


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of 16 MiB, or None where none can be mounted."""
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    with ExitStack() as stack:
        options = ["-t", "tmpfs", "-o", "size=16m", "warmup-torture", str(folder)]
        if not (mount and umount) or subprocess.run([mount, *options], check=False).returncode != 0:
            yield None
            return
        stack.callback(subprocess.run, [umount, "--lazy", str(folder)], check=False)
        yield folder


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            while True:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    break
