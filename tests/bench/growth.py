"""`make bench`, growth: what a message costs with 100 mailboxes and with 10,000, and how long the verbs take.

A message is sent by the whole durable step to a sink in plain text. Every mailbox of the fleet has its day planned and
messages waiting; `SAMPLE` of them are due. CPU seconds are judged: on a machine that others use too, the clock on the
wall says little, and it is shown besides.
"""

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from tests.bench.figures import Figure, keep
from tests.bench.send import HANDS, ours, timed
from tests.bench.sink import smtp_sink
from tests.bench.workshop import Workshop, plan
from tests.scenarios.house import WARMUP
from warmup.policy.mailbox import Endpoint, Security

SIZES = (100, 1_000, 10_000)
SAMPLE = 100
EACH = 4
"""Messages of a sampled mailbox on one connection."""

ROUNDS = 5
TIMES = 5
"""How often a verb is called; the median counts."""


async def costs(workshop: Workshop, size: int, smtp: Endpoint) -> tuple[float, float]:
    """Milliseconds of a message with `size` mailboxes, by the clock and of CPU: the median of the rounds."""
    took = []
    async with workshop.circle() as circle:
        now = circle.clock.now()
        later = tuple(now + timedelta(hours=n) for n in range(2, 6))
        await plan(circle, await workshop.enrol(circle, range(size), smtp, auth=False, read=False), later)
        for turn in range(ROUNDS + 1):
            numbers = range(size + turn * SAMPLE, size + (turn + 1) * SAMPLE)
            fleet = await workshop.enrol(circle, numbers, smtp, auth=False)
            due = tuple(circle.clock.now() - timedelta(seconds=60 - n) for n in range(EACH))
            await plan(circle, fleet, due, seed=turn + 1)
            took.append(await timed(ours([each.id for each in fleet], circle, HANDS)))
    count = SAMPLE * EACH / 1000
    return statistics.median(one.wall for one in took[1:]) / count, statistics.median(
        one.cpu for one in took[1:]
    ) / count


def seconds_of(workshop: Workshop, *arguments: str) -> float:
    """The median time of a verb, from its start to its end."""
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        subprocess.run(
            [WARMUP, *arguments], check=True, capture_output=True, env={**os.environ, **workshop.house.surroundings}
        )
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measured(folder: Path) -> list[Figure]:
    """Cost of a message by the size of the fleet; and the verbs, on the largest."""
    found, workshop = [], None
    with smtp_sink() as port:
        smtp = Endpoint(host="127.0.0.1", port=port, security=Security.NONE)
        for size in SIZES:
            workshop = Workshop.made(folder / str(size))
            found.append(asyncio.run(costs(workshop, size, smtp)))
            print(f"{size:,} mailboxes: {found[-1][0]:.2f} ms a message, {found[-1][1]:.2f} ms of CPU", flush=True)
    assert workshop is not None
    first, last = found[0][1], found[-1][1]
    more = {f"{size:,}: ms CPU": cpu for size, (_, cpu) in zip(SIZES, found, strict=True)}
    name = f"a message with {SIZES[-1]:,} mailboxes, CPU"
    return [
        Figure(name=name, value=last / first, unit=f"× {SIZES[0]}", least=0.85, most=1.15, more=more),
        Figure(name="warmup --help", value=seconds_of(workshop, "--help"), unit="s", most=0.4),
        Figure(
            name=f"warmup status --json, {SIZES[-1]:,} mailboxes",
            value=seconds_of(workshop, "status", "--json"),
            unit="s",
            most=1.5,
        ),
    ]


def main() -> None:
    """Print the table and keep it."""
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as name:
        figures = measured(Path(name))
    for figure in figures:
        print(figure, flush=True)
    keep("growth", figures)


if __name__ == "__main__":
    main()
