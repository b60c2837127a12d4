"""`make bench`, sending: the whole durable step against a bare aiosmtplib loop, in the same run, message for message.

Both sides compose the same message by the same function, hold as many connections at once, and speak to the same server
on the other core. Ours reads what is due, composes, claims, submits and records, by `steps/send` on a ledger on disk
with synchronous=FULL. The rounds alternate and the median of their ratios counts, so that a busy minute falls on both.
"""

import asyncio
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiosmtplib

from tests.bench.figures import Figure, keep
from tests.bench.sink import sink, smtp_sink
from tests.bench.workshop import PASSWORD, Workshop, at_once, plan
from warmup.engine.local import LocalEngine
from warmup.engine.perform import perform
from warmup.engine.work import Work
from warmup.ledger.slots import Slot
from warmup.policy.mailbox import Endpoint, Mailbox, MailboxId, Security
from warmup.steps.circle import Circle
from warmup.steps.letter import letter
from warmup.steps.step import Step

ROUNDS = 5
HANDS = 20
"""Connections at once, on both sides: the daemon's usual concurrency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is measured: `mailboxes` a round, with `each` messages due on one connection."""

    name: str
    mailboxes: int
    each: int
    least: float
    delay_ms: float = 0.0
    hands: int = HANDS


COURSES = (
    Course(name="one message per connection, TLS and AUTH", mailboxes=300, each=1, least=0.5),
    Course(name="reused connections", mailboxes=20, each=40, least=0.25),
    Course(name="20 ms a reply, reused", mailboxes=20, each=10, least=0.95, delay_ms=20),
    Course(name="20 ms a reply, one per connection", mailboxes=100, each=1, least=0.95, delay_ms=20),
)


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of a round, by the clock on the wall and of CPU."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Job:
    """What the bare loop is told of one mailbox's round."""

    sender: Mailbox
    messages: tuple[tuple[Slot, Mailbox], ...]


async def timed(work: Awaitable[None]) -> Took:
    """How long it took."""
    began, used = time.perf_counter(), time.process_time()
    await work
    return Took(time.perf_counter() - began, time.process_time() - used)


def composed(slot: Slot, sender: Mailbox, recipient: Mailbox, circle: Circle) -> bytes:
    """The slot's message, as `steps/send` spells it."""
    return letter(
        slot,
        (),
        sender=sender,
        recipient=recipient,
        opener_names=(sender.name, recipient.name),
        grammars=circle.grammars,
        header=circle.settings.identity.header,
    )


async def bare(jobs: Sequence[Job], endpoint: Endpoint, circle: Circle, hands: int) -> None:
    """Compose and send, with nothing kept."""
    context = circle.doors.network.tls()

    async def one(job: Job) -> None:
        client = _client(endpoint, context)
        await client.connect()
        await client.login(job.sender.username, PASSWORD)
        for slot, recipient in job.messages:
            content = composed(slot, job.sender, recipient, circle)
            await client.sendmail(job.sender.address, [recipient.address], content)
        await client.quit()

    await at_once([lambda job=job: one(job) for job in jobs], hands)


def _client(endpoint: Endpoint, context: ssl.SSLContext) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=endpoint.host, port=endpoint.port, use_tls=True, tls_context=context, local_hostname="bench.test"
    )


async def ours(ids: Sequence[MailboxId], circle: Circle, hands: int) -> None:
    """The step, by the engine; over once the last connection is closed."""
    engine = LocalEngine(lambda work: perform(work, circle), concurrency=hands)
    for mailbox_id in ids:
        engine.submit(Work(Step.SEND, mailbox_id))
    await engine.idle()
    await engine.drain(10)
    await asyncio.gather(*(circle.doors.forget(mailbox_id) for mailbox_id in ids))


async def measured(course: Course, circle: Circle, workshop: Workshop, first: int) -> tuple[Figure, ...]:
    """The course's figures; its mailboxes are numbered from `first`."""
    with sink(tls=workshop.tls, delay_ms=course.delay_ms) as port:
        endpoint = Endpoint(host="127.0.0.1", port=port, security=Security.TLS)
        rounds: list[tuple[Took, Took]] = []
        for turn in range(ROUNDS + 1):
            start = first + turn * course.mailboxes
            fleet = await workshop.enrol(circle, range(start, start + course.mailboxes), endpoint)
            due = tuple(circle.clock.now() - timedelta(seconds=60 - n / 10) for n in range(course.each))
            await plan(circle, fleet, due, seed=start)
            jobs = await _jobs(fleet, circle)
            theirs = await timed(bare(jobs, endpoint, circle, course.hands))
            mine = await timed(ours([each.id for each in fleet], circle, course.hands))
            await _all_went(fleet, course, circle)
            rounds.append((theirs, mine))
    # The first round warms both sides up: imports, statements, the server.
    return _figures(course, rounds[1:])


async def _jobs(fleet: Sequence[Mailbox], circle: Circle) -> list[Job]:
    of = {each.id: each for each in fleet}
    now = circle.clock.now()
    due = [(each, (await circle.ledger.turns.to_send(each.id, now)).due) for each in fleet]
    return [Job(each, tuple((slot, of[slot.recipient_id]) for slot in slots)) for each, slots in due]


async def _all_went(fleet: Sequence[Mailbox], course: Course, circle: Circle) -> None:
    """A step that sent less than it should is not fast: every message must be counted as gone."""
    now = circle.clock.now()
    went = [await circle.ledger.attempts.used(each, now=now, margin=circle.margin) for each in fleet]
    if set(went) != {course.each}:
        raise RuntimeError(f"{course.name}: {sum(went)} of {course.each * len(fleet)} messages went")


def _figures(course: Course, rounds: Sequence[tuple[Took, Took]]) -> tuple[Figure, ...]:
    count = course.mailboxes * course.each
    rates = [statistics.median(count / took[side].wall for took in rounds) for side in (0, 1)]
    cpu = [statistics.median(took[side].cpu / count for took in rounds) * 1000 for side in (0, 1)]
    return (
        Figure(
            name=course.name,
            value=statistics.median(theirs.wall / mine.wall for theirs, mine in rounds),
            unit="× bare loop",
            least=course.least,
            more={"ours /s": rates[1], "bare /s": rates[0], "ours ms CPU each": cpu[1], "bare ms CPU each": cpu[0]},
        ),
    )


def source(messages: int, *, sessions: int, reuse: bool) -> tuple[float, float]:
    """Messages a second of smtp-source to smtp-sink, and its CPU-seconds for each: no TLS, no login, nothing kept."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with smtp_sink() as port:
        began = time.perf_counter()
        command = ["smtp-source", "-s", str(sessions), "-m", str(messages), "-l", "1000", *(["-d"] if reuse else [])]
        subprocess.run(
            [*command, "-f", "a@one.test", "-t", "b@two.test", f"127.0.0.1:{port}"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        took = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return messages / took, used / messages


async def run(folder: Path, courses: Sequence[Course]) -> list[Figure]:
    """Every figure of sending."""
    workshop, figures, first = Workshop.made(folder), [], 0
    async with workshop.circle() as circle:
        for course in courses:
            for figure in await measured(course, circle, workshop, first):
                print(figure, flush=True)
                figures.append(figure)
            first += course.mailboxes * (ROUNDS + 1)
    return figures


def limit_of(figures: Sequence[Figure]) -> list[Figure]:
    """What a C program does that keeps nothing, and how far ours is from it."""
    found = []
    for name, ours_at, reuse in (("one per connection", 0, False), ("reused", 1, True)):
        rate, cpu = source(20_000, sessions=HANDS, reuse=reuse)
        mine = float(figures[ours_at].more["ours /s"])
        found.append(
            Figure(
                name=f"smtp-source to smtp-sink, plain, {name}",
                value=rate,
                unit="/s",
                more={"ours": f"{mine / rate:.3f} ×", "ms CPU each": cpu * 1000},
            )
        )
        print(found[-1], flush=True)
    return found


def main(only: list[str]) -> None:
    """Print the table and keep it; `only` are words of the courses wanted, none: all of them."""
    courses = [each for each in COURSES if not only or any(word in each.name for word in only)]
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as name:
        figures = asyncio.run(run(Path(name), courses))
    if not only:
        figures += limit_of(figures)
        keep("send", figures)


if __name__ == "__main__":
    main(sys.argv[1:])
