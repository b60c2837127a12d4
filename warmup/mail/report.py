"""What a message from a machine reports: a bounce, a complaint, an automatic reply, or nothing of the kind.

Promise: any bytes give a value and never an exception, in bounded time and memory. Standards are read first
(RFC 3464 delivery reports, RFC 5965 complaints, RFC 3834 automatic replies).
"""

from dataclasses import dataclass
from enum import StrEnum, unique

from warmup.mail.answer import Reply
from warmup.mail.header import parse_header_block
from warmup.mail.status import read_diagnostic


@unique
class Kind(StrEnum):
    """What a report is."""

    REPLY = "reply"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    DELIVERED = "delivered"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """One recipient of a report; the reply's code is -1 where none was said."""

    address: str | None
    action: str | None
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a message reports, and about which of our messages."""

    kind: Kind
    recipients: tuple[Reported, ...] = ()
    feedback_type: str | None = None
    reported_ids: tuple[str, ...] = ()  # with <>: the returned message's, or what an automatic reply answers
    reported_identity: str | None = None  # the returned message's identity header
    reported_from: str | None = None  # the returned message's author


def read_report(raw: bytes, *, identity_header: str | None = "X-Warmup-Id") -> Report:
    """What `raw` reports."""
    head = parse_header_block(raw, identity_header=identity_header)
    if head.report_type == "delivery-status":
        return Report(kind=Kind.BOUNCE, recipients=(_recipient(raw),))
    return Report(kind=Kind.OTHER)


def _recipient(raw: bytes) -> Reported:
    fields = dict[str, str]()
    for line in raw[:65_536].decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    reply = read_diagnostic(fields.get("diagnostic-code", ""), status=fields.get("status"))
    address = fields.get("final-recipient", "").partition(";")[2].strip() or None
    return Reported(address=address, action=fields.get("action"), reply=reply)
