"""The program as its users have it: the installed `warmup` command, a folder, a configuration and a daemon.

Nothing of warmup is imported here. What it says is read from `export`, what it did from the lab.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.lab.lab import Lab
from tests.lab.layout import LabFailed, until

WARMUP = Path(sys.executable).with_name("warmup")
Row = dict[str, Any]

CONFIG = """\
[http]
listen = "127.0.0.1:0"

# Real seconds: a tick is a quarter of an hour of this rehearsal.
[daemon]
tick_seconds = 0.2

# Half a second of real time would be late by the default.
[send]
grace_seconds = 7200

[limits]
own_fresh_minutes = 240

[observe]
first_seconds = 300

[window]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
start = "06:00"
end = "22:00"
timezone = "{zone}"

[network]
ca_file = "{ca_file}"
"""

PROVIDER = """
[providers.{name}]
domains = ["{domain}"]
mx = []
daily_limit = {limit}
files_sent = {files_sent}
"""


@dataclass(slots=True, kw_only=True)
class Program:
    """One installation in `folder`. Its clock runs at `speed` once it is started, and at the wall's before.

    `environ` is configuration of the test's own.
    """

    lab: Lab
    folder: Path
    speed: float
    daily_limits: Mapping[str, int]
    zone: str = field(default_factory=lambda: zone_where_it_is(5), init=False)
    environ: Mapping[str, str] = field(default_factory=dict)
    _daemon: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def install(self) -> None:
        """Write the configuration and let `init` make the rest."""
        text = CONFIG.format(zone=self.zone, ca_file=self.lab.ca_file)
        for domain, limit in self.daily_limits.items():
            files_sent = str(domain == "corp.test").lower()
            name = domain.replace(".", "")
            text += PROVIDER.format(name=name, domain=domain, limit=limit, files_sent=files_sent)
        self.folder.mkdir(parents=True)
        (self.folder / "config.toml").write_text(text)
        self("init", str(self.folder))

    def enrol(self, address: str, *options: str, port: int | None = None, account: str | None = None) -> None:
        """Enrol a mailbox of the lab: both servers are logged in to before it is saved.

        `port` is that of an SMTP server of the lab other than submission, `account` the account to log in to, where the
        address is not its own.
        """
        ports, secret = self.lab.ports, self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.lab.user(account or address).password)
        options = (*options, "--username", account) if account else options
        where = ["--smtp", f"127.0.0.1:{port or ports.submission}", "--smtp-security", "starttls"]
        where += ["--imap", f"127.0.0.1:{ports.imaps}", "--imap-security", "tls"]
        self("mailbox", "add", address, *where, "--ramp", "esp", "--password-file", str(secret), *options)
        secret.unlink()

    def start(self) -> None:
        """Start the daemon and wait until it says it is ready; raises LabFailed with its last words."""
        with self._log.open("ab") as log:
            self._daemon = subprocess.Popen(
                self._command("run"),
                env=self._environ | {"WARMUP__REHEARSAL__SPEED": str(self.speed)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._is_ready, seconds=60, what="warmup run is ready", log=self._log)

    def kill(self) -> None:
        """End the daemon as a power cut does."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGKILL)
        self._daemon.wait()
        (self.folder / "warmup.db.http").unlink(missing_ok=True)

    def stop(self) -> int:
        """Let it drain; gives its exit code."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGTERM)
        return self._daemon.wait(timeout=60)

    def close(self) -> None:
        """End what still runs, whatever happened."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.kill()
            self._daemon.wait()

    def __call__(self, *arguments: str) -> str:
        """What the verb printed; raises LabFailed with its error where it did not exit with 0."""
        done = self.ended(*arguments)
        if done.returncode != 0:
            raise LabFailed(f"warmup {' '.join(arguments[:3])} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def ended(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The verb, come to its end."""
        return subprocess.run(
            self._command(*arguments), env=self._environ, capture_output=True, text=True, timeout=120, check=False
        )

    def export(self, what: str) -> list[Row]:
        """`warmup export WHAT`, also while the daemon runs."""
        return [json.loads(line) for line in self("export", what, "--format", "jsonl").splitlines()]

    def dates(self) -> list[date]:
        """The dates that were planned, in order."""
        return sorted({date.fromisoformat(row["date"]) for row in self.export("daily")})

    def wait_for_date(self, number: int, *, seconds: float) -> date:
        """Wait until the `number`th date (from 1) was planned and give it; raises LabFailed."""

        def planned() -> date | None:
            if self._daemon is None or self._daemon.poll() is not None:
                raise LabFailed("warmup run ended by itself:\n" + self.last_words())
            dates = self.dates()
            return dates[number - 1] if len(dates) >= number else None

        return until(planned, seconds=seconds, what=f"date {number} is planned", log=self._log, every=0.5)

    def log(self) -> str:
        """All that its daemons said."""
        return self._log.read_text(errors="replace")

    def last_words(self, lines: int = 20) -> str:
        """The end of the daemon's log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    @property
    def _log(self) -> Path:
        return self.folder / "run.log"

    @property
    def _environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WARMUP")}
        return kept | dict(self.environ) | {"WARMUP_CONFIG": str(self.folder / "config.toml")}

    def _command(self, *arguments: str) -> list[str]:
        return [str(WARMUP), *arguments]

    def _is_ready(self) -> bool:
        if self._daemon is None or self._daemon.poll() is not None:
            raise LabFailed("warmup run ended:\n" + self.last_words())
        try:
            address = (self.folder / "warmup.db.http").read_text().strip()
            address = address if address.startswith("http") else f"http://{address}"
            with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False


def zone_where_it_is(hour: int) -> str:
    """A zone in which it is `hour` o'clock now, so that a run begins before its window opens, whenever it is begun."""
    ahead = (hour - datetime.now(UTC).hour + 12) % 24 - 12
    # POSIX counts westwards: Etc/GMT-3 is three hours ahead of UTC.
    return "Etc/UTC" if ahead == 0 else f"Etc/GMT{-ahead:+d}"


def instant(text: str) -> datetime:
    """An exported instant."""
    return datetime.fromisoformat(text)


def date_of(text: str, zone: str) -> date:
    """The civil date of an exported instant in `zone`."""
    return instant(text).astimezone(ZoneInfo(zone)).date()
