"""Complaints: feedback reports in the Abuse Reporting Format (RFC 5965), X-ARF, and those of before the standard."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from warmup.mail.dsn import MENTIONED, MOST_RECIPIENTS
from warmup.mail.parts import Part

_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z-]{2,40})[ \t]{0,9}:[ \t]*(.*)", re.ASCII)
_WORD: Final = re.compile(r"[a-z][a-z-]{0,30}", re.ASCII)
# RFC 5965 3.2 and 7.3; RFC 6430, RFC 6591.
_ABUSE: Final = "abuse"
# Hotmail's and others' reports are the message itself under a sender or subject that says so.
_SENDER: Final = re.compile(
    r"staff@hotmail\.com|feedbackloop@|fbl-?(?:no-?reply)?@|scomp@aol|abuse-?report", re.IGNORECASE
)
_SUBJECT: Final = re.compile(
    r"^complaint about message from|^email feedback report for ip|\[?feedback report\]?|^abuse report", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """Somebody's word against a message: of what kind, and whose where that is told."""

    feedback_type: str
    recipients: tuple[str, ...] = ()


def complaint(whole: Part, leaves: Sequence[Part]) -> Complaint | None:
    """The complaint that a message is, or None."""
    for leaf in leaves:
        if leaf.content_type == "message/feedback-report":
            return _told(_fields(leaf.text()))
    if whole.first("x-apple-unsubscribe").strip().lower() == "true":
        return Complaint(feedback_type="opt-out")
    if _is_feedback(whole):
        return _told(_fields("\n".join(leaf.text()[:8_000] for leaf in leaves[:3])))
    return None


def _is_feedback(whole: Part) -> bool:
    said = whole.first("content-type").lower()
    if "feedback-report" in said or whole.first("x-xarf") or whole.first("x-arf"):
        return True
    sender, subject = whole.first("from"), whole.words("subject")
    return bool(_SENDER.search(sender) and _SUBJECT.search(subject)) or bool(whole.first("x-hmxmroriginalrecipient"))


def _told(fields: Mapping[str, list[str]]) -> Complaint:
    kinds = [*fields.get("feedback-type", []), *fields.get("category", [])]
    kind = next((found[0] for found in (_WORD.match(said.lower()) for said in kinds) if found), _ABUSE)
    names = ("original-rcpt-to", "removal-recipient", "x-original-rcpt-to", "x-hmxmroriginalrecipient")
    said = [value for name in names for value in fields.get(name, [])]
    addresses = dict.fromkeys(address for value in said for address in MENTIONED.findall(value))
    return Complaint(feedback_type=kind, recipients=tuple(addresses)[:MOST_RECIPIENTS])


def _fields(text: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for line in text.split("\n", 2_000)[:2_000]:
        if found := _FIELD.match(line):
            fields.setdefault(found[1].lower(), []).append(found[2].strip())
    return fields
