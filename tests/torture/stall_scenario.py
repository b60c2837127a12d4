"""The daemon's loop stands still for five seconds: no slot is skipped in silence, and the lag is to be seen.

Two ways to have it. The whole process is stopped and continued, as a machine without memory does it. Or the loop alone
is blocked, while the ledger's threads live: its log goes to a pipe that nobody reads, and the next line does not end.
"""

import fcntl
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.scenarios.house import until
from tests.torture.books import Books
from tests.torture.outcome import Form, Outcome
from tests.torture.places import FILE, Place
from tests.torture.stage import DirectedStage, pass_by, waited

SPEED = 1500.0
STALL_SECONDS = 5.0
SEEN_SECONDS = 2.5
"""A bucket of the lag's histogram: what is beyond is the stall's and not the machine's."""
GRACE_SECONDS = 10_800
"""Ledger time; the stall is 7,500 of them."""
ACCOUNTS = 4
STALLS = {Form.SHORT: 2, Form.FULL: 20}
PATIENCE_SECONDS = 60.0
MICROSECONDS = 1e6

ANCHOR = "SELECT anchor_wall, anchor_ledger, speed FROM installation"
WAITING = "SELECT s.id, s.due_at FROM due_slots d JOIN slots s ON s.id = d.slot_id"
DUE = "SELECT id, due_at FROM slots"


@dataclass(slots=True, kw_only=True)
class Pipe:
    """A named pipe as the daemon's stderr: read by a thread, unless it is told to stand still."""

    path: Path
    log: Path
    _reads: threading.Event = field(default_factory=threading.Event, init=False)
    _handle: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        os.mkfifo(self.path)
        # Open for both, so that neither side waits for the other and the end never comes.
        self._handle = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self._handle, fcntl.F_SETPIPE_SZ, 4096)
        self._reads.set()
        threading.Thread(target=self._read, name="stderr", daemon=True).start()

    def _read(self) -> None:
        with self.log.open("ab", buffering=0) as log:
            while True:
                self._reads.wait()
                try:
                    log.write(os.read(self._handle, 4096))
                except BlockingIOError:
                    time.sleep(0.01)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Fill it and let nobody read."""
        self._reads.clear()
        with suppress(BlockingIOError):
            while True:
                os.write(self._handle, b"\n")
        try:
            yield
        finally:
            self._reads.set()


@dataclass(slots=True, kw_only=True)
class Stalls:
    """What was seen of the stalls. `due`: slots that fell due meanwhile; `lags`: observations beyond SEEN_SECONDS."""

    kinds: dict[str, int] = field(default_factory=dict)
    due: set[int] = field(default_factory=set)
    lags: int = 0
    broken: list[str] = field(default_factory=list)


def run(form: Form, folder: Path, place: Place = FILE) -> Outcome:
    """Let the loop stand still in turn in each way, and look for what fell due meanwhile."""
    environ = {"WARMUP__SEND__GRACE_SECONDS": str(GRACE_SECONDS)}
    opened = DirectedStage.open(folder, speed=SPEED, accounts=ACCOUNTS, environ=environ, place=place, daily_limit="60")
    with opened as stage:
        pipe = Pipe(path=folder / "stderr", log=stage.house.log)
        stage.house.launch("sh", "-c", 'exec "$@" 2>"$0"', str(pipe.path))
        stage.house.wait_until_ready()
        stalls = Stalls()
        for number in range(STALLS[form]):
            wait_for_mail(stage, stalls)
            if number % 2:
                stalled(stage, stalls, "loop blocked", lambda: blocked(stage, pipe))
            else:
                stalled(stage, stalls, "process stopped", lambda: stopped(stage))
        stalls.broken += stage.house.stop() * ["the daemon did not end with 0"]
        books = Books(journal=stage.town.journal(), messages=stage.house.export("messages"))
    return told(stalls, books).on(place.name)


def wait_for_mail(stage: DirectedStage, stalls: Stalls) -> None:
    """Return once one more message has gone: the day has begun."""
    before = len(stage.town.journal())
    stalls.broken += waited(lambda: len(stage.town.journal()) > before, "mail goes out")


def stopped(stage: DirectedStage) -> None:
    """The whole process stands still."""
    daemon = stage.house.daemons[-1]
    daemon.send_signal(signal.SIGSTOP)
    pass_by(STALL_SECONDS)
    daemon.send_signal(signal.SIGCONT)


def blocked(stage: DirectedStage, pipe: Pipe) -> None:
    """The loop's thread stands in a write to its log."""
    pid = stage.house.daemons[-1].pid
    with pipe.standing_still():
        until(lambda: writes(pid), seconds=PATIENCE_SECONDS, what="the loop is blocked", every=0.01)
        pass_by(STALL_SECONDS)


def writes(pid: int) -> bool:
    """True while the process's first thread, which is the loop's, stands in a write to stderr."""
    call = Path(f"/proc/{pid}/task/{pid}/syscall").read_text().split()
    return len(call) > 1 and call[0] in {"1", "64"} and call[1] == "0x2"


def stalled(stage: DirectedStage, stalls: Stalls, kind: str, stand_still: Callable[[], None]) -> None:
    """One stall, and what became of the slots that fell due in it."""
    began, lags = ledger_now(stage), lags_seen(stage)
    stand_still()
    ended = ledger_now(stage)
    stalls.kinds[kind] = stalls.kinds.get(kind, 0) + 1
    stalls.due |= {int(slot) for slot, due_at in stage.select(DUE) if began <= due_at <= ended}
    stalls.broken += waited(
        lambda: all(due_at > ended for _, due_at in stage.select(WAITING)),
        f"{kind}: what fell due meanwhile goes, or lapses",
    )
    seen = lags_seen(stage) - lags
    if seen < 1:
        stalls.broken.append(f"{kind}: warmup_loop_lag_seconds shows nothing beyond {SEEN_SECONDS} s")
    stalls.lags += seen


def ledger_now(stage: DirectedStage) -> float:
    """The ledger's present instant, in its microseconds."""
    ((wall, ledger, speed),) = stage.select(ANCHOR)
    return float(ledger + (datetime.now(UTC).timestamp() * MICROSECONDS - wall) * speed)


def lags_seen(stage: DirectedStage) -> int:
    """How often the loop was found later than SEEN_SECONDS, by the daemon's metrics."""
    _, text = stage.house.get("/metrics")
    name = "warmup_loop_lag_seconds"
    total = re.search(rf"^{name}_count (\S+)$", text, re.MULTILINE)
    timely = re.search(rf'^{name}_bucket{{le="{SEEN_SECONDS}"}} (\S+)$', text, re.MULTILINE)
    return round(float(total.group(1)) - float(timely.group(1))) if total and timely else 0


def told(stalls: Stalls, books: Books) -> Outcome:
    """The stalls and the books in one line."""
    ends = {row["slot"]: row["outcome"] for row in books.messages}
    skipped = [slot for slot in sorted(stalls.due) if ends[slot] not in ("accepted", "refused", "uncertain", "lapsed")]
    doubles, losses = books.doubles(), books.losses()
    losses += [f"slot {slot} fell due in a stall and is {ends[slot]}" for slot in skipped]
    lapsed = sum(1 for slot in stalls.due if ends[slot] == "lapsed")
    kinds = ", ".join(f"{times} {kind}" for kind, times in stalls.kinds.items())
    return Outcome(
        scenario="stall",
        tries=sum(stalls.kinds.values()),
        losses=len(losses),
        doubles=len(doubles),
        breaches=len(stalls.broken),
        figures=f"{kinds}, {STALL_SECONDS:g} s each; {len(stalls.due)} slots fell due meanwhile: "
        f"{len(stalls.due) - lapsed - len(skipped)} went, {lapsed} lapsed, {len(skipped)} were skipped; "
        f"{stalls.lags} lags beyond {SEEN_SECONDS} s in the metrics",
        broken=(*doubles, *losses, *stalls.broken)[:20],
    )
