"""Bytes into responses: any cut, any bytes, bounded."""

import contextlib
from datetime import UTC
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.effort import least_seconds
from warmup.mail.folder import Special
from warmup.wire.errors import ProtocolError, TooLarge
from warmup.wire.imap_fetch import folders, parse_internaldate, searched, sequence_set
from warmup.wire.imap_syntax import Atom, Response, ResponseReader, parse_values, values_of

STREAM = (
    b"* OK ready {5}\r\n"
    b"* 1 FETCH (UID 7 BODY[] {11}\r\nline\r\n* OK )\r\n"
    b'* LIST () "/" {6}\r\nA)"(\r\n x\r\n'
    b"* LIST () NIL {0}\r\n\r\n"
    b"A1 OK done\r\n"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_however_the_stream_is_cut_the_responses_are_the_same(cuts: list[int]) -> None:
    whole = ResponseReader().feed(STREAM)
    reader = ResponseReader()
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(places)]
    assert [response for piece in pieces for response in reader.feed(piece)] == whole
    assert [response.parts for response in whole] == [
        (b"* OK ready {5}",),
        (b"* 1 FETCH (UID 7 BODY[] ", b"line\r\n* OK ", b")"),
        (b'* LIST () "/" ', b'A)"(\r\n', b" x"),
        (b"* LIST () NIL ", b"", b""),
        (b"A1 OK done",),
    ]


@given(st.lists(st.binary(max_size=200) | st.sampled_from([b"\r\n", b"{3}\r\n", b'"', b"(", b"* 1 FETCH ("])))
def test_any_bytes_are_read_or_refused(pieces: list[bytes]) -> None:
    reader = ResponseReader()
    try:
        responses = [response for piece in pieces for response in reader.feed(piece)]
    except TooLarge:
        return
    for response in responses:
        assert response.name.isupper() or response.name == ""
        try:
            values = response.values
        except ProtocolError:
            continue
        assert isinstance(values, list)
    searched(responses)


def test_brackets_without_end_are_refused_and_not_followed() -> None:
    with pytest.raises(ProtocolError, match="nests"):
        parse_values((b"(" * 100_000,))
    assert parse_values((b")" * 1000 + b"a",)) == [Atom(b"a")]


@pytest.mark.parametrize(
    "text",
    [
        b" " * 120_000,
        b'"' * 120_000,
        b'"' + b"\\a" * 60_000,
        b"BODY[ " * 20_000,
        b"BODY[" + b"x" * 120_000,
        b'"" ' * 40_000,
    ],
)
def test_any_line_is_read_or_refused_in_a_blink(text: bytes) -> None:
    def read() -> None:
        with contextlib.suppress(ProtocolError):
            parse_values((text,))

    assert least_seconds(read) < 0.2


def test_more_values_than_an_answer_has_are_refused() -> None:
    with pytest.raises(ProtocolError, match="values"):
        parse_values((b"a " * 20_000,))
    with pytest.raises(ProtocolError, match="line"):
        parse_values((b"a" * 200_000,))
    with pytest.raises(ProtocolError, match="FETCH"):
        list(values_of([Response((b"* 1 FETCH (" + b"a" * 100_000 + b")",))] * 50, "FETCH"))


def test_lines_that_say_nothing_count_too() -> None:
    for piece in (b"\r\n", b"{0}\r\n"):
        with pytest.raises(TooLarge):
            feed_often(ResponseReader(), piece * 10_000, times=20)


def test_a_line_without_end_is_refused() -> None:
    reader = ResponseReader()
    with pytest.raises(TooLarge):
        feed_often(reader, b"x" * 65_536, times=200)


def test_what_one_command_may_take_is_bounded_and_counted_anew_for_the_next() -> None:
    reader = ResponseReader()
    message = b"* 1 FETCH (BODY[] {60000}\r\n" + b"x" * 60_000 + b")\r\n"
    for _ in range(4):
        reader.next_command()
        for _ in range(200):
            assert len(reader.feed(message)) == 1
    with pytest.raises(TooLarge):
        feed_often(reader, message, times=400)


def feed_often(reader: ResponseReader, data: bytes, *, times: int) -> None:
    for _ in range(times):
        reader.feed(data)


def test_values_tell_words_strings_lists_and_nil_apart() -> None:
    text = b'(UID 7 NIL "NIL" "a\\"b\\\\" (x (y)) BODY[HEADER.FIELDS (A "B" C)]<0> "unended'
    assert parse_values((text,)) == [
        [
            Atom(b"UID"), Atom(b"7"), None, b"NIL", b'a"b\\', [Atom(b"x"), [Atom(b"y")]],
            Atom(b'BODY[HEADER.FIELDS (A "B" C)]<0>'), b"unended",
        ]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("17-Jul-1996 02:44:25 -0700", "1996-07-17T09:44:25+00:00"),
        (" 1-jan-2026 00:00:00 +0530", "2025-12-31T18:30:00+00:00"),
        ("1-Jan-2026 23:59:60 +0000", "2026-01-01T23:59:59+00:00"),
        ("31-Dec-9999 23:59:59 -1200", None),
        ("30-Feb-2026 00:00:00 +0000", None),
        ("1-Foo-2026 00:00:00 +0000", None),
        ("", None),
    ],
)
def test_an_internal_date_is_an_instant_in_utc_or_none(text: str, instant: str | None) -> None:
    found = parse_internaldate(text)
    assert (found.isoformat() if found else None) == instant
    assert found is None or found.tzinfo is UTC


@given(st.text(max_size=40) | st.from_regex(r"\d{1,2}-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}", fullmatch=True))
def test_no_internal_date_raises(text: str) -> None:
    found = parse_internaldate(text)
    assert found is None or found.utcoffset() is not None


def test_folders_are_read_whatever_way_they_are_listed() -> None:
    lines = [
        b'* LIST (\\HasNoChildren) "/" INBOX',
        b'* LIST (\\HasNoChildren \\Junk) "/" "[Gmail]/Spam"',
        b'* LIST (\\Sent) "/" [Gmail]/Gesendet',
        b'* LIST () NIL "flat"',
        b'* LIST () "." Entw&APw-rfe',
        b"* LIST () \"\\\\\" \"back\\\\slash\" (\"CHILDINFO\" (\"SUBSCRIBED\"))",
        b'* LIST (\\HasNoChildren) "/" inbox',
        b"* LIST rubbish",
        b'* LIST () "/" ""',
        b'* LIST () "." NIL',
    ]  # fmt: skip
    responses = [Response((line,)) for line in lines] + [Response((b'* LIST () "/" ', b"li(te)ral", b""))]
    found = {folder.name: folder for folder in folders(responses)}
    assert set(found) == {
        "INBOX",
        "[Gmail]/Spam",
        "[Gmail]/Gesendet",
        "flat",
        "Entwürfe",
        "back\\slash",
        "li(te)ral",
        "NIL",
    }
    assert found["[Gmail]/Spam"].special_use is Special.JUNK
    assert found["[Gmail]/Gesendet"].special_use is Special.SENT
    assert found["flat"].delimiter is None
    assert found["back\\slash"].leaf == "slash"


@given(st.sets(st.integers(1, 60)))
def test_a_sequence_set_names_every_uid_and_no_other(uids: set[int]) -> None:
    named: list[int] = []
    for part in sequence_set(uids).split(",") if uids else []:
        start, _, end = part.partition(":")
        named.extend(range(int(start), int(end or start) + 1))
    assert named == sorted(uids)


def test_search_answers_are_numbers_in_order_each_once() -> None:
    lines = (b"* SEARCH 3 1", b"* search 2 x 99999999999", b"* SEARCH", b"* 4 EXISTS", b"* SEARCH 3")
    assert searched([Response((line,)) for line in lines]) == (1, 2, 3)
