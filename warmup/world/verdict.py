"""What a modelled receiver does with one message."""

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Folder(StrEnum):
    """Where an accepted message ends. MISSING was accepted and is never seen."""

    INBOX = "inbox"
    SPAM = "spam"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Accepted with a 250.

    `visible_after` and `resorted_after` are minutes from acceptance; `resorted_after` None: it stays where it is.
    `engaged` and `complaint`: what the recipient did. `known` and `spam_probability`: truth, for measures.
    """

    folder: Folder
    visible_after: float
    resorted_after: float | None
    engaged: bool
    complaint: bool
    known: bool
    spam_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """Not taken for now: a 4yz reply."""

    code: int
    status: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Not taken, and not to be tried again: a 5yz reply."""

    code: int
    status: str
    text: str


Verdict = Placed | Deferred | Refused
