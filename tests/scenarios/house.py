"""The program as its users have it, and a small mail world beside it: processes of their own, both.

Nothing of warmup is imported here. What the program says is read from its verbs, what it did from the servers' journal.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

WARMUP = Path(sys.executable).with_name("warmup")
PATIENCE = 60.0
"""Real seconds that a process may take to start or to end on a busy machine."""

Row = dict[str, Any]
T = TypeVar("T")

CONFIG = """\
[ledger]
url = "{url}"

[http]
listen = "127.0.0.1:0"

# Real seconds, while the ledger's own pass by the thousand.
[daemon]
tick_seconds = 0.2
drain_seconds = 30

# Room for a restart within a rehearsal.
[send]
grace_seconds = 10800

[limits]
own_fresh_minutes = 600

[window]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
start = "06:00"
end = "22:00"
timezone = "{zone}"

[network]
ca_file = "{ca_file}"
smtp_timeout_seconds = 10
"""


class NotInTime(AssertionError):
    """A condition did not come about."""


def until(condition: Callable[[], T | None], *, seconds: float, what: str, every: float = 0.02) -> T:
    """The first value of `condition()` that is neither None nor False; raises NotInTime after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise NotInTime(f"{what}: not within {seconds:g} s")
        time.sleep(every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A running mail world."""

    folder: Path
    process: subprocess.Popen[str]
    accounts: tuple[Row, ...]

    @classmethod
    def open(cls, folder: Path, *options: str) -> Self:
        """Start it and wait for its doors."""
        command = [sys.executable, "-m", "warmup.sandbox", "--folder", str(folder), *options]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "sandbox.log").open("ab") as log:
            # What its servers say of connections that were cut is nobody's news.
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", (folder / "sandbox.log").read_text(errors="replace")
        told = json.loads((folder / "sandbox.json").read_text(encoding="utf-8"))
        return cls(folder=folder, process=process, accounts=tuple(told["accounts"]))

    @property
    def started(self) -> datetime:
        """The instant at which its own time began, which was a real one too."""
        told = json.loads((self.folder / "sandbox.json").read_text(encoding="utf-8"))
        return datetime.fromisoformat(told["start"])

    @property
    def ca_file(self) -> str:
        """The CA that signed its certificates."""
        return str(self.accounts[0]["ca_file"])

    def journal(self) -> list[Row]:
        """What its servers took so far; a line that is being written is not there yet."""
        path = self.folder / "received.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@dataclass(slots=True, kw_only=True)
class House:
    """One installation in `folder`. `environ` is what its daemon is told besides, `url` where its ledger is."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    url: str = "sqlite:///warmup.db"
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)

    def install(self, *, ca_file: str = "", more: str = "") -> None:
        """Write a configuration, with `more` at its end, and let `init` make the rest."""
        self.folder.mkdir(parents=True)
        config = CONFIG.format(zone=zone_where_it_is(5), ca_file=ca_file, url=self.url) + more
        (self.folder / "config.toml").write_text(config, encoding="utf-8")
        self("init", str(self.folder))

    def join(self, first: "House") -> None:
        """Be one more node of an installation: with its configuration and its key, in a folder of ours."""
        self.folder.mkdir(parents=True)
        config = (first.folder / "config.toml").read_text(encoding="utf-8").replace(first.url, self.url)
        (self.folder / "config.toml").write_text(config, encoding="utf-8")
        shutil.copy(first.folder / "warmup.key", self.folder)

    def enrol(self, account: Row, *options: str) -> None:
        """Enrol an account of the mail world by the password in a file."""
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(account["password"], encoding="utf-8")
        smtp, imap = (f"{account['host']}:{account[port]}" for port in ("smtp_port", "imaps_port"))
        where = ["--smtp", smtp, "--smtp-security", "starttls", "--imap", imap, "--imap-security", "tls"]
        self("mailbox", "add", account["address"], *where, "--password-file", str(secret), *options)
        secret.unlink()

    def enrol_all(self, accounts: Sequence[Row], **columns: object) -> None:
        """Enrol many accounts of the mail world at once, by a file that is gone afterwards; `columns` are for all."""
        rows = [
            {
                "address": account["address"],
                "password": account["password"],
                "smtp": f"{account['host']}:{account['smtp_port']}",
                "smtp_security": "starttls",
                "imap": f"{account['host']}:{account['imaps_port']}",
                "imap_security": "tls",
                "engage": "yes" if account["engage"] and not account["control"] else "no",
                "role": "control" if account["control"] else "both",
                **columns,
            }
            for account in accounts
        ]
        fleet = self.folder / "fleet.csv"
        fleet.touch(mode=0o600)
        with fleet.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        self("mailbox", "import", str(fleet), "--concurrency", "8")
        fleet.unlink()

    def __call__(self, *arguments: str) -> str:
        """What the verb printed; it has to end with 0."""
        done = self.ended(*arguments)
        assert done.returncode == 0, f"warmup {' '.join(arguments[:3])} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def ended(self, *arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """The verb, come to its end."""
        return subprocess.run(
            [WARMUP, *arguments],
            env={**self.surroundings, **environ},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            check=False,
        )

    def export(self, what: str) -> list[Row]:
        """`warmup export WHAT`, whether the daemon runs or is dead."""
        return [json.loads(line) for line in self("export", what, "--format", "jsonl").splitlines()]

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the daemon with `options` of its own and wait until it says that it is ready."""
        daemon = self.launch(options=options)
        self.wait_until_ready()
        return daemon

    def wait_until_ready(self) -> None:
        """Return once the daemon says that it is ready."""
        until(self._is_ready, seconds=PATIENCE, what="warmup run is ready")

    def launch(self, *before: str, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start the daemon, by way of the command `before` that executes it, and wait for nothing."""
        with self.log.open("ab") as log:
            daemon = subprocess.Popen(
                [*before, WARMUP, "run", *options],
                env={**self.surroundings, **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.daemons.append(daemon)
        return daemon

    def kill(self) -> None:
        """End the daemon as a power cut does."""
        self.daemons[-1].send_signal(signal.SIGKILL)
        self.daemons[-1].wait(timeout=PATIENCE)
        self.http_file.unlink(missing_ok=True)

    def stop(self) -> int:
        """Let the daemon drain; its exit code."""
        self.daemons[-1].send_signal(signal.SIGTERM)
        return self.daemons[-1].wait(timeout=PATIENCE)

    def close(self) -> None:
        """End what still runs, whatever happened."""
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait(timeout=PATIENCE)

    def get(self, path: str) -> tuple[int, str]:
        """The daemon's answer on its own door: status and body."""
        address = self.http_file.read_text(encoding="utf-8").strip()
        with urllib.request.urlopen(f"{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()

    @property
    def ledger(self) -> Path:
        """Its ledger's file."""
        return self.folder / "warmup.db"

    def status(self, path: str) -> int:
        """The status of the daemon's answer on its own door."""
        try:
            return self.get(path)[0]
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    @property
    def http_file(self) -> Path:
        """Where its daemon says what address it listens on."""
        return self.folder / ("warmup.db.http" if self.url.startswith("sqlite") else "warmup.http")

    @property
    def log(self) -> Path:
        """Everything its daemons said."""
        return self.folder / "run.log"

    def _is_ready(self) -> bool:
        assert self.daemons[-1].poll() is None, self.log.read_text(errors="replace")[-3000:]
        try:
            status, _ = self.get("/readyz")
        except (OSError, ValueError, urllib.error.URLError):
            return False
        return status == 200

    @property
    def surroundings(self) -> dict[str, str]:
        """The environment its verbs are called in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WARMUP")}
        return kept | {"WARMUP_CONFIG": str(self.folder / "config.toml")}


def zone_where_it_is(hour: int) -> str:
    """A zone in which it is `hour` o'clock now, so that a run begins before its window opens, whenever it is begun."""
    ahead = (hour - datetime.now(UTC).hour + 12) % 24 - 12
    # POSIX counts westwards: Etc/GMT-3 is three hours ahead of UTC.
    return "Etc/UTC" if ahead == 0 else f"Etc/GMT{-ahead:+d}"
