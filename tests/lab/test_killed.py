"""Killed with -9 in the middle of the day, three times, and started again: nothing twice, nothing lost, nothing more.

Each kill comes when some of the day's mail went out and Postfix has just said yes to one more RCPT: that message is in
flight. One sender's mail is filed as spam all along and its receivers engage, so a kill may also fall between rescue
and record.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from os import SEEK_END

import pytest

from tests.lab.lab import Lab, Verdict
from tests.lab.layout import until
from tests.lab.postfix_log import Delivery
from tests.lab.program import Program, Row

pytestmark = pytest.mark.lab

SPEED = 4000.0
DAY_SECONDS = 86_400 / SPEED
LIMITS = {"gmail.test": 40, "outlook.test": 40, "corp.test": 40}
DISLIKED = "u10@corp.test"
DATES_OF_KILLS = (1, 2, 3)
MORE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What was left behind."""

    messages: list[Row]
    attempts: list[Row]
    daily: list[Row]
    accepted: list[Delivery]
    verdicts: dict[str, Verdict]


@pytest.fixture(scope="module")
def run(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survived]:
    program = Program(lab=lab, folder=tmp_path_factory.mktemp("killed") / "warmup", speed=SPEED, daily_limits=LIMITS)
    program.install()
    addresses = [f"u{number}@{domain}" for domain in LIMITS for number in (10, 11)]
    for address in addresses:
        program.enrol(address, "--engage")
    lab.spam.turn_against(DISLIKED)
    try:
        program.start()
        for number in DATES_OF_KILLS:
            kill_in_mid_day(lab, program, addresses, number)
        program.wait_for_date(len(DATES_OF_KILLS) + 2, seconds=4 * DAY_SECONDS)
        before = {str(day) for day in program.dates()[:-1]}
        until(lambda: concluded(program, before), seconds=60, what="every message is concluded", every=0.5)
        assert program.stop() == 0
        yield Survived(
            messages=program.export("messages"),
            attempts=program.export("attempts"),
            daily=program.export("daily"),
            accepted=accepted(lab, addresses),
            verdicts=lab.rspamd_verdicts(),
        )
    finally:
        program.close()
        lab.spam.relent()


def kill_in_mid_day(lab: Lab, program: Program, addresses: list[str], number: int) -> None:
    """Wait until some mail of the `number`th date went out, kill the daemon in mid-flight and start it again."""
    program.wait_for_date(number, seconds=3 * DAY_SECONDS)
    enough = len(accepted(lab, addresses)) + MORE
    until(lambda: len(accepted(lab, addresses)) >= enough, seconds=2 * DAY_SECONDS, what="mail goes out")
    with lab.layout.maillog.open() as log:
        log.seek(0, SEEK_END)
        until(lambda: "sasl_username=" in log.read(), seconds=DAY_SECONDS, what="the next one goes", every=0.0005)
        program.kill()
    program.start()


def accepted(lab: Lab, addresses: list[str]) -> list[Delivery]:
    return [delivery for delivery in lab.postfix_log() if delivery.login in addresses]


def concluded(program: Program, dates: set[str]) -> bool:
    rows = [row for row in program.export("messages") if row["date"] in dates]
    return not any(row["outcome"] == "in_flight" or (went(row) and row["placement"] is None) for row in rows)


def went(row: Row) -> bool:
    return bool(row["outcome"] in ("accepted", "uncertain"))


def test_the_kills_fell_while_messages_were_in_flight(run: Survived) -> None:
    assert any(row["source"] == "recovery" for row in run.attempts)


def test_no_message_was_handed_over_twice(run: Survived) -> None:
    assert len(run.accepted) > len(DATES_OF_KILLS) * MORE
    assert [id_ for id_, times in Counter(found.message_id for found in run.accepted).items() if times > 1] == []
    slot_of = {row["message_id"]: row["slot"] for row in run.messages}
    assert max(Counter(slot_of[found.message_id] for found in run.accepted).values()) == 1


def test_the_ledger_knows_every_message_postfix_accepted_and_claims_no_other(run: Survived) -> None:
    by_postfix = {(found.message_id, found.sender, found.recipient) for found in run.accepted}
    by_ledger = {(row["message_id"], row["mailbox"], row["recipient"]): row for row in run.messages if went(row)}
    assert by_postfix <= set(by_ledger)
    # What it took for uncertain and never found is all that Postfix may lack.
    assert {by_ledger[key]["placement"] for key in set(by_ledger) - by_postfix} <= {"missing"}
    assert {by_ledger[key]["outcome"] for key in set(by_ledger) - by_postfix} <= {"uncertain"}


def test_no_day_is_over_its_target(run: Survived) -> None:
    targets: Counter[tuple[str, str]] = Counter()
    for row in run.daily:
        targets[row["mailbox"], row["date"]] += row["target"]
    date_of = {row["message_id"]: row["date"] for row in run.messages}
    sent = Counter((found.sender, date_of[found.message_id]) for found in run.accepted)
    assert [day for day, count in sent.items() if count > targets[day]] == []


def test_a_crash_between_engaging_and_recording_changes_no_placement(run: Survived) -> None:
    known = {found.message_id for found in run.accepted}
    said = {
        row["message_id"]: row["placement"] for row in run.messages if row["message_id"] in known and row["placement"]
    }
    assert said == {id_: "spam" if run.verdicts[id_].spam else "inbox" for id_ in said}
    assert len(said) > len(known) / 2
    assert any("rescue" in str(row["engaged"]) for row in run.messages if row["mailbox"] == DISLIKED)
