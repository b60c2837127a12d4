"""What a daemon costs that has nothing to do: share of a core, and memory, by the number of mailboxes.

The daemon is the installed one, as a process. Its time is read from the kernel's books over `SECONDS`, after it has
come to rest; among them are two of the readings of the whole fleet that it makes every thirty seconds. It ticks every
five seconds, as it does unless told otherwise.
"""

import asyncio
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.fleet import around, enrol, plan_nothing
from tests.scenarios.house import House
from tests.torture.gauges import Gauges
from warmup.ledger.ledger import Ledger

SECONDS = 60.0
REST = 8.0


def seconds_used(pid: int) -> float:
    """Seconds of a core that the process has used, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(size: int, folder: Path) -> tuple[float, float]:
    """Share of a core, and the most MiB, of a daemon with `size` mailboxes and nothing due."""
    house = House(folder=folder / f"house{size}", environ={"WARMUP__DAEMON__TICK_SECONDS": "5"})
    house.install()
    asyncio.run(_fill(house, size))
    try:
        daemon = house.start()
        time.sleep(REST)
        began, before = time.monotonic(), seconds_used(daemon.pid)
        time.sleep(SECONDS)
        share = (seconds_used(daemon.pid) - before) / (time.monotonic() - began)
        peak = Gauges(house).peak()
        house.stop()
    finally:
        house.close()
    return share, peak


async def _fill(house: House, size: int) -> None:
    ledger, now = Ledger.open(f"sqlite:///{house.ledger}", durable=False), datetime.now(UTC)
    await enrol(ledger, size, enrolled_at=now)
    await plan_nothing(ledger, around(now), now=now)
    await ledger.close()


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as name:
        for size in (0, 100, 1000, 10_000):
            share, peak = idle(size, Path(name))
            print(f"{f'idle daemon, {size:,} mailboxes':<44}{100 * share:>10.2f} % of a core   {peak:.0f} MiB")


if __name__ == "__main__":
    main()
