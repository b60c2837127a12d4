"""`python -m tests.bench.scale`: what a mailbox's day costs, fitted on small fleets and held against a large one.

A day costs something by itself (ticks, the first pages of every table), so much for each mailbox (planning, judging,
reading its own traffic) and so much for each message (sending, looking, weighing): `fitted` on three days, of a fleet
with little to send, the same with much, and a larger one with little.
Then every fiftieth of 100,000 mailboxes lives a day, with another volume, and what it cost is held against what the
model says. A day is rehearsed, on real servers of the sandbox in a process of its own and on a PostgreSQL of the run's
own, with fsync on; the books are the kernel's, PostgreSQL's and the daemon's own /metrics. What a daemon costs that has
nothing to do is a matter of real seconds, and measured for itself (`tests.bench.idle`).
"""

import argparse
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from tests.bench.cluster import server_seconds
from tests.bench.figures import Figure, keep
from tests.bench.idle import seconds_used
from tests.postgres import Server
from tests.scenarios.house import House, Town
from tests.torture.gauges import Gauges

EACH = 4
"""Mailboxes of a domain."""

OTHERS, RECEIVERS = 3, 5
"""Domains that a mail world has besides companies; and the receivers that the mailboxes are at."""

SMALL, MORE, LITTLE, MUCH = 200, 600, 4, 16
"""Mailboxes of the fleets it is fitted on, and the messages a day that each of them means to send."""

LARGE, BETWEEN = 2_000, 10
"""Every fiftieth of 100,000, and what these send."""

TOLERANCE = 0.2
MILLION = 1_000_000
A_DAY = 40
"""Messages of a mailbox that has reached its usual target."""

TICK = 5.0
"""Seconds of the ledger between two ticks: as a daemon does unless told otherwise."""

BUSY_HOURS = 10
"""Of a day, in which nearly all of it is sent."""

_SAMPLE = re.compile(r"^warmup_(\w+?)(?:_seconds)?_count(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What was used: CPU-seconds of the daemon and of PostgreSQL, connections made, rows and bytes that were added."""

    node_cpu: float
    server_cpu: float
    smtp_sessions: float
    imap_looks: float
    rows: float
    megabytes: float

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(**{name: value - other[name] for name, value in self.items()})

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(**{name: value + other[name] for name, value in self.items()})

    def times(self, factor: float) -> "Cost":
        """So many times as much."""
        return Cost(**{name: value * factor for name, value in self.items()})

    def items(self) -> list[tuple[str, float]]:
        """Every figure by its name."""
        return [(each.name, self[each.name]) for each in fields(self)]

    def __getitem__(self, name: str) -> float:
        value: float = getattr(self, name)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """A day of a fleet: what it cost, how much went, and the most memory the daemon took, in MiB."""

    mailboxes: int
    messages: int
    cost: Cost
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a day costs by itself, for each mailbox, and for each message."""

    day: Cost
    mailbox: Cost
    message: Cost

    def of(self, mailboxes: float, messages: float) -> Cost:
        """What a fleet's day costs."""
        return self.day + self.mailbox.times(mailboxes) + self.message.times(messages)


def fitted(little: Lived, much: Lived, larger: Lived) -> Model:
    """The model of three days: `much` is of a fleet as large as `little`, and `larger` of a larger one."""
    message = (much.cost - little.cost).times(1 / (much.messages - little.messages))
    more = larger.cost - little.cost - message.times(larger.messages - little.messages)
    mailbox = more.times(1 / (larger.mailboxes - little.mailboxes))
    rest = little.cost - mailbox.times(little.mailboxes) - message.times(little.messages)
    return Model(day=rest, mailbox=mailbox, message=message)


def a_day(server: Server, mailboxes: int, target: int, seconds: float) -> Lived:
    """A fleet's first day, rehearsed in so many seconds."""
    speed = 86_400 / seconds
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as name:
        folder = Path(name)
        companies = mailboxes // EACH - OTHERS
        start, size = datetime.now(UTC).isoformat(), ("--accounts", str(EACH), "--companies", str(companies))
        town = Town.open(folder / "town", "--start", start, "--speed", str(speed), "--seed", "scale", *size)
        database = server.database()
        environ = {
            "WARMUP__REHEARSAL__SPEED": str(speed),
            "WARMUP__DAEMON__TICK_SECONDS": str(max(0.05, TICK / speed)),
            "WARMUP__LIMITS__DOMAIN_DAILY": "1000000",
            "WARMUP__LOG__LEVEL": "warning",
        }
        house = House(folder=folder / "house", environ=environ, url=server.url(database))
        house.install(ca_file=town.ca_file)
        try:
            house.enrol_all(town.accounts[:mailboxes], ramp="esp", provider="custom", daily_limit=500, target=target)
            _grow_up(server, database)
            pid = house.start().pid
            before = _books(server, database, pid, house)
            time.sleep(seconds)
            cost = _books(server, database, pid, house) - before
            peak = Gauges(house).peak()
            house.stop()
            messages = sum(not row["own"] for row in town.journal())
        finally:
            house.close()
            town.close()
        server.drop(database)
    return Lived(mailboxes=mailboxes, messages=messages, cost=cost, peak=peak)


def _grow_up(server: Server, database: str) -> None:
    """Let the fleet have been here for a while, and write to five receivers: all of it has reached its target."""
    with psycopg.connect(server.where(database), autocommit=True) as connection:
        connection.execute(
            "UPDATE mailboxes SET first_level = 30, enrolled_at = enrolled_at - %s, receiver = 'r' || id %% %s",
            (60 * 86_400 * 1_000_000, RECEIVERS),
        )


def _books(server: Server, database: str, pid: int, house: House) -> Cost:
    counts = _counts(house.get("/metrics")[1])
    with psycopg.connect(server.where(database), autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        found = connection.execute(
            "SELECT pg_database_size(current_database()), (SELECT sum(n_live_tup) FROM pg_stat_user_tables)"
        ).fetchone()
    assert found is not None
    size, rows = found
    return Cost(
        node_cpu=seconds_used(pid),
        server_cpu=server_seconds(server),
        smtp_sessions=counts.get("smtp_session", 0.0),
        imap_looks=counts.get("imap_check", 0.0),
        rows=float(rows or 0),
        megabytes=size / 1e6,
    )


def _counts(metrics: str) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for name, count in _SAMPLE.findall(metrics):
        found[name] = found.get(name, 0.0) + float(count)
    return found


def told(lived: Lived) -> None:
    """One line."""
    cost = ", ".join(f"{name} {value:,.1f}" for name, value in lived.cost.items())
    print(f"{lived.mailboxes:,} mailboxes, {lived.messages:,} messages: {cost}; {lived.peak:.0f} MiB", flush=True)


def held_against(model: Model, lived: Lived) -> list[Figure]:
    """The day that was lived as a share of what the model says."""
    said = model.of(lived.mailboxes, lived.messages)
    return [
        Figure(
            name=f"every fiftieth of 100,000, {name}",
            value=value / said[name],
            unit="× the model",
            least=1 - TOLERANCE,
            most=1 + TOLERANCE,
            more={"lived": value, "model": said[name]},
        )
        for name, value in lived.cost.items()
    ]


def at_a_million(model: Model) -> list[Figure]:
    """A day of a million mailboxes at their usual target, by the model."""
    cost = model.of(MILLION, MILLION * A_DAY)
    busy = BUSY_HOURS * 3600
    sessions = (cost.smtp_sessions + cost.imap_looks) / busy
    return [
        Figure(name="a million: cores of nodes while it sends", value=cost.node_cpu / busy, unit="cores"),
        Figure(name="a million: cores of PostgreSQL while it sends", value=cost.server_cpu / busy, unit="cores"),
        Figure(name="a million: messages a second", value=MILLION * A_DAY / busy, unit="/s"),
        Figure(name="a million: sessions begun a second", value=sessions, unit="/s"),
        Figure(name="a million: rows a day", value=cost.rows / 1e6, unit="million"),
        Figure(name="a million: growth of the database", value=cost.megabytes / 1000, unit="GB a day"),
    ]


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale")
    parser.add_argument("--small-seconds", type=float, default=300, help="real seconds of a small fleet's day")
    parser.add_argument("--large-seconds", type=float, default=1500, help="of the large one's")
    parser.add_argument("--large", type=int, default=LARGE, help="mailboxes; 0: only the model")
    options = parser.parse_args()
    figures: list[Figure] = []
    server = Server.start(durable=True)
    try:
        days = [
            a_day(server, mailboxes, target, options.small_seconds)
            for mailboxes, target in ((SMALL, LITTLE), (SMALL, MUCH), (MORE, LITTLE))
        ]
        for each in days:
            told(each)
        model = fitted(*days)
        parts = (("a day", model.day), ("a mailbox's day", model.mailbox), ("a message", model.message))
        for name, cost in parts:
            print(f"{name}: " + ", ".join(f"{what} {value:.4g}" for what, value in cost.items()), flush=True)
        if options.large:
            large = a_day(server, options.large, BETWEEN, options.large_seconds)
            told(large)
            figures += held_against(model, large)
        figures += at_a_million(model)
    finally:
        server.stop()
    for figure in figures:
        print(figure, flush=True)
    keep("scale", figures)


if __name__ == "__main__":
    main()
