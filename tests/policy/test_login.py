"""When a refused login is not tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.login import is_spent
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
