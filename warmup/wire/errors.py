"""What can go wrong between us and a server, in our words.

    WireError
    ├── HostRefused          we do not go there: a private address, or any foreign one in a rehearsal
    ├── Unreachable          no such host, refused, timed out, cut off
    │   └── Unavailable      the server was there and said: not now
    ├── Untrusted            no TLS, a certificate that does not hold, words that came before TLS
    ├── CredentialsRefused   the server does not take this login
    │   ├── GrantRefused     the authorisation server gives no token, and `why` says whose move it is
    │   └── LoginHeld        it did not take it before, and is not asked again
    └── ProtocolError        an answer outside the protocol
        ├── CommandRefused   the server said no to one command; the connection is sound
        └── TooLarge         more bytes than anybody needs

`str()` is one plain line, `hint` says what to do. Neither ever holds a secret: an echo of our login was taken out of
what a server said when it was read (`blot`), and the rest passes `quote`.
"""

from enum import StrEnum, unique

_LONGEST = 300
MOST_QUOTED = 4_096
"""A server may say a line of megabytes: more of it than this is not looked at."""


class WireError(Exception):
    """A server could not be used. `hint` is one sentence of advice, or empty."""

    def __init__(self, summary: str, *, hint: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.hint = hint

    def __str__(self) -> str:
        return self.summary


class HostRefused(WireError):
    """We refuse to connect there; nothing was sent."""


class Unreachable(WireError):
    """No connection, or it was lost. Trying again later may help."""


class Unavailable(Unreachable):
    """The server answered, and asked for patience (SMTP 4yz, IMAP [UNAVAILABLE], BYE)."""


class Untrusted(WireError):
    """The server could not be believed. No credential was sent."""


class CredentialsRefused(WireError):
    """The server refused the login. Trying the same again may lock the account."""


@unique
class Why(StrEnum):
    """Why an authorisation server gives no token."""

    LOST = "lost"
    """The grant was revoked, has expired or asks for its person again: sign in anew."""

    SCOPE = "scope"
    """We were let in, but not to the mail: a scope was refused, or wants an administrator's consent."""

    CLIENT = "client"
    """It is us who are not known there: client id, secret, type of client, or tenant."""

    DENIED = "denied"
    """The person said no, or nothing in time."""


class GrantRefused(CredentialsRefused):
    """The authorisation server gives no token. Asking again for the same helps as little as a wrong password does."""

    def __init__(self, summary: str, *, hint: str = "", why: Why = Why.LOST) -> None:
        super().__init__(summary, hint=hint)
        self.why = why


class LoginHeld(CredentialsRefused):
    """The server refused this login before; nothing was tried, until its operator acts."""


class ProtocolError(WireError):
    """The server said something the protocol has no place for."""


class CommandRefused(ProtocolError):
    """One command was answered NO or BAD; the session goes on. `code` is RFC 5530's word (NONEXISTENT), or empty."""

    def __init__(self, summary: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(summary, hint=hint)
        self.code = code


class TooLarge(ProtocolError):
    """The server sent, or announced, more than a client needs to read."""


def quote(said: str | bytes) -> str:
    """What a server said, fit for one line of ours: control characters out, at most 300 characters."""
    said = said[:MOST_QUOTED]
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    line = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(line.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
