"""The reply inside words, whoever tells of it."""

import pytest

from warmup.mail.diagnostic import read_diagnostic


@pytest.mark.parametrize(
    ("told", "code", "status", "text"),
    [
        ("550 5.1.1 no such user", 550, "5.1.1", "no such user"),
        ("550-5.1.1 no such user\r\n550 5.1.1 here", 550, "5.1.1", "no such user here"),
        ("smtp; 550-5.1.1 no such 550-5.1.1 user 550 5.1.1 here", 550, "5.1.1", "no such user here"),
        ("smtp;550 5.1.1 no such user", 550, "5.1.1", "no such user"),
        ("550 no such user (#5.1.1)", 550, "5.1.1", "no such user (#5.1.1)"),
        (
            "X-Postfix; host mx[192.0.2.1] said: 554 5.6.0 spam (in reply to end of DATA command)",
            554,
            "5.6.0",
            "spam (in reply to end of DATA command)",
        ),
        (
            "#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##",
            550,
            "5.1.1",
            "RESOLVER.ADR.RecipNotFound; not found ##",
        ),
        ("Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1 user unknown", 550, "5.1.1", "user unknown"),
        ("5.2.2 mailbox full", -1, "5.2.2", "mailbox full"),
        ("Connection timed out", -1, None, "Connection timed out"),
        (
            "connect to mx[192.0.2.1]:25: Connection refused",
            -1,
            None,
            "connect to mx[192.0.2.1]:25: Connection refused",
        ),
        ("550 4.4.7 message expired", 550, None, "message expired"),  # RFC 2034 4: classes must agree
        ("x-unix; 67", -1, None, "exit status 67"),
        ("421 4.3.2.1 is an address", 421, None, "4.3.2.1 is an address"),
        ("", -1, None, ""),
        ("\x1b[31m550 \x00", -1, None, "?[31m550 ?"),
    ],
)
def test_code_status_and_words_are_found(told: str, code: int, status: str | None, text: str) -> None:
    reply = read_diagnostic(told)
    assert (reply.code, reply.status, reply.text) == (code, status, text)


def test_a_reports_own_status_is_believed_where_the_words_have_none() -> None:
    assert read_diagnostic("550 no", status="5.1.1 (bad address)").status == "5.1.1"
    assert read_diagnostic("550 5.2.2 full", status="5.0.0").status == "5.2.2"
