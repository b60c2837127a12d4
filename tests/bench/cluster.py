"""`python -m tests.bench.cluster`: what a second node brings, what the queue costs, and a backlog for four.

Nodes are real `warmup run` processes on a PostgreSQL of the run's own, with fsync on. The mail server is a sink in a
process of its own that waits before every reply and keeps a journal; speed, duplicates and walls are read from there.
CPU is the kernel's word, of the nodes and of all of PostgreSQL, for each message. What is compared runs in turn.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.fleet import EACH, RECEIVERS
from tests.bench.idle import seconds_used
from tests.postgres import Server
from tests.scenarios.house import House, until
from warmup.content import shipped
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.ledger import Ledger
from warmup.ledger.slots import NewDay, NewLaneDay, NewSlot
from warmup.mail import identity
from warmup.policy.fate import Kind
from warmup.policy.mailbox import Endpoint, Mailbox, Security, SmtpAuth
from warmup.policy.standing import Standing

DELAY_SECONDS = 0.02
CONNECTIONS = 8
ROUNDS = 3
MAILBOXES = 300
EACH_SENDS = 2
BACKLOG = 20_000
LIMIT = 50
AHEAD = timedelta(seconds=15)
PATIENCE = 1800.0
_AT_ONCE = 500


async def serve(port: int, delay: float, journal: Path) -> None:
    """Take every message, and write down when, whose and which."""
    with journal.open("a", encoding="utf-8") as book:

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async def say(reply: bytes) -> None:
                await asyncio.sleep(delay)
                writer.write(reply + b"\r\n")

            sender = b""
            await say(b"220 sink.test ESMTP")
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"MAIL":
                    sender = line.partition(b"<")[2].partition(b">")[0]
                if verb == b"DATA":
                    await say(b"354 go on")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    (named,) = [each for each in content.split(b"\r\n") if each.lower().startswith(b"message-id:")]
                    row = {"at": time.time(), "account": sender.decode(), "id": named.decode().split()[-1]}
                    book.write(json.dumps(row) + "\n")
                    book.flush()
                await say(b"221 bye" if verb == b"QUIT" else b"250 2.0.0 fine")
                if verb == b"QUIT":
                    break
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()


@contextmanager
def sink(delay: float, journal: Path) -> Iterator[int]:
    """A running sink's port."""
    command = [sys.executable, "-m", "tests.bench.cluster", "--sink", str(delay), str(journal)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What `nodes` did: messages a second over the middle, CPU-seconds a message of nodes and PostgreSQL."""

    nodes: int
    messages: int
    rate: float
    node_cpu: float
    server_cpu: float
    duplicates: int
    breaches: int
    busiest: float


def members(size: int, port: int, now: datetime) -> Iterator[NewMailbox]:
    """Verified mailboxes that send through the sink, and that nobody can look into."""
    for number in range(size):
        address = f"box{number}@company{number // EACH}.test"
        yield NewMailbox(
            address=address,
            provider="custom",
            receiver=RECEIVERS[number % len(RECEIVERS)],
            ramp="standard",
            daily_limit=LIMIT,
            smtp=Endpoint(host="127.0.0.1", port=port, security=Security.NONE),
            smtp_auth=SmtpAuth.NONE,
            imap=Endpoint(host="127.0.0.1", port=1, security=Security.NONE),
            username=address,
            enrolled_at=now - timedelta(days=60),
            verified_at=now,
        )


async def fill(house: House, size: int, each: int, port: int) -> None:
    """A fleet with `each` messages due from everybody in a moment."""
    now = datetime.now(UTC)
    ledger = Ledger.open(house.url, beside=house.folder / "bench")
    fleet: list[Mailbox] = []
    news = list(members(size, port, now))
    for start in range(0, size, _AT_ONCE):
        fleet += await ledger.mailboxes.add_all((new, ()) for new in news[start : start + _AT_ONCE])
    for one in fleet:
        await ledger.own.none_to_read(one.id, now=now)
    due = now + AHEAD if size <= MAILBOXES else datetime.now(UTC)
    for start in range(0, size, _AT_ONCE):
        plans = [
            (fleet[at].id, day(now, each), tuple(slots(fleet, at, each, due)))
            for at in range(start, min(start + _AT_ONCE, size))
        ]
        await ledger.slots.record_all(plans, now=now)
    await ledger.close()


def day(now: datetime, target: int) -> NewDay:
    """A planned date with room for all of it."""
    lanes = tuple(
        NewLaneDay(provider=name, level=60, ceiling=target, factor=1.0, target=target, standing=Standing.SOUND)
        for name in RECEIVERS
    )
    return NewDay(date=now.date(), day=60, level=60, ceiling=target, target=target, reason="bench", lanes=lanes)


def slots(fleet: Sequence[Mailbox], at: int, each: int, due: datetime) -> Iterator[NewSlot]:
    """One mailbox's messages, to the next ones."""
    rng, grammars = random.Random(at), shipped()
    for number in range(1, each + 1):
        nonce, drawn = rng.randbytes(identity.NONCE_BYTES), grammars.pick(rng)
        sender, recipient = fleet[at], fleet[(at + number) % len(fleet)]
        token = identity.token(bytes(32), nonce, sender=sender.address, recipient=recipient.address)
        yield NewSlot(
            number=number,
            recipient_id=recipient.id,
            provider=recipient.receiver,
            kind=Kind.NEW,
            thread_id=f"{rng.getrandbits(96):024x}",
            due_at=due,
            nonce=nonce,
            message_id=identity.message_id(token, sender.domain),
            grammar=drawn.name,
            language=drawn.language,
            seed=f"{rng.getrandbits(128):032x}",
        )


def measured(server: Server, *, nodes: int, engine: str, size: int, each: int, delay: float) -> Run:
    """One backlog, from the first message to the last."""
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as name, ExitStack() as stack:
        folder, journal = Path(name), Path(name) / "journal"
        journal.touch()
        port = stack.enter_context(sink(delay, journal))
        database = server.database()
        environ = {
            "WARMUP__ENGINE__KIND": engine,
            "WARMUP__DAEMON__CONCURRENCY": str(CONNECTIONS),
            "WARMUP__DAEMON__TICK_SECONDS": "1",
            "WARMUP__SEND__GRACE_SECONDS": "7200",
            # Nobody looks for what was sent, nor for what the mailboxes' owners send: there is no IMAP here.
            "WARMUP__OBSERVE__FIRST_SECONDS": "7200",
            "WARMUP__LIMITS__OWN_FRESH_MINUTES": "600",
            "WARMUP__LOG__LEVEL": "warning",
        }
        houses = [House(folder=folder / f"node{n}", environ=environ, url=server.url(database)) for n in range(nodes)]
        houses[0].install()
        for house in houses:
            stack.callback(house.close)
        for house in houses[1:]:
            house.join(houses[0])
        asyncio.run(fill(houses[0], size, each, port))
        pids = [house.start().pid for house in houses]
        before = sum(map(seconds_used, pids)), server_seconds(server)
        until(lambda: lines(journal) >= size * each, seconds=PATIENCE, what="everything is sent", every=0.5)
        after = sum(map(seconds_used, pids)), server_seconds(server)
        rows = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
        return summed(rows, nodes=nodes, node_cpu=after[0] - before[0], server_cpu=after[1] - before[1])


def summed(rows: Sequence[dict[str, object]], *, nodes: int, node_cpu: float, server_cpu: float) -> Run:
    """The figures of a journal."""
    instants = sorted(float(str(row["at"])) for row in rows)
    last = int(len(instants) * 0.95)
    return Run(
        nodes=nodes,
        messages=len(rows),
        rate=last / (instants[last] - instants[0]),
        node_cpu=node_cpu / len(rows),
        server_cpu=server_cpu / len(rows),
        duplicates=sum(times - 1 for times in Counter(row["id"] for row in rows).values()),
        breaches=sum(max(0, times - LIMIT) for times in Counter(row["account"] for row in rows).values()),
        busiest=os.getloadavg()[0],
    )


def lines(journal: Path) -> int:
    """How many messages the sink took."""
    return journal.read_bytes().count(b"\n")


def server_seconds(server: Server) -> float:
    """Seconds of a core that PostgreSQL used: the children that live, and those that the postmaster buried."""
    postmaster = server.process.pid
    fields = Path(f"/proc/{postmaster}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    buried = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    return buried + sum(seconds_used(int(child)) for child in children)


def told(run: Run, name: str) -> None:
    """One line."""
    print(
        f"{name:<32}{run.messages:>7,} sent {run.rate:>8.1f}/s  CPU a message: nodes {1000 * run.node_cpu:.2f} ms,"
        f" PostgreSQL {1000 * run.server_cpu:.2f} ms  duplicates {run.duplicates}, breaches {run.breaches}"
        f"  (load {run.busiest:.1f})",
        flush=True,
    )


def compared(server: Server, rounds: int) -> None:
    """One local daemon, one node and two, in turn."""
    work = {"size": MAILBOXES, "each": EACH_SENDS, "delay": DELAY_SECONDS}
    found: dict[str, list[Run]] = {"local": [], "one node": [], "two nodes": []}
    for _ in range(rounds):
        for name, engine, nodes in (("local", "local", 1), ("one node", "cluster", 1), ("two nodes", "cluster", 2)):
            run = measured(server, nodes=nodes, engine=engine, **work)  # type: ignore[arg-type]
            found[name].append(run)
            told(run, f"{name}, {CONNECTIONS} connections each")
    ratio = statistics.median(
        two.rate / one.rate for one, two in zip(found["one node"], found["two nodes"], strict=True)
    )
    print(f"two nodes against one, {DELAY_SECONDS * 1000:.0f} ms a reply: {ratio:.2f} x (asked: 1.7)")
    share = statistics.median(
        (one.node_cpu + one.server_cpu - alone.node_cpu - alone.server_cpu) / (one.node_cpu + one.server_cpu)
        for alone, one in zip(found["local"], found["one node"], strict=True)
    )
    print(f"the queue's share of a send's CPU: {100 * share:.1f} % (asked: below 10 %)")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cluster")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--backlog", type=int, default=BACKLOG, help="mailboxes for four nodes; 0: leave that out")
    parser.add_argument("--sink", nargs=2, metavar=("SECONDS", "JOURNAL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sink:
        asyncio.run(serve(0, float(options.sink[0]), Path(options.sink[1])))
        return
    server = Server.start(durable=True)
    try:
        if options.rounds:
            compared(server, options.rounds)
        if options.backlog:
            run = measured(server, nodes=4, engine="cluster", size=options.backlog, each=1, delay=0.0)
            told(run, f"four nodes, {options.backlog:,} mailboxes")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
