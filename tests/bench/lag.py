"""`make bench`, slot lag: how late messages go from a large fleet, with the daemon at 60 % of what it can send.

The daemon is the installed one, as a process, and smtp-sink takes its mail, in plain text on loopback. What it can send
is measured first, on the same ledger, with more due than it can do. Then every mailbox has its messages spread over
`SECONDS`, and the lag is read from the ledger: from the instant a message was due until its outcome. The own traffic of
each is "read" on the way (these servers file none); nothing is looked for meanwhile.
"""

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.figures import Figure, keep
from tests.bench.sink import smtp_sink
from tests.bench.workshop import Workshop, plan
from tests.scenarios.house import until
from warmup.policy.mailbox import Endpoint, Security

MAILBOXES = int(os.environ.get("LAG_MAILBOXES", "10000"))
SECONDS = float(os.environ.get("LAG_SECONDS", "600"))
SHARE = 0.6
FULL_TILT = 1500
"""Messages, one from each of as many other mailboxes, by which the rate is measured."""

SETTLING = timedelta(seconds=20)
ENVIRON = {
    "WARMUP__DAEMON__TICK_SECONDS": "1",
    "WARMUP__OBSERVE__FIRST_SECONDS": "7200",
    "WARMUP__LIMITS__DOMAIN_DAILY": "50000",
}


def ended(path: Path, last: int) -> tuple[int, list[float], list[float]]:
    """How many of the slots up to `last` and above lapsed, and of those that went: lags, and instants, in seconds."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    query = "SELECT o.at, s.due_at FROM outcomes o JOIN slots s ON s.id = o.slot_id WHERE o.outcome = 'accepted'"
    rows = connection.execute(f"{query} AND s.id > ?", (last,)).fetchall()
    (lapsed,) = connection.execute("SELECT count(*) FROM lapses WHERE slot_id > ?", (last,)).fetchone()
    connection.close()
    return lapsed, [(at - due) / 1e6 for at, due in rows], [at / 1e6 for at, _ in rows]


def went(path: Path, last: int) -> int:
    """How many slots above `last` came to an end."""
    lapsed, lags, _ = ended(path, last)
    return lapsed + len(lags)


def rate_of(workshop: Workshop, smtp: Endpoint) -> float:
    """Messages a second when there is always more due."""

    async def fill() -> None:
        async with workshop.circle() as circle:
            fleet = await workshop.enrol(circle, range(FULL_TILT), smtp, auth=False, read=False)
            await plan(circle, fleet, (circle.clock.now() - timedelta(seconds=5),))

    asyncio.run(fill())
    path = workshop.house.ledger
    workshop.house.start()
    until(lambda: went(path, 0) >= FULL_TILT, seconds=300, what="all went", every=1)
    workshop.house.stop()
    _, lags, instants = ended(path, 0)
    return len(lags) / (max(instants) - min(instants))


def spread(workshop: Workshop, smtp: Endpoint, rate: float) -> tuple[int, int]:
    """Plan `SECONDS` of mail at `rate`; how many messages, and the last slot before them."""
    each = max(1, round(rate * SECONDS / MAILBOXES))
    step = timedelta(seconds=SECONDS / each)

    async def fill() -> None:
        async with workshop.circle() as circle:
            fleet = await workshop.enrol(circle, range(FULL_TILT, FULL_TILT + MAILBOXES), smtp, auth=False, read=False)
            first = datetime.now(UTC)
            await plan(circle, fleet, tuple(first + n * step for n in range(each)), apart=step / MAILBOXES)
            _put_off(workshop.house.ledger, FULL_TILT, datetime.now(UTC) + SETTLING - first)

    asyncio.run(fill())
    return each * MAILBOXES, FULL_TILT


def _put_off(path: Path, last: int, by: timedelta) -> None:
    """Let the slots above `last` be due later: to plan them took a while, and none may be late before it starts."""
    connection = sqlite3.connect(path)
    with connection:
        for table, number in (("slots", "id"), ("due_slots", "slot_id")):
            connection.execute(
                f"UPDATE {table} SET due_at = due_at + ? WHERE {number} > ?", (by // timedelta(microseconds=1), last)
            )
    connection.close()


def measured(folder: Path) -> list[Figure]:
    """Rate, lag and lapses."""
    workshop = Workshop.made(folder, **ENVIRON)
    with smtp_sink() as port:
        smtp = Endpoint(host="127.0.0.1", port=port, security=Security.NONE)
        rate = rate_of(workshop, smtp)
        print(f"at full tilt {rate:.0f} messages/s, load {os.getloadavg()[0]:.1f}", flush=True)
        count, last = spread(workshop, smtp, SHARE * rate)
        workshop.house.start()
        began = time.monotonic()
        until(lambda: went(workshop.house.ledger, last) >= count, seconds=3 * SECONDS + 300, what="went", every=5)
        took = time.monotonic() - began
        workshop.house.stop()
    lapsed, lags, instants = ended(workshop.house.ledger, last)
    p99 = statistics.quantiles(lags, n=100)[98]
    more = {
        "p50 s": statistics.median(lags),
        "most s": max(lags),
        "messages": len(lags),
        "/s": len(lags) / (max(instants) - min(instants)),
        "full tilt /s": rate,
        "minutes": took / 60,
    }
    name = f"{MAILBOXES:,} mailboxes, {SHARE:.0%} of the rate: slot lag p99"
    return [
        Figure(name=name, value=p99, unit="s", most=5, more=more),
        Figure(name="lapses meanwhile", value=lapsed, unit="slots", most=0),
    ]


def main() -> None:
    """Print the table and keep it."""
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as name:
        figures = measured(Path(name) / "lag")
    for figure in figures:
        print(figure, flush=True)
    keep("lag", figures)


if __name__ == "__main__":
    main()
