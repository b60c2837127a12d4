"""kill -9 at ten points of a message's way, again and again, at each of them for certain and not by luck.

The servers stop at the named point and say so; then the daemon is killed, and started again. Two points are the
ledger's: there its write lock is held from beside, so that the daemon stands before the commit when it is killed. The
last start finds the domains' limit lowered to one message, with days planned for many: only the wall holds them.

Not for nodes of a cluster: what a killed one left is theirs to close after a lease (tests/scenarios/test_cluster.py).
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests.scenarios.house import NotInTime, Row, until
from tests.torture.books import Books
from tests.torture.outcome import Form, Outcome
from tests.torture.places import FILE, Place
from tests.torture.stage import GRACE, TICK_SECONDS, DirectedStage

SPEED = 1500.0
KILLS = {Form.SHORT: (10,), Form.FULL: (100, 100)}
"""Of each stage; stages are played side by side, since much of the time is a start."""
ACCOUNTS = 4
MISSING_AFTER_HOURS = {Form.SHORT: 4, Form.FULL: 24}
ACCOUNT_LIMIT = 30
DOMAIN_LIMIT = 60
ENFORCED_LIMIT = 12
"""What outlook.test's server takes in 24 hours."""
SQUEEZED_LIMIT = 1
SIGHTED_RATIO = 0.95
QUIET_SECONDS = 75.0
"""Real: the longest that nothing falls due, a day of the ledger's and some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where the daemon is killed: the servers' stop, and whether the write lock is held and the server goes on."""

    name: str
    stop: str
    locked: bool = False
    in_flight: bool = True


POINTS = (
    Point(name="before connect", stop="greeting", in_flight=False),
    Point(name="after MAIL", stop="mail"),
    Point(name="after MAIL of the next", stop="next"),
    Point(name="after RCPT", stop="rcpt"),
    Point(name="after 354", stop="start"),
    Point(name="inside DATA", stop="data"),
    Point(name="after the final dot, not taken", stop="dot"),
    Point(name="after the final dot, taken", stop="taken"),
    Point(name="after 250", stop="taken", locked=True),
    Point(name="before commit", stop="login", locked=True, in_flight=False),
)


@dataclass(slots=True, kw_only=True)
class Kills:
    """What the kills left behind, as they went. `squeezed_at`: how long the journal was when limits were lowered."""

    at: Counter[str] = field(default_factory=Counter)
    in_flight: set[int] = field(default_factory=set)
    squeezed_at: int = 0
    beside: int = 0
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One stage, played to its end."""

    kills: Kills
    books: Books
    limits: Mapping[str, int]


def run(form: Form, folder: Path, place: Place = FILE) -> Outcome:
    """Kill, start again, and compare the books at the end."""
    stages = [(times, folder / f"stage-{number}", number) for number, times in enumerate(KILLS[form])]
    with ThreadPoolExecutor(len(stages)) as threads:
        playing = [threads.submit(played, MISSING_AFTER_HOURS[form], place, *stage) for stage in stages]
        return told([each.result() for each in playing]).on(place.name)


def played(missing_after_hours: int, place: Place, times: int, folder: Path, first: int) -> Played:
    """One stage; its first kill is at point number `first`."""
    environ = {
        "WARMUP__LIMITS__DOMAIN_DAILY": str(DOMAIN_LIMIT),
        "WARMUP__OBSERVE__MISSING_AFTER_HOURS": str(missing_after_hours),
    }
    opened = DirectedStage.open(
        folder, speed=SPEED, accounts=ACCOUNTS, environ=environ, place=place, daily_limit=str(ACCOUNT_LIMIT)
    )
    with opened as stage:
        kills = killed_again_and_again(stage, times, first)
        try:
            until(
                lambda: concluded(stage, kills.in_flight),
                seconds=missing_after_hours * 3600 / SPEED + QUIET_SECONDS,
                what="what was in flight is found, or missing",
                every=0.5,
            )
        except NotInTime as late:
            kills.broken.append(str(late))
        if (code := stage.house.stop()) != 0:
            kills.broken.append(f"the daemon ended with {code}")
        books = Books(journal=stage.town.journal(), messages=stage.house.export("messages"))
        accounts = [account["address"] for account in stage.town.accounts]
    return Played(kills=kills, books=books, limits=limits_of(accounts))


def killed_again_and_again(stage: DirectedStage, times: int, first: int) -> Kills:
    """Kill the daemon `times` times, a point after the other; it runs when this returns."""
    kills = Kills()
    flying: set[int] = set()
    for _ in range(2 * times):
        point = POINTS[(first + kills.at.total()) % len(POINTS)]
        stage.director.tell(f"stop {point.stop}")
        stage.house.start()
        see_what_landed(stage, flying, kills)
        try:
            flying = kill_at(point, stage, kills)
        except NotInTime as quiet:
            kills.broken.append(f"{point.name}: {quiet}")
            return kills
        if kills.at.total() == times:
            break
    # The days are planned for many by now.
    stage.house.environ = {**stage.house.environ, "WARMUP__LIMITS__DOMAIN_DAILY": str(SQUEEZED_LIMIT)}
    stage.house.start()
    # What had left the killed daemon a server may have taken since.
    kills.squeezed_at = len(stage.town.journal())
    see_what_landed(stage, flying, kills)
    return kills


def kill_at(point: Point, stage: DirectedStage, kills: Kills) -> set[int]:
    """Wait until somebody is held at the point, and kill the daemon there; the slots then in flight."""
    held = stage.director.held(QUIET_SECONDS)
    with ExitStack() as stack:
        if point.locked:
            stack.enter_context(stage.ledger_locked())
            stage.director.tell("go")
            stage.wait_until_the_daemon_wants_to_write()
        stage.house.kill()
    flights = stage.flights()
    if held.account and (held.account in flights.values()) is not point.in_flight:
        # It had been there, but the ledger says otherwise: a reply in transit, or another message of the mailbox's.
        kills.beside += 1
    else:
        kills.at[point.name] += 1
    kills.broken += [
        f"{address} had {count} messages in flight: an outcome was not kept before the next claim"
        for address, count in Counter(flights.values()).items()
        if count > 1
    ]
    kills.in_flight |= set(flights)
    return set(flights)


def see_what_landed(stage: DirectedStage, flying: set[int], kills: Kills) -> None:
    """Note what was in flight at the kill and is so two ticks after the restart."""
    ready = time.monotonic()
    while left := flying & set(stage.flights()):
        if time.monotonic() - ready > 2 * TICK_SECONDS:
            kills.broken.append(f"slots {sorted(left)} are in flight two ticks after the restart")
            return


def concluded(stage: DirectedStage, slots: set[int]) -> bool:
    """True once every one of the slots is sighted or missing."""
    waiting = stage.select("SELECT slot_id FROM watches WHERE stage = 'first'")
    return not slots & {int(slot) for (slot,) in waiting}


def limits_of(accounts: Sequence[str]) -> dict[str, int]:
    """What no account and no domain may pass in 24 hours."""
    domains = {address.partition("@")[2] for address in accounts}
    enforced = {address: ENFORCED_LIMIT for address in accounts if address.endswith("@outlook.test")}
    return dict.fromkeys(accounts, ACCOUNT_LIMIT) | enforced | dict.fromkeys(sorted(domains), DOMAIN_LIMIT)


def told(stages: Sequence[Played]) -> Outcome:
    """All the kills and books in one line."""
    doubles = [text for each in stages for text in each.books.doubles()]
    losses = [text for each in stages for text in each.books.losses()]
    breaches = [text for each in stages for text in breaches_of(each)]
    in_flight, arrived, sighted = (sum(counts) for counts in zip(*map(fates, stages), strict=True))
    if sighted < SIGHTED_RATIO * arrived:
        breaches.append(f"of {arrived} that had arrived {sighted} were sighted")
    points = sum((each.kills.at for each in stages), Counter[str]())
    beside = sum(each.kills.beside for each in stages)
    if beside > points.total():
        breaches.append(f"at {beside} kills the ledger said otherwise than the servers: no attempt, or a late one")
    where = ", ".join(f"{points[point.name]} {point.name}" for point in POINTS)
    return Outcome(
        scenario="kill",
        tries=points.total(),
        losses=len(losses),
        doubles=len(doubles),
        breaches=len(breaches),
        figures=f"killed {where}; {sum(len(each.books.journal) for each in stages)} messages taken; {in_flight} in "
        f"flight at a kill, {arrived} of them had arrived, {sighted} of these were sighted; "
        f"{beside} kills beside the point",
        broken=(*doubles, *losses, *breaches)[:20],
    )


def fates(stage: Played) -> tuple[int, int, int]:
    """Of the messages in flight at a kill: how many, how many of those had arrived, how many of those were sighted."""
    rows = [row for row in stage.books.messages if row["slot"] in stage.kills.in_flight]
    arrived = [row for row in rows if row["slot"] in stage.books.taken()]
    sighted = [row for row in arrived if (row["outcome"], row["outcome_source"]) == ("accepted", "sighting")]
    return len(rows), len(arrived), len(sighted)


def breaches_of(stage: Played) -> list[str]:
    """Every promise that one stage saw broken."""
    books, kills = stage.books, stage.kills
    squeezed = [
        text
        for domain in sorted({address.partition("@")[2] for address in stage.limits if "@" in address})
        for text in books.beyond(domain, SQUEEZED_LIMIT, since=kills.squeezed_at)
    ]
    rows = [row for row in books.messages if row["slot"] in kills.in_flight]
    overshoots = books.overshoots(stage.limits)
    ends = [*misjudged(rows, books.taken()), *left_over(books.messages), *books.overlaps()]
    return [*kills.broken, *overshoots, *squeezed, *ends]


def misjudged(rows: list[Row], taken: set[int]) -> list[str]:
    """Each slot that was in flight at a kill and did not end uncertain, or is believed against the servers."""
    wrong = []
    for row in rows:
        end = (row["outcome"], row["outcome_source"])
        if end == ("uncertain", "recovery") and row["placement"] == "missing":
            continue
        if end == ("accepted", "sighting") and row["slot"] in taken:
            continue
        wrong.append(f"slot {row['slot']}, in flight at a kill, ended {end}, placed {row['placement']}")
    return wrong


def left_over(rows: Sequence[Row]) -> list[str]:
    """Each slot whose grace is long over and that has not ended."""
    instants = [datetime.fromisoformat(row["claimed_at"]) for row in rows if row["claimed_at"]]
    last = max(instants) - GRACE - timedelta(hours=1) if instants else None
    return [
        f"slot {row['slot']}, due at {row['due_at']}, is still {row['outcome']}"
        for row in rows
        if row["outcome"] in ("planned", "in_flight") and last and datetime.fromisoformat(row["due_at"]) < last
    ]
