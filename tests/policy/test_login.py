"""What refuses a login, as `explain` reads it too, and when a refused one is not tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.answer import Reply
from warmup.mail.status import read_reply
from warmup.policy.blame import Cause, blame
from warmup.policy.login import is_refused, is_spent, login_is_refused
from warmup.policy.mailbox import Protocol

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP


@pytest.mark.parametrize(
    ("refusals", "spent"),
    [
        ({}, set()),
        ({SMTP: 1}, set()),
        ({SMTP: 2}, {SMTP}),
        ({SMTP: 1, IMAP: 1}, {SMTP, IMAP}),
        ({SMTP: 2, IMAP: 1}, {SMTP, IMAP}),
    ],
)
def test_two_refusals_spend_the_doors_that_refused(refusals: dict[Protocol, int], spent: set[Protocol]) -> None:
    assert {protocol for protocol in Protocol if is_spent(refusals, protocol)} == spent


@given(st.lists(st.sampled_from(Protocol), max_size=20))
def test_no_order_of_knocking_makes_more_than_three_refusals(knocks: list[Protocol]) -> None:
    refusals: dict[Protocol, int] = {}
    for protocol in knocks:
        if not is_spent(refusals, protocol):
            refusals[protocol] = refusals.get(protocol, 0) + 1
    assert sum(refusals.values()) <= 3
    assert max(refusals.values(), default=0) <= 2


@pytest.mark.parametrize(
    ("said", "cause", "refused"),
    [
        ("535 5.7.8 Username and Password not accepted", Cause.CREDENTIALS, True),
        ("550 5.7.30 Basic authentication is not supported for Client Submission", Cause.CREDENTIALS, True),
        ("432 4.7.12 A password transition is needed", Cause.CREDENTIALS, True),
        ("454 4.7.0 Temporary authentication failure: Connection lost to authentication server", Cause.SYSTEM, False),
        ("535 5.7.8 Error: authentication failed: Connection lost to authentication server", Cause.SYSTEM, False),
        ("454 4.7.0 Cannot authenticate due to a temporary system problem. Try again later.", Cause.SYSTEM, False),
        ("454 4.7.0 Too many login attempts, please try again later.", Cause.RATE, False),
    ],
)
def test_explain_and_the_doors_read_a_no_to_a_login_alike(said: str, cause: Cause, refused: bool) -> None:
    reply = read_reply(said)
    assert blame(reply).cause is cause
    assert is_refused(reply) is login_is_refused(reply) is refused


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("Invalid user name or password, please try again", True),
        ("LOGIN failed.", True),
        ("no", True),
        ("Temporary authentication failure", False),
        ("Too many simultaneous connections", False),
        ("overloaded", False),
    ],
)
def test_a_no_without_a_number_is_for_good_unless_it_asks_for_time(said: str, refused: bool) -> None:
    assert login_is_refused(Reply(code=-1, text=said)) is refused


@given(code=st.integers(400, 599), text=st.text(max_size=40))
def test_a_no_for_now_is_about_the_credentials_only_in_so_many_words(code: int, text: str) -> None:
    reply = Reply(code=code, text=text)
    assert login_is_refused(reply) or not is_refused(reply)
    assert code >= 500 or login_is_refused(reply) is is_refused(reply)
