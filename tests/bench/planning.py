"""`make bench`, planning: a day for 10,000 mailboxes × 50 messages on SQLite, and how the cost grows with the fleet.

Each size is planned in a process of its own, so that its peak memory is its own. The ledger is filled with the days
before: 20 sending days of plans, and the last two of them with every slot, outcome and first sighting. Evidence is
judged already and sound, as it is at midnight. Then one pass plans the date, from reading the fleet to the last commit.

The pure part alone (allowance and plan, without a ledger) is measured for up to 100,000 mailboxes, of which a sample is
planned against seeds and counts of the whole. CPU seconds are shown besides: on a machine that others use too, wall
clock says little.
"""

import asyncio
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from warmup.cli.assembly import network_of
from warmup.clock import HoldingClock
from warmup.config import Settings, providers_of
from warmup.content import shipped
from warmup.ledger import Ledger, schema
from warmup.ledger.enrolled import NewMailbox
from warmup.policy.allowance import LaneView, MailboxView, allowance
from warmup.policy.level import DayRecord, LaneDay
from warmup.policy.mailbox import AccountId, Endpoint, Hours, Mailbox, MailboxId, Protocol, Role, Security, State
from warmup.policy.mix import WORLD, weights
from warmup.policy.pairing import SEED_DAILY, Correspondent, Past, Pool, pool
from warmup.policy.plan import DayPlan, plan_for
from warmup.policy.ramp import ramp_named
from warmup.steps.circle import Circle
from warmup.steps.plan import plan_due
from warmup.wire.doors import Doors
from warmup.wire.login import Login

SIZES: Final = (1_000, 10_000)
PURE_SIZES: Final = (1_000, 10_000, 100_000)
PURE_SAMPLE: Final = 1_000
EACH: Final = 50
PLANNED_DAYS, SENT_DAYS = 20, 2
DOMAIN_SIZE: Final = 5

TODAY: Final = date(2026, 3, 4)
MIDNIGHT: Final = datetime(2026, 3, 4, tzinfo=UTC)
BEGAN: Final = MIDNIGHT - timedelta(days=60)
RECEIVERS: Final = tuple(receiver for receiver in WORLD if receiver != "other")
SERVER: Final = Endpoint(host="mail.example.net", port=465, security=Security.TLS)


def receiver_of(number: int) -> str:
    """The receivers in turn, as the world's inboxes are spread over them."""
    return random.Random(number).choices(RECEIVERS, [WORLD[receiver] for receiver in RECEIVERS])[0]


def new_mailbox(number: int) -> NewMailbox:
    """One of five mailboxes of a domain, that sends and receives."""
    address = f"box{number}@domain{number // DOMAIN_SIZE}.test"
    return NewMailbox(
        address=address,
        provider="custom",
        receiver=receiver_of(number),
        role=Role.BOTH,
        ramp="esp",
        target=EACH,
        daily_limit=500,
        smtp=SERVER,
        imap=SERVER,
        username=address,
        enrolled_at=BEGAN + timedelta(seconds=number),
        verified_at=BEGAN + timedelta(days=1),
    )


async def founded(url: str, size: int) -> None:
    """An upgraded ledger with the mailboxes."""
    schema.upgrade(url)
    ledger = Ledger.open(url, durable=False)
    for first in range(0, size, 1_000):
        await ledger.mailboxes.add_all((new_mailbox(n), ()) for n in range(first, min(first + 1_000, size)))
    await ledger.close()


def sending_days(n: int) -> list[date]:
    """The `n` weekdays before today, oldest first."""
    days = (TODAY - timedelta(days=back) for back in range(1, 3 * n + 7))
    return sorted(day for day, _ in zip((day for day in days if day.weekday() < 5), range(n), strict=False))


def fill(path: Path, size: int) -> None:
    """The days before, written straight into the tables: what weeks of sending would have left there."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-200000; BEGIN")
    shares = weights(dict.fromkeys(RECEIVERS, 1))
    total = sum(shares.values())
    lanes = [(receiver, EACH * weight / total) for receiver, weight in shares.items()]
    planned = sending_days(PLANNED_DAYS)
    for on in planned:
        at = micros(datetime.combine(on, datetime.min.time(), UTC))
        connection.executemany(
            "INSERT INTO days (mailbox_id, date, day, level, ceiling, target, reason, planned_at)"
            " VALUES (?,?,60,60,?,?,'',?)",
            ((box, on.isoformat(), EACH, EACH, at) for box in range(1, size + 1)),
        )
        connection.executemany(
            "INSERT INTO lane_days VALUES (?,?,?,60,?,1.0,?,'sound')",
            ((box, on.isoformat(), name, share, round(share)) for box in range(1, size + 1) for name, share in lanes),
        )
    for on in planned[-SENT_DAYS:]:
        sent(connection, on, size)
    judge(connection, size)
    connection.execute("COMMIT")
    connection.close()


def sent(connection: sqlite3.Connection, on: date, size: int) -> None:
    """One day's slots, all accepted and all but a few seen in the inbox, a tenth of them answered."""
    rng, first = random.Random(on.toordinal()), int(connection.execute("SELECT max(id) FROM slots").fetchone()[0] or 0)
    eight = micros(datetime.combine(on, datetime.min.time(), UTC) + timedelta(hours=8))
    of = [receiver_of(number) for number in range(size)]
    rows = [(box, number, rng.randrange(1, size + 1)) for box in range(1, size + 1) for number in range(1, EACH + 1)]
    ids = range(first + 1, first + 1 + len(rows))
    domain = [f"domain{number // DOMAIN_SIZE}.test" for number in range(size)]
    connection.executemany(
        "INSERT INTO slots (id, mailbox_id, account_id, date, number, recipient_id, provider, kind, thread_id, due_at,"
        " nonce, message_id, grammar, language, seed, planned_at)"
        " VALUES (?,?,?,?,?,?,?,'new',?,?,x'00',?,'en-books','en','0',?)",
        (
            (
                *(n, box, box, on.isoformat(), number, to, of[to - 1], f"{rng.getrandbits(96):024x}"),
                *(eight + number * 10**8, f"<{rng.getrandbits(160):040x}@d.test>", eight),
            )
            for n, (box, number, to) in zip(ids, rows, strict=True)
        ),
    )
    connection.executemany(
        "INSERT INTO attempts (id, slot_id, ordinal, account_id, domain, claimed_at, node)"
        " VALUES (?,?,1,?,?,?,'bench')",
        ((n, n, box, domain[box - 1], eight) for n, (box, *_) in zip(ids, rows, strict=True)),
    )
    connection.executemany(
        "INSERT INTO outcomes (attempt_id, slot_id, mailbox_id, account_id, domain, date, provider, at, outcome,"
        " source, reply) VALUES (?,?,?,?,?,?,?,?,'accepted','smtp','')",
        (
            (n, n, box, box, domain[box - 1], on.isoformat(), of[to - 1], eight + n)
            for n, (box, _, to) in zip(ids, rows, strict=True)
        ),
    )
    connection.executemany(
        "INSERT INTO sightings (slot_id, mailbox_id, date, provider, at, stage, placement)"
        " VALUES (?,?,?,?,?,'first',?)",
        (
            (n, box, on.isoformat(), of[to - 1], eight + n + 10**9, "spam" if rng.random() < 0.03 else "inbox")
            for n, (box, _, to) in zip(ids, rows, strict=True)
        ),
    )


def judge(connection: sqlite3.Connection, size: int) -> None:
    """Everybody is sound everywhere."""
    lanes = [
        ("lane", f"box{number}@domain{number // DOMAIN_SIZE}.test", number + 1, receiver)
        for number in range(size)
        for receiver in RECEIVERS
    ]
    whole = [("mailbox", f"box{n}@domain{n // DOMAIN_SIZE}.test", n + 1, "") for n in range(size)]
    domains = [("domain", f"domain{n}.test", None, "") for n in range((size + DOMAIN_SIZE - 1) // DOMAIN_SIZE)]
    at = micros(MIDNIGHT - timedelta(hours=2))
    connection.executemany(
        "INSERT INTO standings (id, at, subject_kind, subject, mailbox_id, provider, standing, thin, since, reason, n,"
        " inbox_ratio, lower_ratio, upper_ratio, factor) VALUES (?,?,?,?,?,?,'sound',0,?,'',90,0.97,0.92,0.99,1.0)",
        ((n, at, *subject, at) for n, subject in enumerate((*lanes, *whole, *domains), start=1)),
    )
    connection.execute(
        "INSERT INTO standing_heads (subject_kind, subject, provider, standing_id, mailbox_id)"
        " SELECT subject_kind, subject, provider, id, mailbox_id FROM standings"
    )
    connection.execute("INSERT INTO judge_cursors (mailbox_id, fresh, judged_at) SELECT id, 0, ? FROM mailboxes", (at,))


def micros(at: datetime) -> int:
    """As the ledger keeps instants."""
    return int(at.timestamp() * 10**6)


async def no_login(mailbox: Mailbox, protocol: Protocol) -> Login:
    """Planning opens no door."""
    raise AssertionError(f"planning asked for the {protocol} password of {mailbox.address}")


async def planned(url: str, size: int) -> tuple[float, float]:
    """Seconds that one pass takes, by the wall clock and of CPU."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    settings, ledger = Settings(), Ledger.open(url)
    circle = Circle(
        ledger=ledger,
        clock=HoldingClock(start=MIDNIGHT, seed="bench"),
        doors=Doors(network=network_of(settings), unseal=no_login),
        settings=settings,
        providers=providers_of(settings),
        grammars=shipped(),
        key=bytes(32),
        node="bench",
    )
    began, used = time.perf_counter(), time.process_time()
    assert await plan_due(circle) == size
    took = time.perf_counter() - began, time.process_time() - used
    await ledger.close()
    return took


def one(size: int) -> None:
    """Fill a ledger in a child, plan here, print: seconds, CPU seconds, MiB, messages."""
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as folder:
        path = Path(folder) / "ledger.db"
        asyncio.run(founded(f"sqlite:///{path}", size))
        subprocess.run([sys.executable, "-m", "tests.bench.planning", "fill", str(path), str(size)], check=True)
        took, used = asyncio.run(planned(f"sqlite:///{path}", size))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        count = sqlite3.connect(path).execute("SELECT count(*) FROM due_slots").fetchone()[0]
        print(took, used, peak, count)


def mailbox(number: int) -> Mailbox:
    """A mailbox as a value alone."""
    new = new_mailbox(number)
    return Mailbox(
        id=MailboxId(number + 1),
        account_id=AccountId(number + 1),
        address=new.address,
        provider=new.provider,
        receiver=new.receiver,
        role=new.role,
        state=State.ACTIVE,
        ramp=new.ramp,
        target=new.target,
        daily_limit=new.daily_limit,
        timezone="UTC",
        smtp=SERVER,
        imap=SERVER,
        username=new.username,
        enrolled_at=new.enrolled_at,
    )


def view(number: int, seeds: Pool) -> MailboxView:
    """What one mailbox of the pure part is allowed by."""
    shares = weights(dict.fromkeys(RECEIVERS, 1))
    days = sending_days(PLANNED_DAYS)
    return MailboxView(
        mailbox_id=MailboxId(number + 1),
        date=TODAY,
        ramp=ramp_named("esp"),
        target=EACH,
        limit=500,
        own=0,
        history=tuple(DayRecord(date=on, ceiling=EACH, target=EACH, accepted=EACH, level=60) for on in days),
        lanes=tuple(
            LaneView(
                provider=name,
                weight=weight,
                verdict=None,
                history=tuple(
                    LaneDay(date=on, ceiling=share, factor=1, target=round(share), accepted=round(share), level=60)
                    for on in days
                ),
                seeds=len(seeds[name].treated) * SEED_DAILY,
            )
            for name, weight in shares.items()
            for share in [EACH * weight / sum(shares.values())]
        ),
    )


def pure(size: int) -> tuple[float, int]:
    """CPU seconds the pure part takes for the whole fleet, by a sample, and messages each; the pool is all of it."""
    fleet = [mailbox(number) for number in range(size)]
    began = time.process_time()
    seeds = pool(Correspondent.of(one) for one in fleet)
    shared = time.process_time() - began
    counts = {one.id: EACH * 10 for one in fleet}
    sample = random.Random(1).sample(fleet, min(PURE_SAMPLE, size))
    views = [view(one.id - 1, seeds) for one in sample]
    began, slots = time.process_time(), 0
    for one, known in zip(sample, views, strict=True):
        slots += len(pure_plan(one, known, seeds, counts).slots)
    return shared + (time.process_time() - began) * size / len(sample), slots // len(sample)


def pure_plan(one: Mailbox, known: MailboxView, seeds: Pool, counts: dict[MailboxId, int]) -> DayPlan:
    """One mailbox's date."""
    return plan_for(
        one,
        TODAY,
        9,
        allowance(known),
        seeds=seeds,
        past=Past(inbound=counts, outbound=counts, usual=EACH * 10),
        unanswered=(),
        listening=False,
        hours=Hours(),
        now=MIDNIGHT,
        grace=timedelta(minutes=30),
        rng=random.Random(one.id),
        kin=False,
    )


def rows() -> Iterator[str]:
    """The lines of the table."""
    sizes = [int(word) for word in os.environ.get("PLAN_SIZES", "").split()] or SIZES
    taken: dict[int, float] = {}
    for size in sizes:
        command = [sys.executable, "-m", "tests.bench.planning", "one", str(size)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        took, used, peak, messages = (float(word) for word in output.split())
        taken[size] = used
        growth = f", {used / taken[sizes[0]]:.1f} × {sizes[0]:,}" if size != sizes[0] else ""
        yield (
            f"{f'a day for {size:,} mailboxes, SQLite':<44}{took:>10.1f} s    "
            f"{used:.1f} s of CPU{growth}; {peak:.0f} MiB, {messages:,.0f} messages"
        )
    first = 0.0
    for size in PURE_SIZES:
        seconds, each = pure(size)
        first = first or seconds
        growth = f", {seconds / first:.1f} × {PURE_SIZES[0]:,}" if size != PURE_SIZES[0] else ""
        yield f"{f'the pure part for {size:,}, of CPU':<44}{seconds:>10.1f} s    {each} messages each{growth}"


def main(arguments: list[str]) -> None:
    """The table; `one SIZE` and `fill PATH SIZE` are its own children."""
    match arguments:
        case ["fill", path, size]:
            fill(Path(path), int(size))
        case ["one", size]:
            one(int(size))
        case _:
            for row in rows():
                print(row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
