"""Backed up while it sends, and gone back in every way: nothing that a server took is sent again.

Each backup is compared with the servers' journal as it was when the backup was asked for: what a server had taken by
then was claimed, durably, before. Then the ledger goes back: an old file is laid over it by `cp`, or put back by the
verb, with its high-water file or, as on a new machine, without. What the servers take from then on is held against all
they ever took.
"""

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from tests.scenarios.house import PATIENCE, WARMUP, House, NotInTime, Row, Town, until
from tests.torture.outcome import Form, Outcome
from tests.torture.stage import DirectedStage

_SPEED = 4500.0
_DAY_SECONDS = 86_400 / _SPEED
_SLOW = 600.0
_MORE = 4
"""Messages between two of the scenario's steps."""

_BACKUPS = {Form.SHORT: 2, Form.FULL: 20}
_ROUNDS = {Form.SHORT: 1, Form.FULL: 5}
_KILLED = {Form.SHORT: 1, Form.FULL: 20}


@dataclass(slots=True, kw_only=True)
class _Trial:
    """What is attacked, and what was found so far."""

    stage: DirectedStage
    rng: Random
    tries: int = 0
    losses: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)

    @property
    def house(self) -> House:
        return self.stage.house

    @property
    def town(self) -> Town:
        return self.stage.town

    def sends(self, more: int = _MORE) -> list[Row]:
        """The journal, once it has grown by `more` messages."""
        before = len(self.town.journal())
        until(
            lambda: len(self.town.journal()) >= before + more,
            seconds=PATIENCE + 3 * _DAY_SECONDS,
            what="mail goes out",
        )
        return self.town.journal()

    def says_nothing_at(self) -> datetime | None:
        """The ledger's time at which `status` says nothing of a ledger that went back; None where it does."""
        told = json.loads(self.house.ended("status", "--json", **self.house.environ).stdout)
        return None if told["restored"] else datetime.fromisoformat(told["at"])

    def expect(self, code: int, *verb: str) -> bool:
        """Call a verb that has to end with `code`; False, and a breach, where it does not."""
        self.tries += 1
        done = self.house.ended(*verb)
        if done.returncode == code:
            return True
        said = done.stderr.strip()[-200:]
        self.breaches.append(f"`{' '.join(verb[:2])}` ended with {done.returncode} and not with {code}: {said}")
        return False

    def drawn(self) -> set[str]:
        """The message ids that are planned in the ledger, sent or not."""
        return {str(message_id) for (message_id,) in self.stage.select("SELECT message_id FROM slots")}


def run(form: Form, folder: Path) -> Outcome:
    """See the module."""
    environ = {"WARMUP__SEND__GRACE_SECONDS": "43200", "WARMUP__LIMITS__OWN_FRESH_MINUTES": "1400"}
    with DirectedStage.open(folder, speed=_SPEED, accounts=2, environ=environ, daily_limit="60") as stage:
        trial = _Trial(stage=stage, rng=Random("backup"))
        unused = folder / "unused.backup"
        trial.expect(0, "backup", "create", str(unused))
        trial.house.start()
        for n in range(_ROUNDS[form]):
            until(trial.drawn, seconds=PATIENCE, what="a date is planned")
            trial.house.kill()
            _on_a_new_machine(trial, unused)
            middle = _back_up(trial, folder / f"{n}", _BACKUPS[form] // _ROUNDS[form])
            _spoil(trial, middle)
            trial.sends()
            trial.expect(75, "backup", "restore", str(middle))
            trial.house.kill()
            _killed_restores(trial, middle, _KILLED[form] // _ROUNDS[form])
            _lay_over(trial, middle)
            _wait_out(trial, "a copy that was laid over the ledger")
        doubles = _taken_twice(trial)
        taken = len(trial.town.journal())
        trial.house.stop()
    again = _snapshots(trial, folder / "snapshot") if form is Form.FULL else ""
    figures = trial.figures
    return Outcome(
        scenario="backup",
        tries=trial.tries,
        losses=len(trial.losses),
        doubles=len(doubles),
        breaches=len(trial.breaches),
        figures=f"{taken} messages taken; {figures['backups']} backups while sending, {figures['restores']} ways back, "
        f"{figures['killed']} restores killed; silent for {figures['held']} h of the ledger's time{again}",
        broken=(*trial.losses, *doubles, *trial.breaches),
    )


def _snapshots(trial: _Trial, folder: Path) -> str:
    """A house of its own that lives slowly, so that what was lost and what is found again are of one date."""
    with DirectedStage.open(folder, speed=_SLOW, accounts=2, environ={}, daily_limit="60") as stage:
        slow = _Trial(stage=stage, rng=trial.rng, breaches=trial.breaches)
        _snapshot(slow)
    trial.tries += 1
    return f"; a snapshot was noticed, and {slow.figures['twice']} messages were sent again by then"


def _taken_twice(trial: _Trial) -> list[str]:
    received = Counter(row["message_id"] for row in trial.town.journal())
    return [f"{message_id} was taken {times} times" for message_id, times in received.items() if times > 1]


def _back_up(trial: _Trial, folder: Path, times: int) -> Path:
    """Back up `times` times while mail goes out; the last of them."""
    folder.mkdir()
    target = folder / "0.backup"
    for n in range(times):
        target = folder / f"{n}.backup"
        with closing(sqlite3.connect(f"file:{trial.stage.ledger}?mode=ro", uri=True)) as reader:
            # While somebody reads what was, nothing newer is folded into the file: it lies in the log beside it.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM attempts").fetchone()
            mine = {row["message_id"] for row in trial.sends(2)} & trial.drawn()
            if not trial.expect(0, "backup", "create", str(target)):
                continue
        trial.figures["backups"] += 1
        if target.stat().st_mode & 0o077:
            trial.breaches.append(f"{target.name} may be read by others")
        if (trial.house.folder / "warmup.key").read_bytes().strip() in target.read_bytes():
            trial.breaches.append(f"{target.name} holds the key")
        # What was taken before an earlier way back belongs to days that this ledger does not have.
        trial.losses.extend(f"{target.name} lacks {message_id}" for message_id in sorted(mine - _tried_in(target)))
    trial.expect(0, "backup", "verify", str(target))
    return target


def _tried_in(backup: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{backup}?mode=ro", uri=True)) as copy:
        rows = copy.execute("SELECT message_id FROM slots JOIN attempts ON slot_id = slots.id")
        return {str(message_id) for (message_id,) in rows}


def _spoil(trial: _Trial, good: Path) -> None:
    """A backup in which one bit has turned is no backup, also where no page and no reference minds."""
    spoiled = good.with_name("spoiled.backup")
    whole = bytearray(good.read_bytes())
    # Who made an attempt: host and process, in no index.
    whole[whole.rindex(socket.gethostname().encode() + b":")] ^= 1
    spoiled.write_bytes(whole)
    trial.expect(65, "backup", "verify", str(spoiled))


def _lay_over(trial: _Trial, old: Path) -> None:
    """What an operator does who knows no better: `cp`, and a new start."""
    for suffix in ("-wal", "-shm"):
        Path(f"{trial.stage.ledger}{suffix}").unlink(missing_ok=True)
    shutil.copy(old, trial.stage.ledger)
    trial.figures["restores"] += 1
    trial.tries += 1
    trial.house.start()


def _wait_out(trial: _Trial, what: str) -> None:
    """Nothing is sent until a day and a pass of looks went by, and it is said."""
    began = time.monotonic()
    if not _waits(trial):
        trial.breaches.append(f"{what} was not noticed")
        return
    silent = len(trial.town.journal())
    if (at := trial.says_nothing_at()) is not None and at < _held_until(trial):
        trial.breaches.append(f"status says nothing of {what}")

    def is_over() -> bool:
        # Read first: what was sent by now was sent while the ledger still said that it waits.
        count = len(trial.town.journal())
        if not _waits(trial):
            return True
        if count > silent:
            trial.breaches.append(f"{what}: {count - silent} messages were sent in the day that nothing may be sent")
        return count > silent

    try:
        until(is_over, seconds=PATIENCE + 3 * _DAY_SECONDS, what=f"the wait after {what}", every=0.1)
    except NotInTime as never:
        trial.breaches.append(str(never))
    trial.figures["held"] += int((time.monotonic() - began) * _SPEED / 3600)


def _held_until(trial: _Trial) -> datetime:
    """Until when the ledger holds sending at least; long ago where it does not any more."""
    ((microseconds,),) = trial.stage.select("SELECT held_until FROM installation")
    return datetime.fromtimestamp((microseconds or 0) / 1e6, UTC)


def _waits(trial: _Trial) -> bool:
    """True while the ledger holds sending for a restore."""
    ((restored_at,),) = trial.stage.select("SELECT restored_at FROM installation")
    return restored_at is not None


def _killed_restores(trial: _Trial, old: Path, times: int) -> None:
    """Kill a restore somewhere: the ledger is the old one or the new one, and whole."""
    for _ in range(times):
        before = _where(trial)
        restore = subprocess.Popen(
            [WARMUP, "backup", "restore", str(old)],
            env=trial.house.surroundings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        folder = trial.house.folder
        deadline = time.monotonic() + PATIENCE
        while restore.poll() is None and time.monotonic() < deadline and not list(folder.glob("*.restored.*.part")):
            pass
        then = time.monotonic() + trial.rng.random() * 1.5
        while restore.poll() is None and time.monotonic() < then:
            pass
        restore.send_signal(signal.SIGKILL)
        restore.wait(timeout=PATIENCE)
        trial.figures["killed"] += 1
        trial.tries += 1
        after = _where(trial)
        if after != before and after[0] <= before[0]:
            trial.breaches.append(f"a killed restore left {after} of {before}")
        trial.expect(0, "db", "check")


def _where(trial: _Trial) -> tuple[int, int]:
    """The ledger's incarnation and how many slots it has."""
    ((incarnation,),) = trial.stage.select("SELECT incarnation FROM installation")
    ((slots,),) = trial.stage.select("SELECT count(*) FROM slots")
    return incarnation, slots


def _on_a_new_machine(trial: _Trial, unused: Path) -> None:
    """Put back what was never used, without a high-water file, and send at once from it: all of it is drawn anew."""
    before = trial.drawn()
    trial.expect(0, "backup", "restore", str(unused))
    (trial.house.folder / "warmup.db.hw").unlink(missing_ok=True)
    trial.figures["restores"] += 1
    if trial.says_nothing_at() is not None:
        trial.breaches.append("status says nothing of a ledger that was put back")
    logged = len(trial.house.log.read_text(encoding="utf-8"))
    trial.house.start("--accept-restore")
    said = trial.house.log.read_text(encoding="utf-8")[logged:]
    if "event=restored" not in said:
        trial.breaches.append("a ledger without its high-water file was not noticed")
    try:
        # Ready is said a moment before the wait is lifted.
        until(lambda: not _waits(trial), seconds=PATIENCE / 4, what="--accept-restore skips the wait")
    except NotInTime as never:
        trial.breaches.append(str(never))
    if again := before & until(trial.drawn, seconds=PATIENCE, what="a date is planned again"):
        trial.breaches.append(f"{len(again)} messages that were drawn before are drawn again")


def _snapshot(trial: _Trial) -> None:
    """Take every file back, the mark too. What is sent again until it is noticed is a figure: nobody promises it."""
    trial.house.start()
    trial.sends(2)
    trial.house.kill()
    files = [Path(f"{trial.stage.ledger}{suffix}") for suffix in ("", "-wal", "-shm", ".hw")]
    snapshot = {path: path.read_bytes() for path in files if path.exists()}
    trial.house.start()
    trial.sends(4)
    trial.house.kill()
    for path in files:
        path.unlink(missing_ok=True)
    for path, held in snapshot.items():
        path.write_bytes(held)
        path.chmod(0o600)
    trial.house.start()
    try:
        until(lambda: _waits(trial), seconds=2 * PATIENCE, what="a snapshot is noticed", every=0.1)
    except NotInTime as never:
        trial.breaches.append(str(never))
    trial.figures["twice"] = len(_taken_twice(trial))
