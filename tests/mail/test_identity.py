"""Only who holds the key makes an id that is believed, and only between the two addresses it was made for."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail import identity

KEYS = st.binary(min_size=16, max_size=64)
NONCES = st.binary(min_size=identity.NONCE_BYTES, max_size=identity.NONCE_BYTES)
NAMES = st.text(string.ascii_lowercase + string.digits + ".-+", min_size=1, max_size=20)
ADDRESSES = st.builds("{}@{}.test".format, NAMES, NAMES)

KEY = b"0123456789abcdef"
NONCE = b"ten bytes!"
SENDER, RECIPIENT = "ann@sender.test", "bo@seed.test"


def made(sender: str = SENDER, recipient: str = RECIPIENT) -> str:
    return identity.token(KEY, NONCE, sender=sender, recipient=recipient)


@given(KEYS, NONCES, ADDRESSES, ADDRESSES)
def test_what_we_signed_is_believed_and_gives_its_nonce_back(
    key: bytes, nonce: bytes, sender: str, recipient: str
) -> None:
    token = identity.token(key, nonce, sender=sender, recipient=recipient)
    assert identity.believed(key, token, sender=sender, recipient=recipient) == nonce


@given(KEYS, NONCES, ADDRESSES, ADDRESSES, ADDRESSES)
def test_a_token_copied_to_another_recipient_or_sender_is_not_believed(
    key: bytes, nonce: bytes, sender: str, recipient: str, stranger: str
) -> None:
    token = identity.token(key, nonce, sender=sender, recipient=recipient)
    if stranger != recipient:
        assert identity.believed(key, token, sender=sender, recipient=stranger) is None
    if stranger != sender:
        assert identity.believed(key, token, sender=stranger, recipient=recipient) is None


@given(st.integers(min_value=0, max_value=159))
def test_one_flipped_bit_anywhere_is_not_believed(bit: int) -> None:
    raw = bytearray(base64.b32decode(made().upper()))
    raw[bit // 8] ^= 1 << bit % 8
    forged = base64.b32encode(bytes(raw)).decode().lower()
    assert identity.believed(KEY, forged, sender=SENDER, recipient=RECIPIENT) is None


@given(KEYS)
def test_another_key_believes_nothing_of_ours(key: bytes) -> None:
    if key != KEY:
        assert identity.believed(key, made(), sender=SENDER, recipient=RECIPIENT) is None


@given(st.text())
def test_no_text_at_all_raises_or_is_believed(text: str) -> None:
    identity.read(text)
    assert identity.believed(KEY, text, sender=SENDER, recipient=RECIPIENT) is None


def test_addresses_that_run_together_are_told_apart() -> None:
    token = identity.token(KEY, NONCE, sender="ab", recipient="c")
    assert identity.believed(KEY, token, sender="a", recipient="bc") is None


def test_letter_case_of_addresses_changes_nothing() -> None:
    assert made() == made(sender="Ann@Sender.TEST", recipient="BO@seed.test")
    assert identity.believed(KEY, made(), sender="ANN@sender.test", recipient="bo@SEED.test") == NONCE


@pytest.mark.parametrize(
    "written",
    ["{}", "<{}@sender.test>", " <{}@sender.test> ", "{}@sender.test", "\r\n\t{}", "<{}@\r\n sender.test>", "<{}>"],
)
def test_a_token_is_read_however_a_server_spells_the_field(written: str) -> None:
    assert identity.read(written.format(made())) == made()
    assert identity.read(written.format(made().upper())) == made()


@pytest.mark.parametrize(
    "written",
    ["", "<>", "{}a", "a{}", "<{}@a> <{}@b>", "re {}", "{}@a@b", "ſ" + "a" * 31, "1" * 32, "a" * 31, "{}" + " " * 999],
)
def test_what_is_no_token_is_not_read(written: str) -> None:
    assert identity.read(written.format(made(), made())) is None


def test_a_message_id_has_no_mark_but_the_token() -> None:
    written = identity.message_id(made(), "Sender.TEST")
    assert written == f"<{made()}@sender.test>"
    assert identity.read(written) == made()
    assert len(made()) == 32


def test_a_short_key_and_a_wrong_nonce_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        identity.token(b"short", NONCE, sender=SENDER, recipient=RECIPIENT)
    with pytest.raises(ValueError, match="10 bytes"):
        identity.token(KEY, b"nine bytes"[:9], sender=SENDER, recipient=RECIPIENT)
