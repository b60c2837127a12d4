"""Notifications about mail that come as JSON: Amazon SES by way of SNS, subscribed by email."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from warmup.mail.dsn import MOST_RECIPIENTS, Account
from warmup.mail.feedback import Complaint

_ID: Final = re.compile(r"<[^<>\s]{1,998}>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What was told: accounts of recipients, or a complaint, about the message with this id."""

    accounts: tuple[Account, ...] = ()
    complaint: Complaint | None = None
    message_id: str | None = None  # with <>
    sender: str | None = None


def notification(text: str) -> Notification | None:
    """The notification that `text` begins with, or None where it is none."""
    said = _document(text)
    inner = said.get("Message")
    if isinstance(inner, str):
        said = _document(inner)
    kind = said.get("notificationType", said.get("eventType"))
    mail = _table(said.get("mail"))
    about = Notification(message_id=_message_id(mail), sender=_word(mail.get("source")))
    match kind:
        case "Bounce":
            return replace(about, accounts=_bounced(_table(said.get("bounce"))))
        case "Delivery":
            return replace(about, accounts=_delivered(_table(said.get("delivery"))))
        case "Complaint":
            return replace(about, complaint=_complained(_table(said.get("complaint"))))
        case _:
            return None


def _bounced(bounce: Mapping[str, Any]) -> tuple[Account, ...]:
    kind = f"{_word(bounce.get('bounceType')) or ''} {_word(bounce.get('bounceSubType')) or ''}"
    return tuple(
        Account(
            address=_word(one.get("emailAddress")),
            action=(_word(one.get("action")) or "failed").lower(),
            status=_word(one.get("status")) or "",
            diagnostic=_word(one.get("diagnosticCode")) or f"Amazon SES: {kind.strip()}",
            category="",
        )
        for one in map(_table, _list(bounce.get("bouncedRecipients")))
    )


def _delivered(delivery: Mapping[str, Any]) -> tuple[Account, ...]:
    said = _word(delivery.get("smtpResponse")) or ""
    return tuple(
        Account(address=_word(address), action="delivered", status="", diagnostic=said, category="")
        for address in _list(delivery.get("recipients"))
    )


def _complained(complaint: Mapping[str, Any]) -> Complaint:
    recipients = (_word(_table(one).get("emailAddress")) for one in _list(complaint.get("complainedRecipients")))
    kind = _word(complaint.get("complaintFeedbackType")) or "abuse"
    return Complaint(feedback_type=kind.lower(), recipients=tuple(one for one in recipients if one))


def _document(text: str) -> Mapping[str, Any]:
    """The JSON object in `text`, which may have been broken into lines and have words behind it."""
    start, end = text.find("{"), text.rfind("}")
    if text[:start].strip() or end < start or '"' not in text[start : start + 20]:
        return {}
    for said in (text[start : end + 1], text[start : end + 1].replace("\n", "")):
        try:
            return _table(json.loads(said))
        except (ValueError, RecursionError):
            continue
    return {}


def _message_id(mail: Mapping[str, Any]) -> str | None:
    common = _word(_table(mail.get("commonHeaders")).get("messageId"))
    headers = (_table(one) for one in _list(mail.get("headers")))
    named = (_word(one.get("value")) for one in headers if str(one.get("name")).lower() == "message-id")
    found = _ID.search(next(named, None) or common or "")
    return found[0] if found else None


def _table(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}


def _list(said: object) -> Sequence[Any]:
    return said[:MOST_RECIPIENTS] if isinstance(said, list) else ()


def _word(said: object) -> str | None:
    # JSON may name halves of characters (\\ud800), which no text holds.
    return said[:4_000].encode("utf-8", "replace").decode() if isinstance(said, str) and said else None
