"""One daemon a ledger, and one claim a slot, however many ask.

A second daemon is started again and again beside a running one: it has to end with 75 within `SECONDS` of its attempt
at the lock, and to name the holder. Then processes of several threads claim the same slots of one ledger all at once.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.ledger import claimer
from tests.ledger.conftest import NOW, World
from tests.scenarios.house import PATIENCE, WARMUP, House, Town, until
from tests.torture.outcome import Form, Outcome
from tests.torture.places import FILE, Place
from warmup.ledger import Ledger, schema

SECONDS = {Form.SHORT: 20.0, Form.FULL: 2.0}
"""Real. Beside other tests on two cores a process may take longer to end than alone: the figure is printed."""
BUSY_LEDGER = 75
SECOND_DAEMONS = {Form.SHORT: 2, Form.FULL: 20}
PROCESSES = 4
CLAIMS = {Form.SHORT: 1_600, Form.FULL: 10_000}
"""Claims in all: every process has `claimer.THREADS` threads, and each of them asks for every slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """How a second daemon ended. `seconds` are real, from the first sight of the lock file in its hands."""

    code: int
    said: str
    seconds: float


def run(form: Form, folder: Path, place: Place = FILE) -> Outcome:
    """Both attacks; what they found."""
    if place is not FILE:
        # The lock of a server is asked for where nobody sees it (tests/scenarios/test_postgres.py).
        return claims_alone(form, folder / "claims", place)
    holder, seconds = asked_to_go(SECOND_DAEMONS[form], folder)
    wrong = [text for number, second in enumerate(seconds) for text in faults_of(number, second, holder, SECONDS[form])]
    asked, claimed = claimed_at_once(CLAIMS[form], folder / "claims", place)
    doubles = [slot for slot, times in claimed.items() if times > 1]
    lost = [slot for slot, times in claimed.items() if times == 0]
    longest = max(second.seconds for second in seconds)
    return Outcome(
        scenario="two_daemons",
        tries=len(seconds) + asked,
        losses=len(lost),
        doubles=len(doubles),
        breaches=len(wrong),
        figures=f"{len(seconds)} second daemons gone at most {longest:.2f} s after the lock was asked for; "
        f"{asked} claims of {len(claimed)} slots by {PROCESSES * claimer.THREADS} threads of {PROCESSES} processes",
        broken=(
            *wrong,
            *(f"slot {slot} was claimed {claimed[slot]} times" for slot in doubles[:5]),
            *(f"slot {slot} was claimed by nobody" for slot in lost[:5]),
        ),
    )


def asked_to_go(times: int, folder: Path) -> tuple[int, list[Second]]:
    """The first daemon's pid, and how the second ones ended."""
    with ExitStack() as stack:
        town = Town.open(folder / "town", "--start", datetime.now(UTC).isoformat(), "--accounts", "1")
        stack.callback(town.close)
        house = House(folder=folder / "house")
        stack.callback(house.close)
        house.install(ca_file=town.ca_file)
        first = house.start()
        seconds = [second_daemon(house) for _ in range(times)]
        return first.pid, seconds


def second_daemon(house: House) -> Second:
    """One more daemon on the same ledger."""
    command = [str(WARMUP), "run"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env={**house.surroundings, **house.environ}, stderr=pipe, text=True) as second:
        try:
            until(
                lambda: second.poll() is not None or has_open(second.pid, "warmup.db.lock"),
                seconds=PATIENCE,
                what="the second daemon asks for the lock",
                every=0.002,
            )
            began = time.monotonic()
            second.wait(timeout=PATIENCE)
            took = time.monotonic() - began
        except subprocess.TimeoutExpired:
            second.kill()
            return Second(code=-1, said="it did not go at all", seconds=time.monotonic() - began)
        assert second.stderr is not None
        return Second(code=second.returncode, said=second.stderr.read(), seconds=took)


def has_open(pid: int, name: str) -> bool:
    """True while the process has a file of that name open."""
    try:
        return any(handle.readlink().name == name for handle in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def faults_of(number: int, second: Second, holder: int, allowed: float) -> list[str]:
    """What was wrong with the end of a second daemon, for which `allowed` seconds were."""
    wrong = []
    if second.code != BUSY_LEDGER:
        wrong.append(f"second daemon {number} ended with {second.code}: {second.said.strip()[-200:]}")
    elif f"pid {holder} " not in second.said:
        wrong.append(f"second daemon {number} did not name pid {holder}: {second.said.strip()[-200:]}")
    if second.seconds > allowed:
        wrong.append(f"second daemon {number} took {second.seconds:.1f} s")
    return wrong


def claims_alone(form: Form, folder: Path, place: Place) -> Outcome:
    """The second attack."""
    asked, claimed = claimed_at_once(CLAIMS[form], folder, place)
    wrong = [f"slot {slot} was claimed {times} times" for slot, times in claimed.items() if times != 1]
    return Outcome(
        scenario="two_daemons",
        tries=asked,
        losses=sum(times == 0 for times in claimed.values()),
        doubles=sum(times > 1 for times in claimed.values()),
        figures=f"{asked} claims of {len(claimed)} slots by {PROCESSES * claimer.THREADS} threads",
        broken=tuple(wrong[:10]),
    ).on(place.name)


def claimed_at_once(claims: int, folder: Path, place: Place) -> tuple[int, Counter[int]]:
    """How many claims were asked for, and how often each slot was given."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'warmup.db'}" if place is FILE else place.url()
    slots = asyncio.run(slots_to_claim(url, folder / "warmup.db", claims // (PROCESSES * claimer.THREADS)))
    now = (NOW + timedelta(minutes=30)).isoformat()
    command = [sys.executable, str(Path(claimer.__file__)), url, str(folder / "warmup.db")]
    runs = [
        subprocess.Popen([*command, f"node{n}", now, json.dumps(slots)], stdout=subprocess.PIPE, text=True)
        for n in range(PROCESSES)
    ]
    claimed = Counter(dict.fromkeys(slots, 0))
    for process in runs:
        said, _ = process.communicate()
        assert process.returncode == 0, "a claimer failed"
        claimed.update(json.loads(said))
    return claims // (PROCESSES * claimer.THREADS) * PROCESSES * claimer.THREADS, claimed


async def slots_to_claim(url: str, beside: Path, count: int) -> list[int]:
    """A new ledger with `count` slots that may all go."""
    schema.upgrade(url)
    ledger = Ledger.open(url, beside=beside)
    try:
        await ledger.installation.establish(now=NOW, token="claims")
        world = await World.founded(ledger, daily_limit=count + 1)
        planned = await world.plan(count, target=count)
        return [slot.id for slot in planned]
    finally:
        await ledger.close()
