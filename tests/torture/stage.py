"""A house and the town it writes in, with everybody enrolled: what the scenarios that attack the daemon are played on.

On a plain stage the world's day takes a minute, and its window never closes, so that mail goes out all the time. On a
directed one the town's servers stop where they are told to. The ledger is read from beside, read-only and without a
verb, so that a look between a kill and a restart neither costs a second nor mends anything.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from tests.scenarios.house import PATIENCE, House, NotInTime, Row, Town, until
from tests.torture.places import FILE, Place

SPEED = 1500.0
"""Seconds of a plain stage's world for each real second."""

ALWAYS_OPEN = {"WARMUP__WINDOW__START": "00:00", "WARMUP__WINDOW__END": "23:59"}

TICK_SECONDS = 0.2
"""As the house is configured; real."""

GRACE = timedelta(hours=10)
"""Ledger time. Long, since a start of some seconds, on a busy machine, is some hours of a rehearsal."""

# Everything is delivered and found: whatever is not sighted was not taken, or is our fault.
WORLD = """\
name = "plain"

[[receiver]]
name = "plain"
base_spam = 0.01
quiet_volume = 1000.0
tolerance = 2.0
pressure = 0.0
distrust = 0.0
trust = 1.0
trust_gain = 0.01
trust_loss = 0.02
memory_days = 4.0
defer_at = 1000.0
missing = 0.0
delay_minutes = 20.0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A connection that is held: where, and whose ("": nobody has logged in yet)."""

    point: str
    account: str


@dataclass(slots=True, kw_only=True)
class Director:
    """Tells a town's servers where to stop, and hears who is held."""

    town: Town
    _lines: "queue.Queue[str]" = field(default_factory=queue.Queue, init=False)
    _held: list[Held] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        threading.Thread(target=self._listen, name="director", daemon=True).start()

    def tell(self, command: str) -> None:
        """Say one command, and wait until it was heard."""
        assert self.town.process.stdin is not None
        self.town.process.stdin.write(f"{command}\n")
        self.town.process.stdin.flush()
        while (line := self._next(PATIENCE)) != "heard":
            self._remember(line)

    def held(self, seconds: float) -> Held:
        """Who is held at the point that was told; NotInTime after `seconds`."""
        while not self._held:
            self._remember(self._next(seconds))
        return self._held.pop()

    def _next(self, seconds: float) -> str:
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            raise NotInTime(f"the mail world said nothing within {seconds:g} s") from None

    def _remember(self, line: str) -> None:
        _, point, *account = line.split()
        self._held.append(Held(point=point, account=" ".join(account)))

    def _listen(self) -> None:
        assert self.town.process.stdout is not None
        for line in self.town.process.stdout:
            self._lines.put(line.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A house and the town it writes in, running or ready to."""

    town: Town
    house: House
    place: Place = FILE

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.house.folder / "warmup.db"

    def received(self) -> list[Row]:
        """What the servers took over SMTP, oldest first."""
        return [row for row in self.town.journal() if not row["own"]]

    def flights(self) -> dict[int, str]:
        """The slots that are in flight, and whose they are."""
        rows = self.select("SELECT f.slot_id, m.address FROM flights f JOIN mailboxes m ON m.id = f.mailbox_id")
        return {int(slot): str(address) for slot, address in rows}

    def select(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the ledger as it lies there."""
        return self.place.select(self.house, query)

    def ledger_locked(self) -> AbstractContextManager[None]:
        """Hold the ledger's write lock: no transaction of the daemon's begins, and none commits."""
        return self.place.locked(self.house)

    def wait_until_the_daemon_wants_to_write(self) -> None:
        """Return once the daemon waits for the write lock."""
        until(
            lambda: self.place.daemon_waits(self.house),
            seconds=PATIENCE,
            what="the daemon wants to write",
            every=0.002,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectedStage(Stage):
    """The same, and who directs the town's servers."""

    director: Director

    @classmethod
    @contextmanager
    def open(
        cls,
        folder: Path,
        *,
        speed: float,
        accounts: int,
        environ: Mapping[str, str],
        place: Place = FILE,
        **enrolment: str,
    ) -> Iterator[Self]:
        """Both of them with every account of the town enrolled; closed at the end, whatever happens."""
        folder.mkdir(parents=True, exist_ok=True)
        world = folder / "world.toml"
        world.write_text(WORLD, encoding="utf-8")
        with ExitStack() as stack:
            options = ("--world", str(world), "--speed", str(speed), "--accounts", str(accounts), "--commands")
            town = Town.open(folder / "town", "--start", datetime.now(UTC).isoformat(), *options)
            stack.callback(town.close)
            around = {
                "WARMUP__WINDOW__START": "00:01",
                "WARMUP__WINDOW__END": "23:59",
                "WARMUP__SEND__GRACE_SECONDS": str(int(GRACE.total_seconds())),
                **place.environ,
                **environ,
            }
            told = {"WARMUP__REHEARSAL__SPEED": str(speed), **around}
            house = House(folder=folder / "house", environ=told, url=place.url())
            stack.callback(house.close)
            house.install(ca_file=town.ca_file)
            house.enrol_all(town.accounts, provider="custom", ramp="esp", engage="no", role="both", **enrolment)
            yield cls(town=town, house=house, place=place, director=Director(town=town))


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
        everybody = {"provider": "custom", "ramp": "esp", "engage": "no", "role": "both"}
        installed.enrol_all(opened.accounts, daily_limit=limit, timezone=zone, **everybody)
        yield Stage(town=opened, house=installed)


def waited(condition: Callable[[], bool], what: str, *, seconds: float = PATIENCE) -> list[str]:
    """Nothing once the condition holds, or one line that says it did not within `seconds` of real time."""
    try:
        until(condition, seconds=seconds, what=what, every=0.05)
    except NotInTime as late:
        return [str(late)]
    return []


def pass_by(seconds: float) -> None:
    """Let that much real time pass, where it is time itself that is the test."""
    over = time.monotonic() + seconds
    until(lambda: time.monotonic() >= over, seconds=2 * seconds, what="time passes", every=0.05)
