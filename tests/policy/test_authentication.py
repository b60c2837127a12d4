"""Whose word on SPF, DKIM and DMARC is believed, and what is made of it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.config.providers import registrable
from warmup.mail.authres import read_auth_results
from warmup.policy.authentication import Method, Receiver, Share, Vouched, failing, results_of, shares

NOW = datetime(2026, 1, 20, 8, tzinfo=UTC)
SPF, DKIM, DMARC = Method.SPF, Method.DKIM, Method.DMARC


def receiver(provider: str, domain: str = "", imap_host: str = "127.0.0.1") -> Receiver:
    return Receiver(provider=provider, domain=domain or f"{provider}.com", imap_host=imap_host, registrable=registrable)


GMAIL = receiver("gmail")
CUSTOM = receiver("corp.example", "team.corp.example", "imap.host.example")


def believed(who: Receiver, *fields: str) -> Mapping[Method, str]:
    return results_of([read_auth_results(field) for field in fields], who)


def test_the_providers_own_field_is_read() -> None:
    field = "mx.google.com; dkim=pass header.i=@one.test; spf=softfail smtp.mailfrom=a@one.test; dmarc=fail (p=NONE)"
    assert believed(GMAIL, field) == {DKIM: "pass", SPF: "softfail", DMARC: "fail"}


@pytest.mark.parametrize(
    "forged",
    [
        "mx.google.com; spf=pass; dkim=pass; dmarc=pass",  # below, under its own name
        "mx.evil.example; spf=pass; dkim=pass; dmarc=pass",
        "mx.google.com.evil.example; spf=pass; dkim=pass; dmarc=pass",
        "evil-mx.google.com; spf=pass; dkim=pass; dmarc=pass",
        "spf=pass; dkim=pass; dmarc=pass",
    ],
)
def test_what_stands_below_or_beside_is_not_believed(forged: str) -> None:
    own = "mx.google.com; spf=fail; dkim=none"
    assert believed(GMAIL, own, forged) == {SPF: "fail", DKIM: "none"}
    if not forged.startswith("mx.google.com;"):
        assert believed(GMAIL, forged, own) == {SPF: "fail", DKIM: "none"}
        assert believed(GMAIL, forged) == {}


def test_microsoft_says_no_name_and_icloud_one_a_method() -> None:
    said = "spf=pass (sender IP is 1.2.3.4) smtp.mailfrom=one.test; dkim=none (message not signed) header.d=none"
    assert believed(receiver("microsoft365"), said) == {SPF: "pass", DKIM: "none"}
    assert believed(GMAIL, said) == {}
    fields = ("bimi.icloud.com; bimi=none", "dmarc.icloud.com; dmarc=pass", "dkim-verifier.icloud.com; dkim=pass")
    assert believed(receiver("icloud"), *fields, "dkim-verifier.icloud.com; dkim=fail") == {DMARC: "pass", DKIM: "pass"}


@pytest.mark.parametrize(
    ("name", "is_own"),
    [
        ("mx1.corp.example", True),
        ("corp.example", True),
        ("mail.host.example", True),
        ("imap.host.example", True),
        ("corp.example.evil.example", False),
        ("evilcorp.example", False),
        ("1.2.3.4", False),
        ("localhost", False),
    ],
)
def test_a_server_we_do_not_know_is_known_by_its_registrable_domain(name: str, *, is_own: bool) -> None:
    assert CUSTOM.wrote(name) is is_own
    assert not CUSTOM.wrote(None)


def test_an_address_literal_is_nobodys_registrable_domain() -> None:
    assert not receiver("x.example", "x.example", "10.0.0.1").wrote("6.6.0.1")


def test_one_good_signature_is_enough() -> None:
    assert believed(GMAIL, "mx.google.com; dkim=fail header.d=list.example; dkim=pass header.d=one.test") == {
        DKIM: "pass"
    }


def vouched(results: Sequence[Mapping[Method, str]]) -> list[Vouched]:
    first = NOW - len(results) * timedelta(hours=1)
    return [Vouched(at=first + n * timedelta(hours=1), results=said) for n, said in enumerate(results)]


def test_a_method_fails_where_most_of_its_last_results_are_failures() -> None:
    good, bad = {SPF: "pass", DKIM: "pass"}, {SPF: "pass", DKIM: "fail"}
    assert failing(vouched([bad] * 2), NOW, "gmail") is None
    assert failing(vouched([bad] * 3), NOW, "gmail") == "DKIM fails at gmail (3 of the last 3)"
    assert failing(vouched([good] * 20 + [bad] * 5), NOW, "gmail") == "DKIM fails at gmail (5 of the last 8)"
    assert failing(vouched([bad] * 20 + [good] * 4), NOW, "gmail") is None
    assert failing(vouched([bad] * 8), NOW + timedelta(days=15), "gmail") is None


def test_mail_that_nobody_vouches_for_is_unauthenticated_and_no_policy_is_no_failure() -> None:
    bare = {SPF: "none", DKIM: "none", DMARC: "none"}
    assert failing(vouched([bare] * 4), NOW, "gmx") == "neither SPF nor DKIM vouches for it at gmx (4 of the last 4)"
    assert failing(vouched([{SPF: "pass", DKIM: "none", DMARC: "none"}] * 4), NOW, "gmx") is None
    assert failing(vouched([{DKIM: "temperror"}] * 8), NOW, "gmx") is None


def test_shares_count_what_was_said() -> None:
    found = shares([({SPF: "pass", DKIM: "fail"}, 3), ({SPF: "temperror", DKIM: "pass"}, 1)])
    assert found == {SPF: Share(passed=3, n=3), DKIM: Share(passed=1, n=4)}
    assert found[DKIM].ratio == 0.25


@given(st.lists(st.text(max_size=200), max_size=5))
def test_whatever_is_written_gives_known_methods_or_nothing(fields: list[str]) -> None:
    for who in (GMAIL, CUSTOM, receiver("microsoft365"), receiver("icloud")):
        assert set(believed(who, *fields)) <= set(Method)
