"""A message taken apart: any line ends, any boundary, any character set, and never for long."""

import base64

import pytest

from warmup.mail.parts import MOST_PARTS, leaves, message

MIXED = (
    b'Subject: x\nContent-Type: multipart/mixed; boundary="b 1"\n\npreamble\n--b 1\nContent-Type: text/plain\n\none\n'
    b"--b 1\nContent-Type: text/html\n\n<style>p {}</style><p>two<br>three &amp; four</p>\n--b 1--\nepilogue\n"
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_is_a_line_end(end: bytes) -> None:
    one, two = leaves(message(MIXED.replace(b"\n", end)))
    assert (one.content_type, one.text().strip()) == ("text/plain", "one")
    assert (two.content_type, two.text().split()) == ("text/html", ["two", "three", "&", "four"])


def test_a_boundary_that_no_header_announces_is_found() -> None:
    raw = (
        b"From: x\n\nThis is MIME.\n--odd/1\nContent-Type: text/plain\n\nhere\n"
        b"--odd/1\nContent-Type: message/delivery-status\n\nAction: failed\n"
    )
    assert [part.content_type for part in leaves(message(raw))] == ["text/plain", "message/delivery-status"]


def test_an_enclosed_message_is_not_entered() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n" + MIXED + b"--b--\n"
    (inner,) = leaves(message(raw))
    assert inner.content_type == "message/rfc822"


@pytest.mark.parametrize(
    ("charset", "said", "text"),
    [
        ("utf-8", "größer".encode(), "größer"),
        ("iso-8859-1", "größer".encode("latin-1"), "größer"),
        ("iso-2022-jp", "宛先".encode("iso-2022-jp"), "宛先"),
        ("uft-8", "größer".encode(), "größer"),
        ("utf-8", "größer".encode("latin-1"), "gr��er"),
        ("idna", b"plain", "plain"),
        ("zip", b"plain", "plain"),
    ],
)
def test_text_is_read_in_its_character_set_or_the_likeliest(charset: str, said: bytes, text: str) -> None:
    raw = f"Content-Type: text/plain; charset={charset}\n\n".encode() + said
    assert message(raw).text() == text


def test_transfer_encodings_are_undone_and_broken_ones_left() -> None:
    encoded = b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes("für dich\r\n".encode())
    assert message(encoded).text() == "für dich\n"
    assert message(b"Content-Transfer-Encoding: quoted-printable\n\na=3Db=\nc").text() == "a=bc"
    assert message(b"Content-Transfer-Encoding: base64\n\nA").text() == "A"


def test_encoded_words_are_words() -> None:
    part = message(b"Subject: =?utf-8?q?Unzustellbar=3A?= =?utf-8?b?IGbDvHI=?= dich =?x-none?q?a?=\n\n")
    assert part.words("subject") == "Unzustellbar: für dich a"


def test_depth_and_number_of_parts_are_bounded() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level) for level in range(200))
    assert len(leaves(message(deep))) <= MOST_PARTS
    wide = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 10_000
    assert len(leaves(message(wide))) <= MOST_PARTS
