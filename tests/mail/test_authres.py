"""Authentication-Results: the standard's shape, and those that break it."""

import json
from pathlib import Path

import pytest

from warmup.mail.authres import MOST_RESULTS, AuthResults, MethodResult, read_auth_results

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "auth-results.jsonl"


def pairs(read: AuthResults) -> list[tuple[str, str]]:
    return [(result.method, result.result) for result in read.results]


def test_the_standards_own_example_is_read_whole() -> None:
    read = read_auth_results(
        'Authentication-Results: Mail.Example.org 1;\r\n dkim/1 = Pass (2048-bit key) reason="good; signature"\r\n'
        " header.i=@garden.example; SPF=fail (a (nested) remark; with signs) smtp.mailfrom=ada@shop.example"
    )
    assert read == AuthResults(
        authserv_id="mail.example.org",
        results=(
            MethodResult(
                method="dkim", result="pass", properties={"reason": "good; signature", "header.i": "@garden.example"}
            ),
            MethodResult(method="spf", result="fail", properties={"smtp.mailfrom": "ada@shop.example"}),
        ),
    )


@pytest.mark.parametrize(
    ("value", "authserv_id", "results"),
    [
        ("mx.garden.example; none", "mx.garden.example", []),
        ("mx.garden.example", "mx.garden.example", []),
        ("", None, []),
        ("ARC-Authentication-Results: i=1; mx.google.com; arc=none", "mx.google.com", [("arc", "none")]),
        (
            "spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=shop.example; garden.example; dkim=none (message not"
            " signed) header.d=none;garden.example; dmarc=pass action=none\r\n"
            " header.from=shop.example;compauth=pass reason=100",
            None,
            [("spf", "pass"), ("dkim", "none"), ("dmarc", "pass"), ("compauth", "pass")],
        ),
        (
            "mta9.mail.yahoo.test  from=shop.example; domainkeys=neutral (no sig);  from=shop.example; dkim=pass (ok)",
            "mta9.mail.yahoo.test",
            [("domainkeys", "neutral"), ("dkim", "pass")],
        ),
        (
            "mx.garden.example; dmarc=pass action=none spf=softfail",
            "mx.garden.example",
            [("dmarc", "pass"), ("spf", "softfail")],
        ),
        (
            "spf=3Dpass (x)\r\n smtp.mailfrom=3Dshop.example; dkim=3Dpass=\r\n",
            None,
            [("spf", "pass"), ("dkim", "pass")],
        ),
        (
            "mx.garden.example; spf=pass (never closed smtp.mailfrom=x; dkim=pass",
            "mx.garden.example",
            [("spf", "pass")],
        ),
    ],
)
def test_every_shape_is_read(value: str, authserv_id: str | None, results: list[tuple[str, str]]) -> None:
    read = read_auth_results(value)
    assert (read.authserv_id, pairs(read)) == (authserv_id, results)


def test_only_the_first_word_says_who_wrote_it() -> None:
    # What stands behind a property may be the sender's choice: here the envelope's.
    assert read_auth_results("spf=pass smtp.mailfrom=x mx.google.com; dkim=pass").authserv_id is None


def test_an_empty_property_does_not_eat_the_next() -> None:
    (spf,) = read_auth_results("mx; spf=none smtp.mailfrom= smtp.helo=out.shop.example").results
    assert spf.properties == {"smtp.mailfrom": "", "smtp.helo": "out.shop.example"}


def test_signs_inside_a_value_belong_to_it() -> None:
    (dkim,) = read_auth_results("mx; dkim=pass header.b=abc+/== header.s=k1").results
    assert dkim.properties == {"header.b": "abc+/==", "header.s": "k1"}


def test_what_never_ends_is_cut() -> None:
    assert len(read_auth_results("mx; " + "dkim=pass; " * 100_000).results) == MOST_RESULTS


@pytest.mark.skipif(not CORPUS.is_file(), reason=f"the labelled headers are not there: {CORPUS}")
def test_the_labelled_headers_are_read_as_labelled_and_all_others_too() -> None:
    labels = [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]
    for label in labels:
        read = read_auth_results(label["auth_results"])
        if label["results"] is not None:
            assert [list(pair) for pair in pairs(read)] == label["results"], label["id"]
    assert labels
