"""Addresses as the program keeps them: checked, in one spelling, without a look at DNS.

An `Address` is an addr-spec (RFC 5322 3.4.1, RFC 6531) whose domain is in lower case and in its DNS form (A-labels, RFC
5890): so it is spelled in header fields and ids, and so it comes back in received mail. The local part is kept as it
was given, because only its owner knows whether case matters there. Reserved test domains (.test) are allowed.
"""

from typing import NewType

from email_validator import EmailNotValidError, validate_email

Address = NewType("Address", str)


class AddressError(ValueError):
    """The text is no address; str() says why in one line."""


def parse_address(text: str) -> Address:
    """The address in `text`, normalised (NFC, domain in lower case and A-labels); raises AddressError."""
    try:
        # No DNS here: whether a domain takes mail is asked by whoever enrols.
        found = validate_email(text.strip(), check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError as reason:
        raise AddressError(f"{_shown(text)} is not an address: {_one_line(str(reason))}") from reason
    return Address(f"{found.local_part}@{found.ascii_domain.lower()}")


def local_part(address: str) -> str:
    """What stands before the last @."""
    return address.rpartition("@")[0]


def domain_of(address: str) -> str:
    """The domain in lower case, as it is spelled."""
    return address.rpartition("@")[2].lower()


def ascii_domain(domain: str) -> str:
    """The domain in its DNS form (A-labels, RFC 5890); raises AddressError where it has none."""
    if domain.isascii():
        return domain.lower()
    try:
        return validate_email(f"x@{domain}", check_deliverability=False, test_environment=True).ascii_domain
    except EmailNotValidError as reason:
        raise AddressError(f"{_shown(domain)} is not a domain: {_one_line(str(reason))}") from reason


def needs_smtputf8(address: str) -> bool:
    """True where the address cannot be said in ASCII: an IDN can (A-labels), a local part cannot (RFC 6531 3.2)."""
    return not local_part(address).isascii()


def ascii_form(address: str) -> str:
    """The address with its domain as A-labels; all ASCII unless `needs_smtputf8`."""
    return f"{local_part(address)}@{ascii_domain(domain_of(address))}"


def account_form(address: str) -> str:
    """The account behind an address: +tag removed, case folded, domain as A-labels. Aliases and tags share a limit."""
    bare, _, _ = local_part(address).partition("+")
    return f"{bare or local_part(address)}@{ascii_domain(domain_of(address))}".casefold()


def _shown(text: str) -> str:
    return repr(text[:80])


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
