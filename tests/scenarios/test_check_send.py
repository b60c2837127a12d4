"""`mailbox check --send` and `test`, as their users have them: a message is found, counted, and never evidence."""

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.scenarios.conftest import BuildHouse, OpenTown
from tests.scenarios.house import WARMUP, House, Row, Town, until

RECEIVER = """\
[[receiver]]
name = "{name}"
base_spam = {spam}
quiet_volume = 1000.0
tolerance = 10.0
pressure = 0.0
distrust = 0.0
trust = 0.5
trust_gain = 0.01
trust_loss = 0.01
memory_days = 5.0
defer_at = 1000.0
missing = 0.0
"""
LIMIT = 2
"""Of which one message is kept free for its operator: one may go."""

# Providers by their order in the sandbox: the first takes all into the inbox, the second nothing.
FRIENDLY, STERN = "gmail.test", "outlook.test"


@pytest.fixture(scope="module")
def town(open_town: OpenTown, place: Any) -> Town:
    world = place / "world.toml"
    receivers = "".join(RECEIVER.format(name=name, spam=spam) for name, spam in (("a", 1e-12), ("b", 0.999999)))
    world.write_text(f'name = "known"\nabout = "all known"\n{receivers}', encoding="utf-8")
    faults = (
        "refuse:eva@gmail.test",
        "defer:finn@gmail.test",
        "silent-after-dot:greta@gmail.test",
        "silent-after-dot:clara2@gmail.test",
    )
    options = [word for fault in faults for word in ("--fault", fault)]
    start = datetime.now(UTC).isoformat()
    return open_town("--start", start, "--speed", "50000", "--accounts", "12", "--world", str(world), *options)


@pytest.fixture(scope="module")
def house(town: Town, build_house: BuildHouse) -> Iterator[House]:
    house = build_house(ca_file=town.ca_file)
    yield house
    house.close()


def enrolled(house: House, town: Town, address: str) -> str:
    """The address, enrolled with a small limit."""
    house.enrol(account(town, address), "--provider", "custom", "--daily-limit", str(LIMIT))
    return address


def account(town: Town, address: str) -> Row:
    return next(one for one in town.accounts if one["address"] == address)


def checked(house: House, address: str, *options: str) -> tuple[int, Any]:
    """The exit code, and what the JSON says of the message."""
    done = house.ended("mailbox", "check", address, "--send", "--json", *options)
    document = json.loads(done.stdout)
    Draft202012Validator(json.loads(house("schema", "mailbox-check"))).validate(document)
    return done.returncode, document["test"]


def sent_by(house: House, address: str) -> list[Row]:
    return [row for row in house.export("messages") if row["mailbox"] == address]


def taken(town: Town, address: str) -> list[str]:
    """The ids the servers took from an account."""
    return [row["message_id"] for row in town.journal() if row["account"] == address and row["code"] == 250]


def test_it_is_found_in_the_inbox_and_told_apart_from_the_work(house: House, town: Town) -> None:
    ada = enrolled(house, town, "ada@gmail.test")
    code, test = checked(house, ada)
    assert (code, test["outcome"], test["placement"], test["folder"]) == (0, "accepted", "inbox", "INBOX")
    (row,) = sent_by(house, ada)
    assert (row["kind"], row["recipient"], row["outcome"], row["placement"]) == ("test", ada, "accepted", "inbox")
    assert taken(town, ada) == [test["message_id"]] == [row["message_id"]]
    assert [line for line in house.export("daily") if line["mailbox"] == ada] == []
    status = json.loads(house("status", "--json"))["mailboxes"]
    (mine,) = (one for one in status if one["address"] == ada)
    assert (mine["sent_24h"], mine["sent_today"], mine["inbox_ratio"]) == (1, 0, None)


def test_a_junk_folder_is_named_and_ends_with_1(house: House, town: Town) -> None:
    ben = enrolled(house, town, "ben@outlook.test")
    done = house.ended("mailbox", "check", ben, "--send")
    assert done.returncode == 1
    assert "was seen in the junk folder, Junk" in done.stdout


def test_a_used_up_limit_sends_and_records_nothing(house: House, town: Town) -> None:
    clara = enrolled(house, town, "clara@gmail.test")
    for _ in range(LIMIT - 1):
        assert checked(house, clara)[0] == 0
    done = house.ended("mailbox", "check", clara, "--send")
    assert done.returncode == 75
    assert done.stderr.splitlines()[-1].startswith(f"error: {clara} has used up the {LIMIT} messages")
    assert "try again after" in done.stderr
    assert len(sent_by(house, clara)) == len(taken(town, clara)) == LIMIT - 1


def test_many_at_once_do_not_pass_the_wall(house: House, town: Town) -> None:
    david = enrolled(house, town, "david@gmail.test")
    command = [str(WARMUP), "mailbox", "check", david, "--send"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    together = [subprocess.Popen(command, env=house.surroundings, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    ended = Counter(one.wait(timeout=120) for one in together)
    for one in together:
        one.communicate()
    assert ended == {0: LIMIT - 1, 75: 2}
    assert len(set(taken(town, david))) == len(taken(town, david)) == LIMIT - 1


def test_a_refusal_is_told_with_its_advice(house: House, town: Town) -> None:
    eva = enrolled(house, town, "eva@gmail.test")
    done = house.ended("mailbox", "check", eva, "--send")
    assert done.returncode == 1
    assert "was refused: 550 No such user here; " in done.stdout
    assert sent_by(house, eva)[0]["outcome"] == "refused"


def test_what_was_put_off_is_not_tried_again(house: House, town: Town) -> None:
    finn = enrolled(house, town, "finn@gmail.test")
    code, test = checked(house, finn)
    assert (code, test["outcome"], test["reply_code"]) == (1, "deferred", 451)
    assert test["advice"]
    assert [row["outcome"] for row in sent_by(house, finn)] == ["deferred"]


def test_a_paused_mailbox_sends_nothing(house: House, town: Town) -> None:
    hugo = enrolled(house, town, "hugo@gmail.test")
    house("mailbox", "pause", hugo)
    done = house.ended("mailbox", "check", hugo, "--send")
    assert done.returncode == 65
    assert done.stderr.splitlines()[-1] == f"error: {hugo} is paused, and sends nothing; warmup mailbox resume {hugo}"
    assert (sent_by(house, hugo), taken(town, hugo)) == ([], [])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_verb_that_is_ended_after_the_dot_leaves_a_doubt_and_is_never_sent_again(
    house: House, town: Town, how: signal.Signals
) -> None:
    greta = enrolled(house, town, "greta@gmail.test" if how is signal.SIGINT else "clara2@gmail.test")
    command = [str(WARMUP), "mailbox", "check", greta, "--send"]
    with subprocess.Popen(command, env=house.surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as verb:
        until(lambda: bool(taken(town, greta)), seconds=60, what="the server took it")
        verb.send_signal(how)
        verb.wait(timeout=60)
    state = sent_by(house, greta)[0]["outcome"]
    assert state == ("uncertain" if how is signal.SIGINT else "in_flight")
    house.start()
    # A daemon that starts takes it for uncertain too, and sends nothing twice.
    assert house.stop() == 0
    assert sent_by(house, greta)[0]["outcome"] == "uncertain"
    assert len([message for message in taken(town, greta) if message == sent_by(house, greta)[0]["message_id"]]) == 1


def test_it_works_beside_a_running_daemon_which_answers_nothing(house: House, town: Town) -> None:
    ada2 = enrolled(house, town, "ada2@gmail.test")
    house.start()
    code, test = checked(house, ada2)
    assert (code, test["placement"]) == (0, "inbox")
    assert house.stop() == 0
    assert taken(town, ada2).count(test["message_id"]) == 1
    # What the daemon planned beside it is new; nothing answers the test, or goes as another.
    assert Counter(row["kind"] for row in sent_by(house, ada2) if row["kind"] != "new") == {"test": 1}


def test_one_seed_of_each_provider_tells_where_mail_lands(house: House, town: Town) -> None:
    ben2 = "ben2@gmail.test"
    house.enrol(account(town, ben2), "--provider", "custom", "--daily-limit", "4", "--role", "sender")
    for seed, role in (("hugo@corp.test", "seed"), ("eva@corp.test", "control"), ("eva@outlook.test", "seed")):
        house.enrol(account(town, seed), "--provider", "custom", "--role", role, "--tag", "probe")
    nobody = house.ended("test", ben2, "--to", "nobody")
    assert (nobody.returncode, len(taken(town, ben2))) == (65, 0)

    done = house.ended("test", ben2, "--to", "probe", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    Draft202012Validator(json.loads(house("schema", "test"))).validate(document)
    told = [(one["provider"], one["recipient"], one["placement"]) for one in document["tests"]]
    assert told == [("corp.test", "eva@corp.test", "inbox"), ("outlook.test", "eva@outlook.test", "spam")]
    assert sorted(taken(town, ben2)) == sorted(one["message_id"] for one in document["tests"])

    # One more may go, and the second is told that the limit is used up.
    again = house.ended("test", ben2, "--to", "probe")
    assert again.returncode == 1
    assert "eva@outlook.test gets none" in again.stderr
    assert len(taken(town, ben2)) == 3
    assert house.ended("test", ben2).returncode == 75
