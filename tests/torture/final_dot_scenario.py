"""Silent or cut at the final dot: the message may have arrived or not, and is never sent again to find out.

Every account's first messages meet a server that takes them and says nothing, takes them and hangs up, or hangs up
without taking them. Each has to end uncertain; then the daemon is started anew and sends on.
"""

from pathlib import Path

from tests.scenarios.house import Row
from tests.torture.books import Books
from tests.torture.outcome import Form, Outcome
from tests.torture.places import FILE, Place
from tests.torture.stage import DirectedStage, waited

SPEED = 1500.0
KINDS = ("silent-after-dot", "cut-after-dot", "lose-after-dot")
CASES = {Form.SHORT: 12, Form.FULL: 100}
ACCOUNTS = {Form.SHORT: 4, Form.FULL: 5}
PATIENCE_SECONDS = {Form.SHORT: 60.0, Form.FULL: 240.0}
SMTP_TIMEOUT_SECONDS = 4
MORE = 6
"""Messages that have to go after the restart: what was to be sent again would have been due before them."""

UNCERTAIN = "SELECT count(*) FROM outcomes WHERE outcome = 'uncertain'"


def run(form: Form, folder: Path, place: Place = FILE) -> Outcome:
    """Play every case, start again, and compare the books."""
    cases, patience, broken = CASES[form], PATIENCE_SECONDS[form], list[str]()
    environ = {"WARMUP__NETWORK__SMTP_TIMEOUT_SECONDS": str(SMTP_TIMEOUT_SECONDS)}
    opened = DirectedStage.open(
        folder, speed=SPEED, accounts=ACCOUNTS[form], environ=environ, place=place, daily_limit="60"
    )
    with opened as stage:
        addresses = [account["address"] for account in stage.town.accounts]
        for number in range(cases):
            # Every account meets every kind.
            turn = number // len(addresses) + number
            stage.director.tell(f"fault {KINDS[turn % len(KINDS)]}:{addresses[number % len(addresses)]}")
        stage.house.start()
        broken += waited(lambda: uncertain(stage) >= cases, f"{cases} uncertain outcomes", seconds=patience)
        if (code := stage.house.stop()) != 0:
            broken.append(f"the daemon ended with {code}")
        before = len(stage.town.journal())
        stage.house.start()
        enough = before + MORE
        broken += waited(lambda: len(stage.town.journal()) >= enough, f"{MORE} more messages", seconds=patience)
        stage.house.stop()
        books = Books(journal=stage.town.journal(), messages=stage.house.export("messages"))
        attempts = stage.house.export("attempts")
    return told(cases, books, attempts, broken).on(place.name)


def uncertain(stage: DirectedStage) -> int:
    """How many attempts ended uncertain so far."""
    ((count,),) = stage.select(UNCERTAIN)
    return int(count)


def told(cases: int, books: Books, attempts: list[Row], broken: list[str]) -> Outcome:
    """The cases and the books in one line."""
    unknown = [row for row in attempts if row["outcome"] == "uncertain"]
    again = [row for row in attempts if row["ordinal"] > 1]
    rows = {row["slot"]: row for row in books.messages}
    sighted = sum(1 for row in unknown if rows[row["slot"]]["outcome_source"] == "sighting")
    doubles, losses = books.doubles(), books.losses()
    breaches = [*broken, *(f"slot {row['slot']} was sent again: attempt {row['ordinal']}" for row in again)]
    if len(unknown) != cases:
        breaches.append(f"{len(unknown)} of {cases} cases ended uncertain")
    return Outcome(
        scenario="final_dot",
        tries=cases,
        losses=len(losses),
        doubles=len(doubles),
        breaches=len(breaches),
        figures=f"{len(unknown)} uncertain, {len(again)} resends, {sighted} sighted since; "
        f"{len(books.journal)} messages taken in all",
        broken=(*doubles, *losses, *breaches)[:20],
    )
