"""A mail world and an installation beside it, with everybody enrolled, for scenarios that attack the daemon.

The world's day takes a minute, and its window never closes, so that mail goes out all the time.
"""

import csv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.scenarios.house import House, Row, Town

SPEED = 1500.0
"""Seconds of the world for each real second."""

ALWAYS_OPEN = {"WARMUP__WINDOW__START": "00:00", "WARMUP__WINDOW__END": "23:59"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Both, running or ready to."""

    town: Town
    house: House

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.house.folder / "warmup.db"

    def received(self) -> list[Row]:
        """What the servers took over SMTP, oldest first."""
        return [row for row in self.town.journal() if not row["own"]]


@contextmanager
def staged(
    folder: Path,
    *,
    house: Path | None = None,
    speed: float = SPEED,
    accounts: int = 8,
    town: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    limit: int = 400,
    zone: str = "UTC",
) -> Iterator[Stage]:
    """Open a world with `accounts` at each of three providers, and install and enrol; all is closed at the end.

    `house` is where it is installed (inside `folder`), `town` are more of the world's options, `environ` more of the
    daemon's surroundings, `limit` every account's daily limit, `zone` where they live.
    """
    with ExitStack() as stack:
        start = datetime.now(UTC).isoformat()
        world = ("--start", start, "--speed", str(speed), "--accounts", str(accounts), "--seed", "torture", *town)
        opened = Town.open(folder / "town", *world)
        stack.callback(opened.close)
        surroundings = {"WARMUP__REHEARSAL__SPEED": str(speed), **ALWAYS_OPEN, **(environ or {})}
        installed = House(folder=house or folder / "house", environ=surroundings)
        installed.install(ca_file=opened.ca_file)
        stack.callback(installed.close)
        _enrol_all(installed, opened.accounts, limit, zone)
        yield Stage(town=opened, house=installed)


def _enrol_all(house: House, accounts: tuple[Row, ...], limit: int, zone: str) -> None:
    columns = ["address", "password", "ramp", "provider", "daily-limit", "smtp", "smtp-security", "imap"]
    columns += ["imap-security", "timezone"]
    path = house.folder / "fleet.csv"
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for account in accounts:
            smtp, imap = (f"{account['host']}:{account[port]}" for port in ("smtp_port", "imaps_port"))
            how = ["esp", "custom", limit, smtp, "starttls", imap, "tls", zone]
            table.writerow([account["address"], account["password"], *how])
    house("mailbox", "import", str(path))
    path.unlink()
