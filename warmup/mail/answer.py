"""What a server said to a message, as values.

An answer is a value and an exception is a surprise: whoever speaks SMTP returns one of four answers, and whoever
decides matches on them. `Uncertain` is the honest one: after DATA began and before a reply was read, nobody knows.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One SMTP reply: `code` (RFC 5321 4.2), enhanced `status` (RFC 3463, "4.7.1") or None, `text` without codes."""

    code: int
    status: str | None = None
    text: str = ""

    @property
    def is_positive(self) -> bool:
        """True for 2yz."""
        return 200 <= self.code < 300

    @property
    def is_transient(self) -> bool:
        """True for 4yz: trying again may help (RFC 5321 4.2.1)."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """True for 5yz: the same again will fail again (RFC 5321 4.2.1)."""
        return 500 <= self.code < 600

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.code), self.status, self.text) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """250 after the final dot. Accepted is not delivered, and delivered is not placed."""

    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """Certainly not taken, may be tried again: a 4yz, or a connection lost before the final dot (`reply` None)."""

    reply: Reply | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """5yz: certainly not taken, and not to be tried again."""

    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertain:
    """The final dot may have left and no believable reply came back. Never sent again."""

    reason: str


Answer = Accepted | Deferred | Refused | Uncertain
