"""`make bench`: speed and memory as figures, and each against a bare loop of the same kind in the same run.

Machines differ and are noisy, so the ratios and medians count, not the absolute times. Nothing here passes or fails.
"""

import asyncio
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from warmup.cli.simulation.circle import Circle
from warmup.cli.simulation.course import course_of
from warmup.cli.simulation.setting import Setting
from warmup.clock import seeded
from warmup.content import shipped
from warmup.ledger import schema
from warmup.ledger.ledger import Ledger
from warmup.mail import identity
from warmup.mail.grammar import say
from warmup.mail.message import compose
from warmup.policy.ramp import ramp_named
from warmup.world import built_in

ROUNDS = 5
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def rate(work: Callable[[], int]) -> float:
    """The median of `ROUNDS` runs, in units a second; `work` says how many it did."""
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        done = work()
        rates.append(done / (time.perf_counter() - began))
    return statistics.median(rates)


def composing() -> int:
    """Draw, sign and spell 200 messages."""
    grammars, key = shipped(), bytes(32)
    for number in range(200):
        rng = seeded("bench", number)
        text = say(grammars.pick(rng), rng, sender_name="Ada Keller", recipient_name="Ben Moreau")
        token = identity.token(key, rng.randbytes(identity.NONCE_BYTES), sender="a@one.test", recipient="b@two.test")
        compose(
            sender=("Ada Keller", "a@one.test"),
            recipient=("Ben Moreau", "b@two.test"),
            subject=text.subject,
            body=text.body,
            message_id=identity.message_id(token, "one.test"),
            date=NOW,
            header=("X-Warmup-Id", token),
        )
    return 200


def bare_commits(folder: Path) -> Callable[[], int]:
    """One durable insert at a time with nothing around it: the limit of a ledger on this disk."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (at INTEGER)")

    def work() -> int:
        for number in range(100):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO t VALUES (?)", (number,))
            connection.execute("COMMIT")
        return 100

    return work


def ledger_commits(folder: Path) -> Callable[[], int]:
    """The same through the ledger: one small durable transaction at a time on its writer thread."""
    url = f"sqlite:///{folder / 'ledger.db'}"
    schema.upgrade(url)

    def work() -> int:
        return asyncio.run(_commits(url))

    return work


def simulating() -> int:
    """Warm eight mailboxes up for 90 days against the gentle world, by the policy functions: mailbox-days."""
    setting = Setting(world=built_in("gentle"), mailboxes=8, days=90, seed=1)
    for boxes in setting.domains():
        course_of(setting, boxes, Circle(setting, boxes, ramp=ramp_named("standard"), target=40))
    return setting.mailboxes * setting.days


async def _commits(url: str) -> int:
    ledger = Ledger.open(url)
    for number in range(100):
        await ledger.standings.suppress(f"{time.perf_counter_ns()}-{number}@one.test", "bench", now=NOW)
    await ledger.close()
    return 100


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as name:
        folder = Path(name)
        bare, ours = rate(bare_commits(folder)), rate(ledger_commits(folder))
        composed = rate(composing)
        simulated = rate(simulating)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'messages drawn, signed and spelled':<44}{composed:>10.0f} /s")
    print(f"{'durable transactions, bare sqlite3':<44}{bare:>10.0f} /s")
    print(f"{'durable transactions, through the ledger':<44}{ours:>10.0f} /s   {ours / bare:.2f} × bare")
    print(f"{'simulated mailbox-days, one core':<44}{simulated:>10.0f} /s")
    print(f"{'peak memory of this process':<44}{peak:>10.0f} MiB")


if __name__ == "__main__":
    main()
