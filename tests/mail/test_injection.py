"""Whatever is put into a field, also out of received mail, adds no header, ends no line and changes no other field."""

import email
import email.policy
import re
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.header import parse_header_block
from warmup.mail.message import compose, is_message_id

WHEN = datetime(2026, 11, 24, 9, 30, 5, tzinfo=UTC)
OURS = "<abcdefgh@sender.test>"
KNOWN = ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"]
REPLY = [*KNOWN[:5], "In-Reply-To", "References", "X-Warmup-Id", *KNOWN[5:]]
BREAKS = ["\r", "\n", "\r\n", "\0", "\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f"]
HOSTILE = [
    *BREAKS,
    "Bcc: all@victim.test",
    "\r\n\r\nbody",
    "=?utf-8?q?=0D=0ABcc:_x=40y.test?=",
    "<",
    ">",
    '"',
    "\\",
    ",",
]
TEXT = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=6), max_size=12).map("".join)
ID = st.builds("<{}@{}>".format, TEXT, TEXT) | TEXT | st.just(OURS)
# What a mail server may hand to us as a header block: lines with our field names, and anything behind them.
FIELD = st.sampled_from(["Message-ID", "In-Reply-To", "References", "From", "Subject", "X-Warmup-Id", "Received"])
BLOCK = st.lists(st.builds("{}: {}\r\n".format, FIELD, ID), max_size=8).map(
    lambda lines: "".join(lines).encode("utf-8", "surrogatepass")
)


def composed(**changes: Any) -> bytes | None:
    """The message, or None where compose refused to spell it."""
    fields: dict[str, Any] = {
        "sender": ("Ann Lee", "ann@sender.test"),
        "recipient": ("Bo Roy", "bo@seed.test"),
        "subject": "The back fence",
        "body": "Hello Bo,\n\nshort.\n",
        "message_id": OURS,
        "date": WHEN,
    }
    try:
        return compose(**(fields | changes))
    except ValueError:
        return None


def names(raw: bytes) -> list[str]:
    """The header fields as a lax reader sees them: a line ends wherever any program lets it end."""
    head, _, _ = raw.partition(b"\r\n\r\n")
    lines = re.split(r"[\r\n\x00\x0b\x0c\x1c-\x1f\x85\u2028\u2029]++(?![ \t])", head.decode("utf-8"))
    return [line.partition(":")[0] for line in lines]


def assert_untouched(raw: bytes, known: list[str]) -> None:
    assert raw.isascii()
    assert names(raw) == known
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert parsed.keys() == known
    assert parsed["Message-ID"] == OURS
    assert [address.addr_spec for address in parsed["To"].addresses] == ["bo@seed.test"]
    assert [address.addr_spec for address in parsed["From"].addresses] == ["ann@sender.test"]
    assert "Bcc" not in parsed
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"\r" not in (head + body).replace(b"\r\n", b"")
    assert b"\n" not in (head + body).replace(b"\r\n", b"")


@given(sender=TEXT, recipient=TEXT, subject=TEXT)
def test_names_and_subjects_add_no_header(sender: str, recipient: str, subject: str) -> None:
    changes = {"sender": (sender, "ann@sender.test"), "recipient": (recipient, "bo@seed.test"), "subject": subject}
    raw = composed(**changes)
    if raw is not None:
        assert_untouched(raw, KNOWN)
    # Refused means that one of them could end a line: nothing else is refused.
    assert (raw is None) == any(is_breaking(text) for text in (sender, recipient, subject))


def is_breaking(text: str) -> bool:
    return any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or char in "\u2028\u2029" for char in text) or any(
        "\ud800" <= char <= "\udfff" for char in text
    )


@given(answered=ID, references=st.lists(ID, max_size=4))
def test_ids_add_no_header(answered: str, references: list[str]) -> None:
    raw = composed(in_reply_to=answered, references=tuple(references), header=("X-Warmup-Id", "abc"))
    assert (raw is not None) == all(is_message_id(each) for each in (answered, *references))
    if raw is not None:
        assert_untouched(raw, REPLY)


@given(value=TEXT)
def test_the_identity_header_s_value_adds_no_header(value: str) -> None:
    raw = composed(in_reply_to=OURS, header=("X-Warmup-Id", value))
    assert (raw is not None) == (value.isascii() and value.isprintable() and value.strip() != "")
    if raw is not None:
        assert_untouched(raw, REPLY)


@given(block=BLOCK | st.binary(max_size=300))
def test_an_answer_to_any_received_header_is_one_message(block: bytes) -> None:
    header = parse_header_block(block)
    received = [each for each in (header.message_id, header.in_reply_to, *header.references) if each]
    for answered in received:
        raw = composed(in_reply_to=answered, references=tuple(received), header=("X-Warmup-Id", "abc"))
        assert raw is not None or not all(is_message_id(each) for each in received)
        if raw is not None:
            assert_untouched(raw, REPLY)


@given(body=TEXT)
def test_a_body_is_one_body(body: str) -> None:
    raw = composed(body=body)
    if raw is not None:
        assert_untouched(raw, KNOWN)
        assert max(len(line) for line in raw.split(b"\r\n")) <= 998
