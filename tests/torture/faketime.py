"""A wall clock that can be set, for one process: libfaketime (Debian's), which reads its offset from a file.

The boot clock and the monotonic one stay as they are, as they do when an operator or NTP sets a real wall clock.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_LIBRARY = "libfaketimeMT.so.1"


def library() -> Path | None:
    """Where Debian put it; None where it is not installed."""
    listed = subprocess.run(["dpkg", "-L", "libfaketime"], capture_output=True, text=True, check=False)
    found = [Path(line) for line in listed.stdout.splitlines() if line.endswith(f"/{_LIBRARY}")]
    return next((path for path in found if path.exists()), None)


def unavailable() -> str | None:
    """Why no clock can be set here, or None."""
    return None if library() else "libfaketime is missing; bash tests/lab/packages.sh installs it"


@dataclass(slots=True)
class WallClock:
    """The offset of a process' wall clock from the machine's, in real seconds."""

    file: Path
    offset: float = 0.0

    def __post_init__(self) -> None:
        self.step(0.0)

    def step(self, seconds: float) -> None:
        """Set the clock forward by `seconds`, or back."""
        self.offset += seconds
        draft = self.file.with_suffix(".draft")
        draft.write_text(f"{self.offset:+.6f}\n", encoding="ascii")
        draft.replace(self.file)

    @property
    def environ(self) -> dict[str, str]:
        """The surroundings of a process that lives by it."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # With that "fix" every wait for Python's own lock takes twenty times as long.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }
