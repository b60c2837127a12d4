"""Killed with -9 while mail goes out, three times, and started again: nothing twice, nothing too much, nothing unknown.

The mail world is a process of its own and keeps a journal. Some of its accounts' messages are taken and never answered,
others are answered late: so every kill finds messages in flight, and some of them have arrived and others have not.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.scenarios.conftest import BuildHouse, OpenTown
from tests.scenarios.house import House, Row, Town, until

SPEED = 1500.0
DAY_SECONDS = 86_400 / SPEED
KILLS = 3
MORE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What was left behind. `in_flight` are the slots that were, at any of the kills."""

    journal: list[Row]
    messages: list[Row]
    daily: list[Row]
    in_flight: set[int]


@pytest.fixture(scope="module")
def run(open_town: OpenTown, build_house: BuildHouse) -> Survived:
    silent = [f"ada@{domain}" for domain in ("gmail.test", "outlook.test", "corp.test")]
    faults = [option for who in silent for option in ("--fault", f"silent-after-dot:{who}:20")]
    faults += ["--fault", "slow:ben@gmail.test:20", "--fault", "slow:ben@corp.test:20"]
    start = datetime.now(UTC).isoformat()
    town = open_town("--start", start, "--speed", str(SPEED), "--accounts", "2", "--seed", "killed", *faults)
    house = build_house(ca_file=town.ca_file, speed=SPEED)
    for account in town.accounts:
        house.enrol(account, "--ramp", "esp", "--provider", "custom", "--daily-limit", "60")
    in_flight: set[int] = set()
    house.start()
    for _ in range(KILLS):
        in_flight |= kill_while_sending(town, house, silent)
        house.start()
    until(lambda: concluded(house, in_flight), seconds=2 * DAY_SECONDS, what="what was in flight is placed", every=0.5)
    assert house.stop() == 0
    journal = town.journal()
    return Survived(
        journal=journal, messages=house.export("messages"), daily=house.export("daily"), in_flight=in_flight
    )


def kill_while_sending(town: Town, house: House, silent: list[str]) -> set[int]:
    """Kill the daemon as soon as a message was taken that is never answered; the slots then in flight."""
    before = len(town.journal())
    until(
        lambda: any(row["account"] in silent for row in town.journal()[before + MORE - 1 :]),
        seconds=3 * DAY_SECONDS,
        what="mail goes out",
        every=0.005,
    )
    house.kill()
    return {row["slot"] for row in house.export("messages") if row["outcome"] == "in_flight"}


def concluded(house: House, slots: set[int]) -> bool:
    """True once what was in flight at a kill is not so any more, and some of it was found in a folder."""
    rows = [row for row in house.export("messages") if row["slot"] in slots]
    return all(row["outcome"] != "in_flight" for row in rows) and any(row["outcome"] == "accepted" for row in rows)


def test_no_message_was_received_twice(run: Survived) -> None:
    received = Counter(row["message_id"] for row in run.journal)
    assert len(received) >= KILLS * MORE
    assert [message_id for message_id, times in received.items() if times > 1] == []
    slot_of = {row["message_id"]: row["slot"] for row in run.messages}
    assert max(Counter(slot_of[message_id] for message_id in received).values()) == 1


def test_nothing_the_servers_received_is_unknown_to_the_ledger(run: Survived) -> None:
    known = {(row["message_id"], row["mailbox"], row["recipient"]): row["outcome"] for row in run.messages}
    received = {(row["message_id"], row["account"], row["recipient"]) for row in run.journal}
    assert received <= set(known)
    assert {known[key] for key in received} <= {"accepted", "uncertain"}


def test_no_day_is_over_its_target(run: Survived) -> None:
    targets: Counter[tuple[str, str]] = Counter()
    said: Counter[tuple[str, str]] = Counter()
    for row in run.daily:
        targets[row["mailbox"], row["date"]] += row["target"]
        said[row["mailbox"], row["date"]] += row["sent"]
    date_of = {row["message_id"]: row["date"] for row in run.messages}
    received = Counter((row["account"], date_of[row["message_id"]]) for row in run.journal)
    assert [day for day, count in (received | said).items() if count > targets[day]] == []


def test_what_was_in_flight_ends_uncertain_or_is_sighted(run: Survived) -> None:
    rows = [row for row in run.messages if row["slot"] in run.in_flight]
    assert len(rows) >= KILLS
    ends = {(row["outcome"], row["outcome_source"]) for row in rows}
    assert ends <= {("uncertain", "recovery"), ("accepted", "sighting")}
    assert ("accepted", "sighting") in ends
    assert {row["attempts"] for row in rows} == {1}
    # What was sighted had arrived: nothing is believed that the servers do not know of.
    arrived = {row["message_id"] for row in run.journal}
    assert {row["message_id"] for row in rows if row["outcome"] == "accepted"} <= arrived
