"""A mailbox's own hours, holidays and profile, and a ramp that begins where its Sent folder shows it is."""

import imaplib
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Account, Desk


def shown(desk: Desk, account: Account) -> dict[str, object]:
    """What `mailbox show` says of it."""
    found = desk.warmup("mailbox", "show", account.address, "--json").document
    return {name: found[name] for name in ("hours", "holidays", "profile", "first_level")}


def sent_before(account: Account, each: int) -> None:
    """`each` messages of its own in Sent on every weekday of the last four weeks."""
    context = ssl.create_default_context(cafile=account.ca_file)
    with imaplib.IMAP4_SSL("127.0.0.1", account.imaps_port, ssl_context=context) as imap:
        imap.login(account.address, account.password)
        for back in range(1, 29):
            at = datetime.now(UTC) - timedelta(days=back)
            for number in range(each if at.weekday() < 5 else 0):
                raw = f"Message-ID: <{back}-{number}@own.test>\r\nSubject: hello\r\n\r\nText.\r\n".encode()
                done, _ = imap.append("Sent", None, imaplib.Time2Internaldate(at), raw)
                assert done == "OK"


def test_hours_holidays_and_profile_are_kept_as_they_were_said(trusting: Desk, accounts: list[Account]) -> None:
    own = ("--weekdays", "mon,tue,sat", "--hours", "07:30-12:00", "--holidays", "de-by", "--profile", "learned")
    ended = trusting.warmup(
        "mailbox",
        "add",
        accounts[0].address,
        *accounts[0].servers,
        *own,
        "--password-stdin",
        stdin=accounts[0].password,
    )
    assert ended.code == 0, ended.err
    hours = {"days": ["mon", "tue", "sat"], "start": "07:30", "end": "12:00"}
    assert shown(trusting, accounts[0]) == {
        "hours": hours,
        "holidays": "DE-BY",
        "profile": "learned",
        "first_level": 1,
    }
    assert (
        trusting.warmup("mailbox", "set", accounts[0].address, "--holidays", "none", "--hours", "09:00-17:00").code == 0
    )
    assert shown(trusting, accounts[0])["hours"] == {**hours, "start": "09:00", "end": "17:00"}
    assert shown(trusting, accounts[0])["holidays"] == ""
    assert (
        "mon tue sat 09:00 to 17:00, no holidays, learned"
        in trusting.warmup("mailbox", "show", accounts[0].address).out
    )


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--weekdays", "mon,someday", "someday is no weekday"),
        ("--hours", "9 to 5", "is no span of hours"),
        ("--hours", "17:00-09:00", "must open before it closes"),
        ("--hours", "09:00-25:00", "is not a time of day"),
        ("--holidays", "XX", "there are no holidays of"),
        ("--holidays", "DE-XX", 'has no part "XX"'),
    ],
)
def test_what_cannot_be_kept_is_65_and_nothing_is_saved(
    ready: Desk, accounts: list[Account], option: str, value: str, said: str
) -> None:
    ended = ready.warmup("mailbox", "add", accounts[0].address, *accounts[0].servers, option, value, "--no-verify")
    assert (ended.code, len(ended.errors)) == (65, 1)
    assert said in ended.err
    assert ready.addresses() == []


def test_a_ramp_begins_where_the_sent_folder_shows_it_is(trusting: Desk, accounts: list[Account]) -> None:
    account = accounts[2]
    sent_before(account, 9)
    ended = trusting.warmup(
        "mailbox",
        "add",
        account.address,
        *account.servers,
        "--start",
        "auto",
        "--password-stdin",
        stdin=account.password,
    )
    assert ended.code == 0, ended.err
    assert "the ramp begins at level 5, 9 a day" in ended.err
    assert shown(trusting, account)["first_level"] == 5
    first = trusting.warmup("plan", account.address, "--days", "7", "--json").document["days"]
    assert {day["ceiling"] for day in first if day["active"]} >= {9}

    # Another ramp has other levels: it begins anew, unless it is asked for again.
    assert trusting.warmup("mailbox", "set", account.address, "--ramp", "careful").code == 0
    assert shown(trusting, account)["first_level"] == 1
    ended = trusting.warmup("mailbox", "set", account.address, "--start", "auto")
    assert (ended.code, shown(trusting, account)["first_level"]) == (0, 4)
    assert "8 a day" in ended.err


def test_start_auto_needs_a_login(ready: Desk, accounts: list[Account]) -> None:
    account = accounts[0]
    ended = ready.warmup("mailbox", "add", account.address, *account.servers, "--start", "auto", "--no-verify")
    assert (ended.code, ready.addresses()) == (2, [])
