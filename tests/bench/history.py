"""`make bench`, history: what is asked at every claim, look and tick, with ten million messages behind it.

On a PostgreSQL of the run's own, filled as the writers would have left it: a message a second, of five thousand
mailboxes, four to a domain, accepted and seen. Each question is asked in the middle of that; shown is how long the
server took for it, the median of some times, and which tables of history it read through: none may be.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, text

from tests.bench.figures import Figure, keep
from tests.ledger.conftest import NOW, World
from tests.ledger.test_queries import ASKED, HOT
from tests.ledger.test_queries_server import FILL, HISTORY
from tests.postgres import Server
from warmup.ledger import schema
from warmup.ledger.columns import UtcDateTime
from warmup.ledger.ledger import Ledger

ROWS = 10_000_000
MAILBOXES = 5_000
FIRST = 1000
"""The number of the first mailbox, and of the first message, of the long history."""

TIMES = 5
MOST_MS = 20.0
DAY = timedelta(hours=24)

WHOSE = {
    "account_id": FIRST,
    "mailbox": FIRST,
    "slot": FIRST + MAILBOXES,
    "address": f"u{FIRST}@send.test",
    "domain": f"d{FIRST // 4}.test",
    "hour_ago": NOW - timedelta(hours=1),
    "hour_elapsed": NOW - timedelta(hours=1),
    "minute_ago": NOW - timedelta(minutes=1),
    "since": NOW - DAY,
    "own_since": NOW - DAY,
}


def fill(connection: Connection, rows: int) -> None:
    """The history of a long time."""
    asked = {
        "now": UtcDateTime().process_bind_param(NOW, connection.dialect),
        "rows": rows,
        "mailboxes": MAILBOXES,
    }
    spread = FILL.replace("account_id, 'send.test'", "account_id, 'd' || account_id / 4 || '.test'")
    for statement in filter(str.strip, spread.split(";\n")):
        connection.execute(text(statement), {name: asked[name] for name in asked if f":{name}" in statement})
    connection.exec_driver_sql("ANALYZE")


def asked(connection: Connection, query: Select[*tuple[Any, ...]]) -> tuple[float, frozenset[str]]:
    """Milliseconds of the server's for it, and the tables of history that it read through."""
    spelled = query.params(ASKED | WHOSE).compile(connection.engine, compile_kwargs={"literal_binds": True})
    command = f"EXPLAIN (ANALYZE, FORMAT JSON) {spelled}".replace("%", "%%")
    took, through = [], frozenset[str]()
    for _ in range(TIMES):
        ((found,),) = connection.exec_driver_sql(command).scalars().all()
        took.append(found["Execution Time"])
        through |= frozenset(_read_through(found["Plan"])) & HISTORY
    return statistics.median(took), through


def _read_through(step: dict[str, Any]) -> list[str]:
    below = [name for each in step.get("Plans", ()) for name in _read_through(each)]
    return [step["Relation Name"], *below] if step["Node Type"] == "Seq Scan" else below


async def measured(server: Server, rows: int, folder: Path) -> list[Figure]:
    """Every hot question's time; and how many of them read history through."""
    name = server.database()
    schema.upgrade(server.url(name))
    ledger = Ledger.open(server.url(name), beside=folder / "history", durable=False)
    try:
        await ledger.installation.establish(now=NOW, token="history")
        await World.founded(ledger)
        began = time.monotonic()
        await ledger.store.write(lambda connection: fill(connection, rows))
        print(f"{rows:,} messages written in {time.monotonic() - began:.0f} s", flush=True)
        figures = []
        scans: list[str] = []
        for what, query in HOT.items():
            took, through = await ledger.store.read(asked, query)
            scans += sorted(through)
            figures.append(Figure(name=f"{rows:,} messages, {what}", value=took, unit="ms", most=MOST_MS))
            print(figures[-1], flush=True)
        figures.append(
            Figure(name="tables of history read through", value=len(scans), unit=", ".join(scans) or "tables", most=0)
        )
        print(figures[-1], flush=True)
        return figures
    finally:
        await ledger.close()


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.history")
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    server = Server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="warmup-bench-") as folder:
            keep("history", asyncio.run(measured(server, options.rows, Path(folder))))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
