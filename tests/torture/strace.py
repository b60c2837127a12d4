"""What a running process does to files, seen or spoilt from outside by strace (Debian's), which is attached to it.

Attached, not started by it: it can be taken away again while the process goes on, as a disk that is mended.
"""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scenarios.house import PATIENCE, House, until

WRITING = ("write", "pwrite64", "ftruncate")
SYNCING = ("fsync", "fdatasync")
_STOPPED = ("sh", "-c", 'kill -STOP $$; exec "$0" "$@"')
_CALL = re.compile(r"^(\d+)\s+(?:[\d.]+ )?(\w+)\(")


def unavailable() -> str | None:
    """Why nothing can be traced here, or None."""
    if shutil.which("strace") is None:
        return "strace is missing; bash tests/lab/packages.sh installs it"
    if os.geteuid() != 0:
        return "strace attaches to processes, which needs root"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a thread: the `number`-th of its name there."""

    thread: int
    name: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """An attached strace, which writes to `log`."""

    process: subprocess.Popen[str]
    log: Path

    @property
    def has_injected(self) -> bool:
        """True once a call was made to fail."""
        return "(INJECTED)" in self.log.read_text(errors="replace")

    def detach(self) -> None:
        """Leave the process to itself."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextmanager
def attached(pid: int, log: Path, paths: Sequence[Path], *options: str) -> Iterator[Tracer]:
    """Trace all threads of `pid`, as far as they touch `paths`."""
    only = [word for path in paths for word in ("-P", str(path))]
    command = ["strace", "-f", "-p", str(pid), "-o", str(log), *only, *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.readline()
    assert "attached" in said, said
    tracer = Tracer(process=process, log=log)
    try:
        yield tracer
    finally:
        tracer.detach()


@contextmanager
def traced_from_its_start(house: House, log: Path, paths: Sequence[Path], *options: str) -> Iterator[Tracer]:
    """Launch the daemon, traced before it does anything, and wait for nothing."""
    daemon = house.launch(*_STOPPED)
    until(lambda: state_of(daemon.pid) == "T", seconds=PATIENCE, what="the daemon waits")
    with attached(daemon.pid, log, paths, *options) as tracer:
        daemon.send_signal(signal.SIGCONT)
        yield tracer


def state_of(pid: int) -> str:
    """proc(5): R, S, T …"""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def calls_in(log: Path) -> list[Call]:
    """The calls of a trace, as they began."""
    counts: Counter[tuple[int, str]] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if match := _CALL.match(line):
            key = int(match[1]), match[2]
            counts[key] += 1
            found.append(Call(thread=key[0], name=key[1], number=counts[key]))
    return found


def failing_from(call: Call, calls: Sequence[Call], error: str) -> list[str]:
    """Options that make every writing and syncing call fail with `error`, from `call` of the trace `calls` on."""
    # strace counts by thread and name: a name that several threads used fails from the count of the busiest on.
    made: Counter[str] = Counter()
    for each in calls[: calls.index(call)]:
        made[each.name] = max(made[each.name], each.number)
    first = {name: made[name] + 1 for name in (*WRITING, *SYNCING)} | {call.name: call.number}
    injected = [f"inject={name}:error={error}:when={number}+" for name, number in first.items()]
    return ["-e", f"trace={','.join(first)}", *(word for each in injected for word in ("-e", each))]
