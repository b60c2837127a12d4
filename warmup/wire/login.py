"""Who we say we are: a user name and a secret, and how the two are said to a server.

The secret shows in no repr, and `secrets` names every form it takes on the wire, so that an echo can be blotted.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from enum import StrEnum, unique


@unique
class SignIn(StrEnum):
    """What the secret is: a password (or app password), or an OAuth 2.0 access token."""

    PASSWORD = "password"  # noqa: S105 (a kind of secret, not one)
    XOAUTH2 = "xoauth2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user name and its secret. Neither may hold NUL, CR or LF: they would end a command early."""

    username: str
    secret: str = field(repr=False)
    sign_in: SignIn = SignIn.PASSWORD

    def __post_init__(self) -> None:
        if any(char in text for text in (self.username, self.secret) for char in "\0\r\n"):
            raise ValueError("a user name or a secret cannot contain NUL, CR or LF")

    @property
    def plain(self) -> str:
        """The SASL PLAIN response (RFC 4616), base64."""
        return _b64(f"\0{self.username}\0{self.secret}")

    @property
    def xoauth2(self) -> str:
        """The SASL XOAUTH2 response as Google and Microsoft define it, base64."""
        return _b64(f"user={self.username}\1auth=Bearer {self.secret}\1\1")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret in every form it may be echoed in."""
        return (self.plain, self.xoauth2, _b64(self.secret), self.secret)


def _b64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
