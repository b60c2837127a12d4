"""SIGTERM at any moment, and SIGHUP with a good and with a bad configuration.

What was in flight when SIGTERM came is finished if the server answers within the drain, and uncertain after the next
start if it does not; either way the daemon ends with 0 within `drain_seconds`. A configuration that is refused changes
nothing and is told why, line for line in the log; a good one is in force at once.
"""

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.scenarios.house import NotInTime
from tests.torture.books import Books
from tests.torture.outcome import Form, Outcome
from tests.torture.places import FILE, LEASE_SECONDS, Place
from tests.torture.stage import DirectedStage, pass_by, waited

SPEED = 1500.0
DRAIN_SECONDS = 16.0
SMTP_TIMEOUT_SECONDS = 30
"""Longer than the drain, so that it is the drain that ends what is held."""
ANSWER_SECONDS = 2.0
"""How long a server takes that answers within the drain."""
ACCOUNTS = 4
ROUNDS = {Form.SHORT: 4, Form.FULL: 40}
PATIENCE_SECONDS = 60.0
STOPS = ("taken", "mail", "data", "rcpt", "dot", "start")
OLD_HOURS, NEW_HOURS, BAD_HOURS = 24, 30, 48
"""`observe.missing_after_hours`, by which the ledger shows under which configuration an outcome was kept."""

ENDS = {("uncertain", "recovery"), ("accepted", "sighting")}
RELOADS = 3
WATCHED = "SELECT deadline_at, since FROM watches WHERE stage = 'first'"


@dataclass(slots=True, kw_only=True)
class Stops:
    """What the stops left behind. `seconds` are real, from SIGTERM to the end of the process."""

    kinds: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    finished: set[int] = field(default_factory=set)
    cut: set[int] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)


def run(form: Form, folder: Path, place: Place = FILE) -> Outcome:
    """Stop it in turn in each way, reload it, and compare the books."""
    environ = {
        "WARMUP__DAEMON__DRAIN_SECONDS": str(DRAIN_SECONDS),
        "WARMUP__NETWORK__SMTP_TIMEOUT_SECONDS": str(SMTP_TIMEOUT_SECONDS),
    }
    stops, rng = Stops(), random.Random("stop")
    opened = DirectedStage.open(folder, speed=SPEED, accounts=ACCOUNTS, environ=environ, place=place, daily_limit="60")
    with opened as stage:
        for number in range(ROUNDS[form]):
            (answered, unanswered, anywhere, starting)[number % 4](stage, stops, rng)
        stage.house.start()
        reloads = reloaded(stage)
        stops.broken += waited(
            lambda: not stops.cut & set(stage.flights()), "what was cut off has an end", seconds=LEASE_SECONDS
        )
        stage.house.stop()
        books = Books(journal=stage.town.journal(), messages=stage.house.export("messages"))
    return told(stops, reloads, books).on(place.name)


def answered(stage: DirectedStage, stops: Stops, rng: random.Random) -> None:
    """SIGTERM while a message is held, and then the server goes on: it has to be finished."""
    flying = held_at("taken", stage, stops)
    ended(stage, stops, "answered", then=lambda: answer_late(stage))
    if left := flying & set(stage.flights()):
        stops.broken.append(f"slots {sorted(left)} were not finished, though the server answered")
    stops.finished |= flying


def answer_late(stage: DirectedStage) -> None:
    """Let the server answer when the daemon has long begun to stop."""
    pass_by(ANSWER_SECONDS)
    stage.director.tell("go")


def unanswered(stage: DirectedStage, stops: Stops, rng: random.Random) -> None:
    """SIGTERM while a message is held somewhere, and the server never goes on."""
    flying = held_at(rng.choice(STOPS), stage, stops)
    ended(stage, stops, "unanswered")
    stops.cut |= flying & set(stage.flights())


def anywhere(stage: DirectedStage, stops: Stops, rng: random.Random) -> None:
    """SIGTERM when a few messages have gone, wherever the next ones are."""
    stage.house.start()
    enough = len(stage.town.journal()) + rng.randint(1, 4)
    stops.broken += waited(lambda: len(stage.town.journal()) >= enough, "mail goes out")
    ended(stage, stops, "anywhere")


def starting(stage: DirectedStage, stops: Stops, rng: random.Random) -> None:
    """SIGTERM as soon as the doors are open, recovery done or not."""
    stage.house.launch()
    stops.broken += waited(stage.house.http_file.exists, "the doors are open")
    ended(stage, stops, "starting")


def held_at(stop: str, stage: DirectedStage, stops: Stops) -> set[int]:
    """Start the daemon and wait until a message is held; the slots of that account in flight."""
    stage.director.tell(f"stop {stop}")
    stage.house.start()
    try:
        account = stage.director.held(PATIENCE_SECONDS).account
    except NotInTime as quiet:
        stops.broken.append(str(quiet))
        return set()
    return {slot for slot, address in stage.flights().items() if address == account}


def ended(stage: DirectedStage, stops: Stops, kind: str, *, then: Callable[[], None] = lambda: None) -> None:
    """Send SIGTERM, do something `then`, and see how and when the daemon ends."""
    daemon = stage.house.daemons[-1]
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    then()
    try:
        code = daemon.wait(timeout=PATIENCE_SECONDS + SMTP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        code = daemon.wait()
    seconds = time.monotonic() - began
    stops.kinds[kind] += 1
    stops.seconds.append(seconds)
    if code != 0:
        stops.broken.append(f"{kind}: the daemon ended with {code}")
    if seconds > DRAIN_SECONDS:
        stops.broken.append(f"{kind}: the daemon took {seconds:.1f} s, {DRAIN_SECONDS:g} are allowed")


def reloaded(stage: DirectedStage) -> list[str]:
    """Reload a mistaken configuration, one that needs a restart and a good one; what was wrong with that."""
    good = (stage.house.folder / "config.toml").read_text(encoding="utf-8")
    tick = "tick_seconds = 0.2"
    assert tick in good
    late = f"\n[observe]\nmissing_after_hours = {BAD_HOURS}\n"
    wrong = []
    for text, why in (
        (f"{good}{late}\n[sand]\ngrace = 1\n", "sand"),
        (f"{good}{late}".replace(tick, "tick_seconds = 0.3"), "daemon: a change here needs a restart"),
    ):
        wrong += signalled(stage, text, says=("the old one stays", why))
    begun = last_watched(stage)
    wrong += waited(lambda: OLD_HOURS in hours_since(stage, begun), "an outcome is kept under the old configuration")
    wrong += signalled(stage, f"{good}\n[observe]\nmissing_after_hours = {NEW_HOURS}\n", says=("config read again",))
    wrong += waited(lambda: NEW_HOURS in hours_since(stage, begun), "an outcome is kept under the new configuration")
    if BAD_HOURS in hours_since(stage, begun):
        wrong.append("an outcome was kept under a configuration that was refused")
    return wrong


def last_watched(stage: DirectedStage) -> int:
    """When the last message was handed over that is still looked for, in the ledger's microseconds."""
    return max((int(since) for _, since in stage.select(WATCHED)), default=0)


def hours_since(stage: DirectedStage, begun: int) -> set[int]:
    """For how many hours messages are looked for that were handed over later."""
    return {round((until_ - since) / 3.6e9) for until_, since in stage.select(WATCHED) if since > begun}


def signalled(stage: DirectedStage, text: str, *, says: tuple[str, ...]) -> list[str]:
    """Write the configuration and send SIGHUP; nothing where one line of the log then says all of `says`."""
    before = len(stage.house.log.read_bytes())
    (stage.house.folder / "config.toml").write_text(text, encoding="utf-8")
    stage.house.daemons[-1].send_signal(signal.SIGHUP)

    def said() -> bool:
        if stage.house.daemons[-1].poll() is not None:
            return False
        lines = stage.house.log.read_bytes()[before:].decode(errors="replace").splitlines()
        return any(all(word in line for word in says) for line in lines)

    return waited(said, f"after SIGHUP the log says: {', '.join(says)}", seconds=10)


def told(stops: Stops, reloads: list[str], books: Books) -> Outcome:
    """The stops and the books in one line."""
    rows = {row["slot"]: row for row in books.messages}
    undone = [slot for slot in stops.finished if rows[slot]["outcome"] != "accepted"]
    guessed = [slot for slot in stops.cut if (rows[slot]["outcome"], rows[slot]["outcome_source"]) not in ENDS]
    doubles, losses = books.doubles(), books.losses()
    breaches = [
        *stops.broken,
        *reloads,
        *(f"slot {slot} was answered and is {rows[slot]['outcome']}" for slot in undone),
        *(f"slot {slot} was cut off and is {rows[slot]['outcome']}" for slot in guessed),
        *books.overlaps(),
    ]
    kinds = ", ".join(f"{times} {kind}" for kind, times in stops.kinds.items())
    return Outcome(
        scenario="stop",
        tries=stops.kinds.total() + RELOADS,
        losses=len(losses),
        doubles=len(doubles),
        breaches=len(breaches),
        figures=f"SIGTERM {kinds}: ended with 0 in at most {max(stops.seconds):.1f} s of {DRAIN_SECONDS:g}; "
        f"{len(stops.finished)} finished, {len(stops.cut)} cut off; SIGHUP {RELOADS} times",
        broken=(*doubles, *losses, *breaches)[:20],
    )
