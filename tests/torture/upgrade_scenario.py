"""Upgraded from every earlier revision, and killed while it is: a backup first, and the old schema or the new one.

Half of the kills come at a random moment between the lock and the end; the others wait until the backup has its name,
or until the write-ahead log grows, which is when the upgrade is written: after its first pages, or a moment later.
"""

import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from tests.scenarios.house import PATIENCE, WARMUP, House
from tests.torture.old_ledger import build, counts, shape
from tests.torture.outcome import Form, Outcome
from warmup.ledger import backup, schema
from warmup.ledger.errors import LedgerError

MOST_SECONDS = 60.0
"""How long an upgrade with 100,000 rows may take, the backup included."""

_ROWS = {Form.SHORT: 2_000, Form.FULL: 100_000}
_KILLS = {Form.SHORT: 6, Form.FULL: 50}
_EARLIER = schema.REVISIONS[:-1]

_SOME_PAGES = 16_000

Shape = tuple[str, frozenset[str]]


@dataclass(slots=True, kw_only=True)
class _Trial:
    """One installation whose ledger is put back before every try, and what was found wrong so far."""

    house: House
    old: dict[str, Path] = field(default_factory=dict)
    new: Shape | None = None
    tries: int = 0
    losses: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=lambda: {"old": 0, "new": 0})

    @property
    def ledger(self) -> Path:
        return self.house.folder / "warmup.db"

    def lay(self, revision: str) -> None:
        """Put the old ledger there, and nothing beside it."""
        for path in self.house.folder.glob("warmup.db*"):
            path.unlink()
        shutil.copy(self.old[revision], self.ledger)
        self.ledger.chmod(0o600)

    def backups(self) -> list[Path]:
        """The backups that upgrades have left."""
        return [path for path in self.house.folder.glob("warmup.db.before-*") if ".part" not in path.name]


def run(form: Form, folder: Path) -> Outcome:
    """See the module."""
    house = House(folder=folder / "house")
    house.install()
    trial = _Trial(house=house)
    trial.new = shape(trial.ledger)
    lent = folder / "lent.db"
    backup.create(f"sqlite:///{trial.ledger}", lent, overwrite=False)
    for revision in _EARLIER:
        trial.old[revision] = folder / f"{revision}.db"
        build(trial.old[revision], revision, rows=_ROWS[form], like=lent)
        _upgrade(trial, revision)
    _refuse_newer(trial)
    _kill(trial, _KILLS[form])
    slowest = max(trial.seconds.values())
    return Outcome(
        scenario="upgrade",
        tries=trial.tries,
        losses=len(trial.losses),
        breaches=len(trial.breaches),
        figures=f"{len(_EARLIER)} revisions with {_ROWS[form]:,} rows, the slowest in {slowest:.1f} s; "
        f"{_KILLS[form]} kills left {trial.left['old']} old and {trial.left['new']} new schemas",
        broken=(*trial.losses, *trial.breaches),
    )


def _upgrade(trial: _Trial, revision: str) -> None:
    """Upgrade in peace: in time, with every row, with a backup."""
    trial.lay(revision)
    began = time.monotonic()
    done = trial.house.ended("db", "upgrade")
    trial.seconds[revision] = time.monotonic() - began
    trial.tries += 1
    if done.returncode != 0:
        trial.breaches.append(f"the upgrade from {revision} ended with {done.returncode}: {done.stderr.strip()}")
        return
    if trial.seconds[revision] > MOST_SECONDS:
        trial.breaches.append(f"the upgrade from {revision} took {trial.seconds[revision]:.0f} s")
    _look(trial, revision, f"after the upgrade from {revision}")
    if shape(trial.ledger)[0] != schema.HEAD:
        trial.breaches.append(f"the upgrade from {revision} ended with 0 and left {shape(trial.ledger)[0]}")


def _refuse_newer(trial: _Trial) -> None:
    """A ledger that a newer program made is refused, and stays as it is."""
    trial.lay(_EARLIER[-1])
    with closing(sqlite3.connect(trial.ledger)) as ledger, ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
    before = trial.ledger.read_bytes()
    for verb in (("db", "upgrade"), ("run",), ("status",), ("init", str(trial.house.folder))):
        trial.tries += 1
        code = trial.house.ended(*verb).returncode
        if code != 78:
            trial.breaches.append(f"`{verb[0]}` of a newer ledger ended with {code} and not with 78")
    if trial.ledger.read_bytes() != before:
        trial.breaches.append("a newer ledger was changed")


def _kill(trial: _Trial, times: int) -> None:
    """Kill an upgrade `times` times, look at what is left, and let it end."""
    rng = random.Random("upgrade")
    moments = cycle(
        (
            (_lock_is_taken, None),
            (_backup_is_there, 0.05),
            (_log_has_some_pages, 0.0),
            (_lock_is_taken, None),
            (_log_has_some_pages, 0.05),
        )
    )
    for n, revision in zip(range(times), cycle(reversed(_EARLIER)), strict=False):
        moment, longest = next(moments)
        trial.lay(revision)
        _killed_at(trial, moment, rng.random() * (trial.seconds[revision] if longest is None else longest))
        trial.tries += 1
        _look(trial, revision, f"after kill {n + 1}, from {revision}")
        done = trial.house.ended("db", "upgrade")
        if done.returncode != 0 or shape(trial.ledger)[0] != schema.HEAD:
            trial.breaches.append(f"kill {n + 1}: it could not be upgraded afterwards: {done.stderr.strip()}")


def _killed_at(trial: _Trial, moment: Callable[[_Trial], bool], later: float) -> None:
    """Start an upgrade and kill it `later` seconds after `moment`, or let it be where it has ended."""
    upgrade = subprocess.Popen(
        [WARMUP, "db", "upgrade"],
        env=trial.house.surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE
    while upgrade.poll() is None and not moment(trial) and time.monotonic() < deadline:
        pass
    then = time.monotonic() + later
    while upgrade.poll() is None and time.monotonic() < then:
        pass
    upgrade.send_signal(signal.SIGKILL)
    upgrade.wait(timeout=PATIENCE)


def _lock_is_taken(trial: _Trial) -> bool:
    return (trial.house.folder / "warmup.db.lock").exists()


def _backup_is_there(trial: _Trial) -> bool:
    return bool(trial.backups())


def _log_has_some_pages(trial: _Trial) -> bool:
    """More than one statement by itself would write, and less than all."""
    try:
        return (trial.house.folder / "warmup.db-wal").stat().st_size > _SOME_PAGES
    except FileNotFoundError:
        return False


def _look(trial: _Trial, revision: str, when: str) -> None:
    """The old schema or the new one, every row, sound pages, and a sound backup of the old beside a new one."""
    backups = trial.backups()
    for path in backups:
        trial.breaches.extend(f"{when}: {problem}" for problem in _problems_of_backup(path, revision))
    found = shape(trial.ledger)
    is_new = found[0] == schema.HEAD
    trial.left["new" if is_new else "old"] += "kill" in when
    if is_new and not backups:
        trial.breaches.append(f"{when}: upgraded without a backup")
    if found != (trial.new if is_new else shape(trial.old[revision])):
        trial.breaches.append(f"{when}: the schema lies between {revision} and {schema.HEAD}")
        return
    rows, before = counts(trial.ledger), counts(trial.old[revision])
    lost = [name for name, count in before.items() if rows.get(name) != count]
    trial.losses.extend(f"{when}: {name} has {rows.get(name)} rows of {before[name]}" for name in lost)
    try:
        backup.read_backup(trial.ledger)
    except LedgerError as failure:
        trial.breaches.append(f"{when}: {failure}")


def _problems_of_backup(path: Path, revision: str) -> Iterator[str]:
    if path.stat().st_mode & 0o077:
        yield f"{path.name} may be read by others"
    try:
        found = backup.read_backup(path)
    except LedgerError as failure:
        yield str(failure)
        return
    if found.revision != revision or not found.has_checksum:
        yield f"{path.name} has revision {found.revision} and {'a' if found.has_checksum else 'no'} checksum"
