"""Soak: a hundred mailboxes over two months of rehearsed days, among servers that fail at random.

The mail world cuts, delays and refuses a share of what it is sent and asked, and goes down now and then; the daemon is
restarted, politely and with -9, in the first third, and then left alone so that what grows is seen to grow. Attacked
are memory, file descriptors, the event loop, the walls, at most once, and the ledger's size. Nothing here asserts.
"""

import json
import os
import random
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from signal import SIGUSR1, SIGUSR2
from statistics import median, quantiles

from tests.scenarios.house import House, Row, Town
from tests.torture.gauges import Gauges, Lags
from tests.torture.outcome import Form, Outcome
from tests.torture.places import FILE, Place

SEED = "soak"
DAY = timedelta(hours=24)

MOST_RSS = 150.0
"""MiB."""
FLAT = 0.10
LIMIT, TARGET = 8, 5
"""Messages a mailbox may send in any 24 hours, and means to: near enough to the wall to lean on it."""

NAP = 0.5
WARM, CONCURRENCY = 32, 20
"""Sessions that are kept warm, and units of work at once: what the daemon may have open besides its own files."""

SPARE = 10
"""Descriptors: of scrapes, name look-ups and connections that are being made or given up."""

EVIDENCE_KEPT = 62
NEVER_FORGOTTEN = timedelta(days=60)
STEPS_APART = 1.75
"""Days: what is past retention goes once a day, and while servers are down or we restart a little later."""
DATED = 1.0
"""Days: what is kept by its date is kept until that day is over."""

MOST_SAID = 20
NEVER = datetime.min.replace(tzinfo=UTC)

EACH = 4
"""Mailboxes of a domain."""

COMPLAINTS = re.compile(r"Traceback|never retrieved|unit failed|tick failed|exception in callback", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is played. `chaos` is the share of messages and IMAP commands that meet a fault.

    `restarts` of the daemon, `outages` of the servers; both at days drawn from the seed. `kept` is `retention.days`.
    In 99 of 100 samples the loop may be late by `lag` seconds for everybody who wants a core of the machine, besides
    what a bystander is late on it; and a busy machine may take `patience` times as long.
    """

    mailboxes: int
    days: int
    seconds: float
    chaos: float
    restarts: int
    outages: int
    kept: int
    lag: float
    patience: float

    @property
    def speed(self) -> float:
        """Rehearsed seconds in a real one."""
        return round(self.days * 86_400 / self.seconds)


PLANS = {
    Form.SHORT: Plan(mailboxes=12, days=7, seconds=28, chaos=0.01, restarts=1, outages=1, kept=3, lag=2.0, patience=4),
    Form.FULL: Plan(
        mailboxes=100, days=66, seconds=840, chaos=0.01, restarts=6, outages=12, kept=3, lag=0.1, patience=1
    ),
}


@dataclass(slots=True, kw_only=True)
class Day:
    """What was measured on one rehearsed day: MiB, descriptors, the loop's lags, the ledger's file in MiB."""

    rss: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    lags: Lags = field(default_factory=Lags)
    ledger: float = 0.0


@dataclass(slots=True, kw_only=True)
class Course:
    """All days, and the first one after which the daemon was left alone, long enough to have come to rest."""

    days: list[Day]
    settled: int
    peak: float = 0.0
    ended: datetime = NEVER
    bystander: list[float] = field(default_factory=list)
    crowds: list[float] = field(default_factory=list)

    @property
    def alone(self) -> list[Day]:
        """The days on which nothing but the daemon itself can change what it costs."""
        return [day for day in self.days[self.settled :] if day.rss]

    @property
    def noise(self) -> float:
        """How late a process that does nothing was on this machine meanwhile, in 99 of 100 times: seconds."""
        return quantiles(self.bystander, n=100)[-1]

    @property
    def crowd(self) -> float:
        """How many wanted each core of this machine meanwhile."""
        return median(self.crowds)

    def lags(self) -> Lags:
        """Those of all days."""
        found = Lags()
        for day in self.days:
            found.add(day.lags)
        return found


def run(form: Form, folder: Path, place: Place = FILE) -> Outcome:
    """Play the plan of `form`; say the course on stderr and what was broken in the outcome."""
    plan = fitting(PLANS[form])
    town = Town.open(
        folder / "town",
        *("--start", datetime.now(UTC).isoformat(), "--speed", str(plan.speed)),
        *("--accounts", str(EACH), "--companies", str(plan.mailboxes // EACH - 3)),
        *("--seed", SEED, "--chaos", str(plan.chaos)),
    )
    house = House(folder=folder / "house", environ=surroundings(plan) | dict(place.environ), url=place.url())
    try:
        house.install(ca_file=town.ca_file, more=receivers(town))
        house.enrol_all(
            town.accounts[: plan.mailboxes], daily_limit=LIMIT, target=TARGET, ramp="esp", provider="custom"
        )
        course = play(plan, town, house, place)
        return outcome_of(plan, course, town, house, place).on(place.name)
    finally:
        house.close()
        town.close()


def crowd() -> float:
    """How many want each core of this machine, at least 1: nobody is in time where others run."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def fitting(plan: Plan) -> Plan:
    """The plan with as much time as this machine has need of, and may take: less than a day's work fits in no day."""
    return replace(plan, seconds=plan.seconds * min(plan.patience, crowd()))


def receivers(town: Town) -> str:
    """Three receiving providers that all domains of the mail world belong to, as configuration."""
    domains = sorted({account["domain"] for account in town.accounts})
    return "".join(
        f"\n[providers.{name}]\ndomains = {json.dumps(domains[n::3])}\n"
        for n, name in enumerate(("north", "south", "west"))
    )


def surroundings(plan: Plan) -> dict[str, str]:
    """What the daemon is told besides: a rehearsal, and room for what takes a second where a second is hours."""
    return {
        "WARMUP__REHEARSAL__SPEED": str(plan.speed),
        "WARMUP__SEND__GRACE_SECONDS": str(12 * 3600),
        "WARMUP__LIMITS__OWN_FRESH_MINUTES": str(3 * 24 * 60),
        "WARMUP__LIMITS__LISTENING_DAYS": "0",
        "WARMUP__RETENTION__DAYS": str(plan.kept),
        "WARMUP__LOG__LEVEL": "info",
    }


def play(plan: Plan, town: Town, house: House, place: Place) -> Course:
    """Let the days pass and do what the seed says; what was measured on each."""
    rng = random.Random(SEED)
    last = max(1, plan.days // 3)
    happenings: list[tuple[float, Callable[[], object]]] = [
        *((rng.uniform(0.5, last), partial(restart, house, politely=n % 2 == 0)) for n in range(plan.restarts)),
        *((rng.uniform(0.5, plan.days), partial(town.process.send_signal, SIGUSR1)) for _ in range(plan.outages)),
    ]
    happenings.sort(key=lambda happening: happening[0])
    town.process.send_signal(SIGUSR2)
    house.start()
    course, gauges = Course(days=[Day() for _ in range(plan.days)], settled=last + 2), Gauges(house)
    began, asked = time.monotonic(), -1
    while (on := (time.monotonic() - began) * plan.speed / 86_400) < plan.days:
        while happenings and happenings[0][0] <= on:
            happenings.pop(0)[1]()
        day = course.days[int(on)]
        day.rss.append(gauges.rss())
        day.descriptors.append(gauges.descriptors())
        day.ledger = place.size(house) / 2**20
        if int(on) > asked:
            # As often as it would be scraped.
            asked = int(on)
            day.lags.add(gauges.lags())
            say(plan, course, asked)
        asleep = time.monotonic()
        time.sleep(NAP)
        course.crowds.append(crowd())
        course.bystander.append(time.monotonic() - asleep - NAP)
    course.days[-1].lags.add(gauges.lags())
    course.peak = gauges.peak()
    course.ended = town.started + (datetime.now(UTC) - town.started) * plan.speed
    return course


def restart(house: House, *, politely: bool) -> None:
    """End the daemon and start it again."""
    if politely:
        house.stop()
    else:
        house.kill()
    house.start()


def say(plan: Plan, course: Course, today: int) -> None:
    """The course so far, a line every ten days."""
    if today == 0:
        sys.stderr.write(f"{plan.mailboxes} mailboxes, {plan.days} days at {plan.speed:g} to 1\n")
    elif today % 10 == 0 or today == plan.days - 1:
        rows = course.days[max(0, today - 10) : today]
        cells = (f"{median(day.rss):.0f}/{median(day.descriptors):.0f}/{day.ledger:.0f}" for day in rows if day.rss)
        sys.stderr.write(f"to day {today:>2}, RSS MiB/descriptors/ledger MiB: {' '.join(cells)}\n")


def outcome_of(plan: Plan, course: Course, town: Town, house: House, place: Place) -> Outcome:
    """What is broken, and the figures."""
    stopped = house.stop()
    journal, messages = town.journal(), house.export("messages")
    doubles = [key for key, n in Counter(row["message_id"] for row in journal).items() if n > 1]
    lost = unknown(journal, messages, course.ended)
    rss = [median(day.rss) for day in course.alone] or [0.0]
    descriptors = [median(day.descriptors) for day in course.alone] or [0.0]
    most = max(course.peak, *(max(day.rss) for day in course.days if day.rss))
    lags = course.lags()
    lag = lags.quantile(0.99)
    broken = [
        *(f"taken twice: {key}" for key in doubles),
        *(f"unknown to the ledger: {key}" for key in lost),
        *(
            breaches := [
                *over_limit(journal),
                *([] if stopped == 0 else [f"the daemon ended with {stopped}"]),
                *([] if most <= MOST_RSS else [f"RSS of {most:.0f} MiB"]),
                *not_flat("RSS", rss),
                *too_many(plan, course.days),
                *([] if lag <= plan.lag * course.crowd + course.noise else [f"p99 of the loop's lag is {lag:g} s"]),
                *(f"log: {line}" for line in complaints(house.log)),
                *overdue(house, place, plan),
            ]
        ),
    ]
    figures = (
        f"{plan.mailboxes} mailboxes × {plan.days} days at {plan.speed:g}:1, {len(journal)} messages, "
        f"RSS {min(rss):.0f} to {max(rss):.0f} (peak {most:.0f}) MiB, "
        f"descriptors {min(descriptors):.0f} to {max(descriptors):.0f}, "
        f"loop lag p99 ≤ {lag * 1000:g} ms of {lags.samples} (a bystander's {course.noise * 1000:.0f} ms, "
        f"{course.crowd:.1f} want a core), "
        f"ledger {course.days[-1].ledger:.1f} MiB"
    )
    return Outcome(
        scenario="soak",
        tries=len(journal),
        losses=len(lost),
        doubles=len(doubles),
        breaches=len(breaches),
        figures=figures,
        broken=tuple(broken[:MOST_SAID]),
    )


def unknown(journal: Sequence[Row], messages: Sequence[Row], ended: datetime) -> list[str]:
    """What servers took and the ledger does not know, though it is not old enough to be forgotten."""
    known = {row["message_id"] for row in messages}
    young = (row for row in journal if datetime.fromisoformat(row["at"]) > ended - NEVER_FORGOTTEN)
    return [row["message_id"] for row in young if not row["own"] and row["message_id"] not in known]


def over_limit(journal: Iterable[Row]) -> list[str]:
    """Windows of 24 hours in which a server took more from an account than its limit."""
    taken: defaultdict[str, list[datetime]] = defaultdict(list)
    for row in journal:
        taken[row["account"]].append(datetime.fromisoformat(row["at"]))
    return [
        f"{account} sent more than {LIMIT} in 24 hours to {last.isoformat()}"
        for account, instants in taken.items()
        for first, last in zip(instants, instants[LIMIT:], strict=False)
        if last - first < DAY
    ]


def not_flat(what: str, course: Sequence[float]) -> list[str]:
    """Days that lie further from the middle than they may."""
    middle = median(course or [0.0])
    astray = [value for value in course if abs(value - middle) > FLAT * middle]
    return [f"{what} not flat: {value:.0f} where the middle is {middle:.0f}" for value in astray]


def too_many(plan: Plan, days: Iterable[Day]) -> list[str]:
    """Descriptors beyond those of a daemon at rest and of the sessions that may be open: kept warm, or in use."""
    counts = [count for day in days for count in day.descriptors]
    most = min(counts) + min(2 * plan.mailboxes, WARM + CONCURRENCY) + SPARE
    return [f"{max(counts)} descriptors, {most} at the most"] * (max(counts) > most)


def complaints(log: Path) -> list[str]:
    """What the daemons said of errors that nobody handled, with the line after which a traceback ends."""
    found, cause = [], ""
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if COMPLAINTS.search(line):
                found.append(line.strip()[:200])
                cause = ""
            elif found and not cause and not line.startswith((" ", "at=")):
                cause = line.strip()[:200]
                found[-1] += f" … {cause}"
    return found


def overdue(house: House, place: Place, plan: Plan) -> list[str]:
    """Tables that hold rows older than they should."""
    ((now,),) = place.select(house, "SELECT MAX(at) FROM looks")
    if now is None:
        return []
    found: list[str] = []
    for table, kept in (("looks", plan.kept), ("own_readings", plan.kept)):
        late = horizon(now, kept + STEPS_APART)
        query = f"SELECT COUNT(*) FROM {table} WHERE at < {late} AND at < (SELECT MAX(at) FROM {table})"
        found += too_old(plan, table, kept, place.select(house, query))
    # A thread stays as long as the youngest of it.
    late = horizon(now, EVIDENCE_KEPT + DATED + STEPS_APART)
    threads = "SELECT slots.thread_id FROM outcomes JOIN slots ON slots.id = outcomes.slot_id"
    query = f"SELECT COUNT(*) FROM ({threads} GROUP BY slots.thread_id HAVING MAX(outcomes.at) < {late}) AS threads"
    return found + too_old(plan, "threads", EVIDENCE_KEPT, place.select(house, query))


def horizon(now: int, days: float) -> int:
    """So many days before an instant, as the ledger writes it."""
    return now - int(days * 86_400 * 1_000_000)


def too_old(plan: Plan, what: str, kept: int, rows: Sequence[tuple[int]]) -> list[str]:
    """What is said of so many; the last reading of a mailbox stays, and a step may be late by some."""
    ((old,),) = rows
    return [f"{old} {what} older than {kept} days"] * (old > plan.mailboxes)
