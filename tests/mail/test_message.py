"""What is composed reads back as it was meant, in 7 bits, and no field adds a header."""

import email
import email.policy
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.message import answering, compose

WHEN = datetime(2026, 11, 24, 9, 30, 5, tzinfo=timezone(timedelta(hours=1)))
ID = "<abcdefgh@sender.test>"
BREAKS = ["\r", "\n", "\r\n", "\0", "\u2028", "\u2029", "\u0085"]
# Whatever a person may write: no control, no separator, no surrogate.
PRINTABLE = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
LINES = st.lists(st.text(PRINTABLE | st.just("\t"), max_size=200), max_size=8)


def composed(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "sender": ("Ann Lee", "ann@sender.test"),
        "recipient": ("Bo Roy", "bo@seed.test"),
        "subject": "The back fence",
        "body": "Hello Bo,\n\nshort.\n",
        "message_id": ID,
        "date": WHEN,
    }
    return compose(**(fields | changes))


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def assert_wire_form(raw: bytes) -> None:
    assert raw.isascii()
    assert b"\0" not in raw
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


@given(subject=st.text(PRINTABLE, max_size=300))
def test_any_subject_comes_back_as_it_was_written(subject: str) -> None:
    raw = composed(subject=subject)
    assert_wire_form(raw)
    assert str(parsed(raw)["Subject"]) == subject


@given(name=st.text(PRINTABLE, max_size=120))
def test_any_display_name_leaves_one_address_and_itself(name: str) -> None:
    raw = composed(sender=(name, "ann@sender.test"))
    assert_wire_form(raw)
    (address,) = parsed(raw)["From"].addresses
    assert address.addr_spec == "ann@sender.test"
    assert "".join(address.display_name.split()) == "".join(name.split())


@given(lines=LINES)
def test_any_body_comes_back_as_it_was_written(lines: list[str]) -> None:
    body = "\n".join(lines)
    raw = composed(body=body)
    assert_wire_form(raw)
    content = parsed(raw).get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode().replace("\r\n", "\n") == (body if body.endswith("\n") else body + "\n")


@given(lines=LINES)
def test_lines_of_the_body_have_at_most_76_characters(lines: list[str]) -> None:
    _, _, body = composed(body="\n".join(lines)).partition(b"\r\n\r\n")
    assert max(len(line) for line in body.split(b"\r\n")) <= 78


@pytest.mark.parametrize("broken", BREAKS)
@pytest.mark.parametrize(
    "field", ["sender", "recipient", "subject", "message_id", "header", "in_reply_to", "references", "address", "name"]
)
def test_nothing_that_ends_a_line_passes_in_any_field(field: str, broken: str) -> None:
    evil = f"a{broken}Bcc: all@victim.test"
    cases: dict[str, dict[str, Any]] = {
        "sender": {"sender": (evil, "ann@sender.test")},
        "recipient": {"recipient": (evil, "bo@seed.test")},
        "subject": {"subject": evil},
        "message_id": {"message_id": f"<a{broken}b@sender.test>"},
        "header": {"header": ("X-Warmup-Id", evil)},
        "name": {"header": (f"X-A{broken}Bcc", "a")},
        "in_reply_to": {"in_reply_to": f"<a{broken}b@sender.test>"},
        "references": {"in_reply_to": ID, "references": (f"<a{broken}b@sender.test>",)},
        "address": {"recipient": ("Bo", f"bo{broken}@seed.test")},
    }
    with pytest.raises(ValueError):
        composed(**cases[field])


@pytest.mark.parametrize("broken", ["\r", "a\rb", "\0", "\u2028", "\u2029", "\u0085", "\x1b", "\ud800"])
def test_a_body_has_no_line_end_but_its_own(broken: str) -> None:
    with pytest.raises(ValueError):
        composed(body=f"Hello,{broken}there\n")


@pytest.mark.parametrize("name", ["Bcc", "Subject", "X-Mailer", "content-type", "Received", "X Y", "", "X:Y", "Ü"])
def test_the_identity_header_takes_no_other_header_s_place(name: str) -> None:
    with pytest.raises(ValueError):
        composed(header=(name, "abc"))


@pytest.mark.parametrize("address", ["", "ann", "a b@c.test", "<a@b.test>", "a@b.test, c@d.test", "jörg@a.test", "a@"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        composed(recipient=("Bo", address))


def test_a_naive_date_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        composed(date=datetime(2026, 11, 24, 9, 30))  # noqa: DTZ001


def test_the_date_is_spelled_in_the_sender_s_zone() -> None:
    assert b"Date: Tue, 24 Nov 2026 09:30:05 +0100\r\n" in composed()
    summer = datetime(2026, 7, 1, 12, 0, tzinfo=ZoneInfo("America/New_York"))
    assert b"Date: Wed, 01 Jul 2026 12:00:00 -0400\r\n" in composed(date=summer)
    assert b"+0000\r\n" in composed(date=WHEN.astimezone(UTC))


def test_the_same_inputs_give_the_same_bytes_and_only_known_headers() -> None:
    raw = composed(header=("X-Warmup-Id", "abc"), in_reply_to=ID)
    assert raw == composed(header=("X-Warmup-Id", "abc"), in_reply_to=ID)
    assert parsed(raw).keys() == [
        *("Date", "From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "X-Warmup-Id"),
        *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    ]


def test_without_an_identity_header_there_is_no_trace_of_us() -> None:
    assert b"warmup" not in composed().lower()


def test_an_answer_names_its_thread_and_bounds_it() -> None:
    thread = tuple(f"<m{number}@seed.test>" for number in range(40))
    message = parsed(composed(in_reply_to=thread[-1], references=thread))
    references = str(message["References"]).split()
    assert message["In-Reply-To"] == thread[-1]
    assert references == [thread[0], *thread[-9:]]


def test_an_answer_to_a_first_message_refers_to_it() -> None:
    assert parsed(composed(in_reply_to=ID))["References"] == ID


def test_references_without_an_answer_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="In-Reply-To"):
        composed(references=(ID,))


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("Roses", "Re: Roses"),
        ("Re: Roses", "Re: Roses"),
        ("RE: re: AW: Roses", "Re: Roses"),
        ("Re[2]: SV: Roses", "Re: Roses"),
        ("Réf : Roses", "Re: Réf : Roses"),
        ("Rest: Roses", "Re: Rest: Roses"),
        ("", "Re:"),
    ],
)
def test_answers_to_answers_have_one_prefix(subject: str, answer: str) -> None:
    assert answering(subject).strip() == answer
    assert answering(answering(subject)) == answering(subject)


def test_a_plain_short_text_goes_as_it_is_and_accents_go_quoted() -> None:
    assert b"Content-Transfer-Encoding: 7bit" in composed()
    assert b"Content-Transfer-Encoding: quoted-printable" in composed(body="Ein schöner Garten, Größe und Höhe.\n")
    assert b"Content-Transfer-Encoding: base64" in composed(body="Добрый день, как ваши дела сегодня?\n")


def test_a_line_that_begins_with_from_is_not_taken_for_a_new_message() -> None:
    raw = composed(body="Hello,\nFrom Monday on we walk.\n")
    assert b"\nFrom Monday" not in raw
    assert b"=46rom Monday" in raw


def test_a_name_with_a_comma_is_one_name() -> None:
    raw = composed(sender=('Lee, "Ann"', "ann@sender.test"))
    assert b'From: "Lee, \\"Ann\\"" <ann@sender.test>' in raw
    assert len(parsed(raw)["From"].addresses) == 1
