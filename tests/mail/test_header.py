"""Foreign headers give values or nothing, never an exception and never a long wait."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.effort import least_seconds
from warmup.mail.header import MOST_BYTES, Header, parse_header_block

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "odd-mail"


def test_an_ordinary_header_is_read_whole() -> None:
    header = parse_header_block(
        b"Return-Path: <Ann@Sender.test>\r\n"
        b"Message-ID:\r\n <abc@sender.test>\r\n"
        b'From: "Lee, Ann" <Ann@Sender.TEST>\r\n'
        b"In-Reply-To: <a@b.test>\r\nReferences: <r@b.test>\r\n <a@b.test>\r\n"
        b"X-Warmup-Id: abcdef\r\nAuto-Submitted: No\r\n"
        b'Content-Type: Multipart/Report; Report-Type="delivery-status"; boundary=x\r\n\r\nbody'
    )
    assert header == Header(
        message_id="<abc@sender.test>",
        from_address="ann@sender.test",
        identity="abcdef",
        in_reply_to="<a@b.test>",
        references=("<r@b.test>", "<a@b.test>"),
        content_type="multipart/report",
        report_type="delivery-status",
        return_path="ann@sender.test",
        auto_submitted="no",
    )


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (b"ann@a.test", "ann@a.test"),
        (b"<Ann@A.test>", "ann@a.test"),
        (b"Ann (at home (really)) <ann@a.test>", "ann@a.test"),
        (b'"boss@bank.test" <ann@a.test>', "ann@a.test"),
        (b'"<boss@bank.test>" <ann@a.test>', "ann@a.test"),
        (b"(boss@bank.test) ann@a.test", "ann@a.test"),
        (b"=?utf-8?q?J=C3=B6rg?= <ann@a.test>", "ann@a.test"),
        (b"J\xf6rg <ann@a.test>", "ann@a.test"),
        (b"<@relay.test:ann@a.test>", "ann@a.test"),
        (b"ann@a.test, bo@b.test", None),
        (b"Ann <ann@a.test>, Bo <bo@b.test>", None),
        (b"nobody", None),
        (b"", None),
    ],
)
def test_the_author_is_the_one_address_outside_of_names(written: bytes, address: str | None) -> None:
    assert parse_header_block(b"From: " + written + b"\r\n\r\n").from_address == address


def test_two_from_fields_are_no_author() -> None:
    assert parse_header_block(b"From: a@a.test\r\nFrom: b@b.test\r\n\r\n").from_address is None


def test_the_null_reverse_path_is_not_an_absent_one() -> None:
    assert parse_header_block(b"Return-Path: <>\r\n\r\n").return_path == ""
    assert parse_header_block(b"From: a@a.test\r\n\r\n").return_path is None


def test_the_identity_header_may_have_another_name_or_none() -> None:
    raw = b"X-Own: abc\r\nX-Warmup-Id: def\r\n\r\n"
    assert parse_header_block(raw, identity_header="x-own").identity == "abc"
    assert parse_header_block(raw, identity_header=None).identity is None


def test_a_message_id_without_brackets_gets_them() -> None:
    assert parse_header_block(b"Message-ID: abc@a.test\r\n\r\n").message_id == "<abc@a.test>"


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_value(raw: bytes) -> None:
    assert isinstance(parse_header_block(raw), Header)


@given(st.sampled_from([b"From", b"Message-ID", b"Content-Type", b"Return-Path", b"References"]), st.binary())
def test_any_value_of_a_field_we_read_gives_a_value(name: bytes, value: bytes) -> None:
    assert isinstance(parse_header_block(name + b": " + value + b"\r\n\r\n"), Header)


@pytest.mark.parametrize(
    "raw",
    [
        b"From: " + b"(" * 1_000_000,
        b"From: " + b'"\\' * 500_000,
        b"From: " + b"<a@" * 300_000,
        b"From: " + b"a@a.test," * 200_000,
        b"X: y\r\n" * 200_000,
        b"References: " + b"<a@b>\r\n " * 200_000,
        b"Content-Type: text/plain" + b";a=b" * 300_000,
        b" \r\n" * 400_000,
        b"From" * 400_000,
    ],
    ids=["comments", "quotes", "angles", "authors", "fields", "references", "parameters", "blanks", "no colon"],
)
def test_hostile_headers_take_bounded_time(raw: bytes) -> None:
    assert len(raw) > MOST_BYTES
    assert least_seconds(lambda: parse_header_block(raw)) < 1.0


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"odd mail is not here: {CORPUS}")
def test_all_odd_mail_is_read_without_an_exception() -> None:
    messages = sorted(CORPUS.iterdir())
    assert messages
    for message in messages:
        raw = message.read_bytes()
        assert isinstance(parse_header_block(raw), Header)
        assert least_seconds(partial(parse_header_block, raw)) < 0.2


@pytest.mark.parametrize("value", ['"' + '\\"' * 4000, "a" * 8000, "a@" * 4000, "<" * 8000, "(" * 8000, '"a' * 4000])
def test_an_odd_author_takes_a_blink(value: str) -> None:
    raw = f"From: {value}\r\n".encode()
    assert least_seconds(lambda: parse_header_block(raw)) < 0.02


def test_a_quote_that_never_ends_hides_what_follows_it() -> None:
    assert parse_header_block(b'From: "Ann <ann@sender.test>\r\n').from_address is None
    assert parse_header_block(b'From: "Ann" <ann@sender.test>\r\n').from_address == "ann@sender.test"
