"""`make fuzz`: every target for SECONDS, each in a process of its own, from our own seeds; any finding ends it with 1.

A finding is an assertion that does not hold, an exception, an input that takes two seconds or half a gigabyte. What was
found is written to the current folder by libFuzzer (crash-…, timeout-…) and is worth a test.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz; the exit code."""
    seconds, *chosen = sys.argv[1:] or ["300"]
    found = [name for name in chosen or TARGETS if not _survives(name, int(seconds))]
    print(f"{'all targets held' if not found else 'found something in: ' + ', '.join(found)}")
    return 1 if found else 0


def _survives(name: str, seconds: int) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        for place, seed in enumerate(seeds_of(name)):
            (Path(folder) / f"seed-{place:03}").write_bytes(seed)
        limits = (f"-max_total_time={seconds}", "-timeout=2", "-rss_limit_mb=512", "-max_len=32768", "-verbosity=0")
        options = (*limits, "-print_final_stats=1")
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.one", name, folder, *options],
            capture_output=True,
            text=True,
            check=False,
        )
    runs = next((line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line), "no")
    print(f"{name:<14} {runs:>9} inputs in {seconds} s: {'held' if done.returncode == 0 else 'FOUND'}", flush=True)
    if done.returncode != 0:
        print(done.stdout[-4_000:], done.stderr[-4_000:], sep="\n")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
