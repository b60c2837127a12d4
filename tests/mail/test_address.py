"""Addresses in one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.address import (
    AddressError,
    account_form,
    ascii_domain,
    ascii_form,
    domain_of,
    needs_smtputf8,
    parse_address,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@sender.test", "ann@sender.test"),
        (" Ann.Lee+news@Sender.TEST\n", "Ann.Lee+news@sender.test"),
        ("jörg@süd.example.org", "jörg@xn--sd-xka.example.org"),
        ("joerg@xn--sd-xka.example.org", "joerg@xn--sd-xka.example.org"),
    ],
)
def test_an_address_is_kept_with_its_domain_in_one_spelling(text: str, address: str) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "ann", "ann@", "@sender.test", "a b@sender.test", "ann@sender", "ann@-.test", "ann@a..test", "a@b@c.test",
     "Ann <ann@sender.test>", "ann@[127.0.0.1]", "ann@sender.test\r\nRCPT TO:<eve@sender.test>", "x" * 100 + "@a.test"],
)  # fmt: skip
def test_what_is_no_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(AddressError) as refusal:
        parse_address(text)
    assert "\n" not in str(refusal.value)


def test_an_account_is_known_behind_its_tags_and_cases() -> None:
    forms = {account_form(text) for text in ("Ann+x@Sender.test", "ann@sender.test", "ANN+y+z@sender.TEST")}
    assert forms == {"ann@sender.test"}
    assert account_form("+tag@sender.test") == "+tag@sender.test"
    assert account_form("a@süd.test") == account_form("a@xn--sd-xka.test")


def test_only_a_local_part_beyond_ascii_needs_smtputf8() -> None:
    assert needs_smtputf8("jörg@sender.test")
    assert not needs_smtputf8("joerg@süd.test")
    assert ascii_form("joerg@Süd.test") == "joerg@xn--sd-xka.test"
    assert domain_of("ann@Sender.TEST") == "sender.test"
    with pytest.raises(AddressError):
        ascii_domain("ü" * 70 + ".test")


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(address) == address
    assert account_form(address).isascii() or needs_smtputf8(address)
