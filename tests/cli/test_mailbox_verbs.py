"""Changing, pausing, checking and removing what is enrolled."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Account, Desk
from warmup.ledger import Ledger
from warmup.policy.mailbox import Protocol


@pytest.fixture(scope="module")
def enrolled_once(tmp_path_factory: pytest.TempPathFactory, begun: Path, accounts: list[Account]) -> Path:
    """A folder with two enrolled accounts, to be copied; the first is tagged `a`."""
    folder = tmp_path_factory.mktemp("enrolled")
    shutil.copytree(begun, folder, dirs_exist_ok=True)
    desk = Desk(folder=folder, environ={"WARMUP__NETWORK__CA_FILE": accounts[0].ca_file})
    for account, options in ((accounts[0], ["--tag", "a"]), (accounts[1], [])):
        arguments = ["mailbox", "add", account.address, *account.servers, *options, "--password-stdin"]
        assert desk.warmup(*arguments, stdin=account.password).code == 0
    return folder


@pytest.fixture
def enrolled(trusting: Desk, enrolled_once: Path) -> Desk:
    """Two enrolled accounts."""
    shutil.copytree(enrolled_once, trusting.folder, dirs_exist_ok=True)
    return trusting


def states(desk: Desk) -> list[str]:
    return [one["state"] for one in desk.warmup("mailbox", "list", "--json").document["mailboxes"]]


def test_the_list_for_people_names_every_mailbox(enrolled: Desk, accounts: list[Account]) -> None:
    text = enrolled.warmup("mailbox", "list").out
    assert all(account.address in text for account in accounts[:2])


def test_an_address_is_found_whatever_its_case(enrolled: Desk, accounts: list[Account]) -> None:
    assert enrolled.warmup("mailbox", "show", accounts[0].address.upper()).code == 0


def test_pause_and_resume_take_one_a_tag_or_all(enrolled: Desk, accounts: list[Account]) -> None:
    assert enrolled.warmup("mailbox", "pause", "--tag", "a").out == "paused 1 of 1\n"
    assert states(enrolled) == ["paused", "active"]
    assert enrolled.warmup("mailbox", "pause", "--all").out == "paused 1 of 2\n"
    assert states(enrolled) == ["paused", "paused"]
    assert enrolled.warmup("mailbox", "resume", accounts[1].address).code == 0
    assert states(enrolled) == ["paused", "active"]


@pytest.mark.parametrize("arguments", [(), ("--all", "--tag", "a"), ("ada@gmail.test", "--all")])
def test_pause_wants_to_know_whom(enrolled: Desk, arguments: tuple[str, ...]) -> None:
    assert enrolled.warmup("mailbox", "pause", *arguments).code == 2
    assert states(enrolled) == ["active", "active"]


@pytest.mark.parametrize("verb", ["show", "set", "pause", "resume", "remove", "check"])
def test_an_unknown_mailbox_is_65(ready: Desk, verb: str) -> None:
    extra = ("--daily-limit", "5") if verb == "set" else ()
    ended = ready.warmup("mailbox", verb, "nobody@one.test", *extra)
    assert ended.code == 65
    assert "is not enrolled; `warmup mailbox list`" in ended.err


def test_set_changes_what_is_said_and_nothing_else(enrolled: Desk, accounts: list[Account]) -> None:
    ada = accounts[0].address
    before = enrolled.warmup("mailbox", "show", ada, "--json").document
    options = ("--daily-limit", "50", "--target", "20", "--ramp", "fast", "--timezone", "Asia/Tokyo", "--engage")
    assert enrolled.warmup("mailbox", "set", ada, *options).code == 0
    after = enrolled.warmup("mailbox", "show", ada, "--json").document
    changed = {"limit": 50, "target": 20, "ramp": "fast", "timezone": "Asia/Tokyo", "engage": True}
    assert after == {**before, **changed}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 2),
        (("--daily-limit", "0"), 65),
        (("--target", "101"), 65),
        (("--timezone", "Mars"), 65),
        (("--ramp", "rocket"), 65),
        (("--smtp", "mail.one.test:25", "--smtp-security", "none"), 65),
        (("--smtp", "localhost:1"), 2),
        (("--username", "somebody"), 77),
        (("--imap", "127.0.0.1:1"), 69),
    ],
)
def test_a_change_that_will_not_do_changes_nothing(
    enrolled: Desk, accounts: list[Account], options: tuple[str, ...], code: int
) -> None:
    before = enrolled.warmup("mailbox", "show", accounts[0].address, "--json").out
    ended = enrolled.warmup("mailbox", "set", accounts[0].address, *options)
    assert ended.code == code, ended
    assert len(ended.errors) == 1
    assert enrolled.warmup("mailbox", "show", accounts[0].address, "--json").out == before


def test_a_wrong_new_password_keeps_the_old_one(enrolled: Desk, accounts: list[Account]) -> None:
    ended = enrolled.warmup("mailbox", "set", accounts[0].address, "--password-stdin", stdin="hunter2")
    assert ended.code == 77
    assert enrolled.warmup("mailbox", "check", accounts[0].address).code == 0


def test_another_host_asks_for_the_password_again(enrolled: Desk, accounts: list[Account]) -> None:
    ada = accounts[0]
    moved = ("mailbox", "set", ada.address, "--smtp", f"localhost:{ada.smtp_port}")
    ended = enrolled.warmup(*moved)
    assert ended.code == 2
    assert "sealed for the old" in ended.err
    assert enrolled.warmup(*moved, "--password-stdin", stdin=ada.password).code == 0
    assert enrolled.warmup("mailbox", "check", ada.address).code == 0


def test_a_key_that_is_not_the_ledgers_is_78(enrolled: Desk, accounts: list[Account]) -> None:
    other = enrolled.folder / "other"
    assert enrolled.warmup("init", str(other)).code == 0
    (enrolled.folder / "warmup.key").write_bytes((other / "warmup.key").read_bytes())
    ended = enrolled.warmup("mailbox", "check", accounts[0].address)
    assert ended.code == 78
    assert "another key" in ended.err


def test_remove_lets_the_address_be_enrolled_again(enrolled: Desk, accounts: list[Account]) -> None:
    ada = accounts[0]
    for options in ((), ("--purge",)):
        assert enrolled.warmup("mailbox", "remove", ada.address, *options).code == 0
        assert enrolled.addresses() == [accounts[1].address]
        arguments = ["mailbox", "add", ada.address, *ada.servers, "--password-stdin"]
        assert enrolled.warmup(*arguments, stdin=ada.password).code == 0


async def test_a_good_check_lifts_a_suppression_and_refused_logins(enrolled: Desk, accounts: list[Account]) -> None:
    ada = accounts[0].address
    ledger = Ledger.open(f"sqlite:///{enrolled.folder / 'warmup.db'}")
    mailbox = await ledger.mailboxes.get(ada)
    now = mailbox.enrolled_at
    await ledger.standings.suppress(ada, "550 5.1.1 no such user", now=now)
    for _ in range(2):
        await ledger.logins.refused(mailbox.id, Protocol.SMTP, now=now)
    broken = enrolled.warmup("mailbox", "check", ada, WARMUP__NETWORK__CA_FILE="")
    assert broken.code == 69
    assert await ledger.standings.suppressed() == {ada}
    ended = enrolled.warmup("mailbox", "check", ada)
    assert ended.code == 0
    assert "it is written to again" in ended.err
    assert await ledger.standings.suppressed() == frozenset()
    assert await ledger.logins.refusals(mailbox.id) == {}
    await ledger.close()


def test_check_says_what_is_wrong_now(enrolled: Desk, accounts: list[Account]) -> None:
    ended = enrolled.warmup("mailbox", "check", accounts[0].address, WARMUP__NETWORK__CA_FILE="")
    assert ended.code == 69
    assert "certificate" in ended.err
