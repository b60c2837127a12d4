"""Codes and text out of raw replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.answer import Reply
from warmup.mail.status import GARBLED, read_reply, reply_of, split_status


@pytest.mark.parametrize(
    ("raw", "code", "status", "text"),
    [
        (b"250 2.0.0 Ok: queued as 4F1\r\n", 250, "2.0.0", "Ok: queued as 4F1"),
        (b"550-5.1.1 The email account\r\n550-5.1.1 does not exist\r\n550 5.1.1 here\r\n", 550, "5.1.1",
         "The email account does not exist here"),
        ("421 4.7.0 [10.0.0.1 12] try later", 421, "4.7.0", "[10.0.0.1 12] try later"),
        ("550 5.7.515 Access denied", 550, "5.7.515", "Access denied"),
        ("452-4.2.2 full\n452 see help", 452, "4.2.2", "full see help"),
        ("550 No such user", 550, None, "No such user"),
        ("250", 250, None, ""),
        ("550 4.2.1 contradicts itself", 550, None, "4.2.1 contradicts itself"),
        ("550 5.1.1.2 is no status", 550, None, "5.1.1.2 is no status"),
        ("554 5.7.1: spam", 554, "5.7.1", "spam"),
        ("hello", GARBLED, None, "hello"),
        ("199 what", GARBLED, None, "199 what"),
        (b"\xff\xfe", GARBLED, None, "\ufffd\ufffd"),
        ("", GARBLED, None, ""),
    ],
)  # fmt: skip
def test_a_raw_reply_is_read_into_its_parts(raw: bytes | str, code: int, status: str | None, text: str) -> None:
    assert read_reply(raw) == Reply(code=code, status=status, text=text)


def test_a_garbled_reply_is_neither_yes_nor_no() -> None:
    reply = read_reply("nonsense")
    assert [reply.is_positive, reply.is_transient, reply.is_permanent] == [False, False, False]


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert reply_of(550, "5.1.1 \x1b[2Jgone\x07").text == "?[2Jgone?"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_into_one_printable_line(raw: bytes) -> None:
    reply = read_reply(raw)
    assert reply.code == GARBLED or 200 <= reply.code < 600
    assert reply.text.isprintable()
    assert reply.status is None or reply.status[0] == str(reply.code)[0]


@given(
    st.integers(200, 599), st.sampled_from([2, 4, 5]), st.integers(0, 999), st.integers(0, 999),
    st.lists(st.text(st.characters(categories=["L"]), min_size=1, max_size=9), min_size=1, max_size=4),
)  # fmt: skip
def test_a_status_is_found_where_it_agrees_with_the_code(
    code: int, klass: int, subject: int, detail: int, lines: list[str]
) -> None:
    status = f"{klass}.{subject}.{detail}"
    last = len(lines) - 1
    raw = "\r\n".join(f"{code}{' ' if n == last else '-'}{status} {line}" for n, line in enumerate(lines))
    agrees = str(code)[0] == str(klass)
    assert read_reply(raw).status == (status if agrees else None)
    assert split_status(f"{status} text") == (status, "text")
