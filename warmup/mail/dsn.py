"""Delivery status notifications (RFC 3464): what is said of each recipient, field by field.

Tolerant of what is seen: fields before any blank line, several recipients in one group, names in any case or cut off
("ction:"), reports that stand in plain text. Whatever names no recipient, no action and no status says nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MOST_RECIPIENTS: Final = 100
_MOST_LINES: Final = 5_000
_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z-]{2,40}) ?:(.*)", re.DOTALL | re.ASCII)
# An address that is mentioned somewhere, valid or not; found in linear time.
MENTIONED: Final = re.compile(r"[^\s<>()\[\],;:\"\\]{1,128}@[^\s<>()\[\],;:@\"\\]{1,255}")
# What begins the account of another recipient where no blank line does.
_BEGINS: Final = frozenset({"final-recipient", "action"})
_TELLING: Final = frozenset({"final-recipient", "original-recipient", "x-actual-recipient", "action", "status"})
_CLIPPED: Final = {"ction": "action", "tatus": "status", "final-recipent": "final-recipient"}
_EMBEDDED: Final = re.compile(r"^(?:Reporting-MTA|Final-Recipient|Original-Recipient) ?:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a report says of one recipient; None or "" where it says nothing."""

    address: str | None
    action: str | None  # RFC 3464 2.3.3, lower-cased: failed, delayed, delivered, relayed, expanded
    status: str
    diagnostic: str
    category: str  # PowerMTA's own word for what happened

    @property
    def is_good_news(self) -> bool:
        """True where the recipient got the message, or somebody took it on."""
        if self.action is None:
            return self.status.startswith("2.")
        return self.action in ("delivered", "relayed", "expanded")


def accounts(body: str) -> tuple[Account, ...]:
    """The accounts of all recipients in a message/delivery-status body."""
    said = (group for group in _groups(body) if not _TELLING.isdisjoint(group))
    return tuple(_account(group) for _, group in zip(range(MOST_RECIPIENTS), said, strict=False))


def embedded_accounts(text: str) -> tuple[Account, ...]:
    """The accounts in a text that holds a report's fields between its words (Amazon WorkMail and others)."""
    found = _EMBEDDED.search(text)
    return tuple(known for known in accounts(text[found.start() :]) if known.address) if found else ()


def _account(group: Mapping[str, str]) -> Account:
    action = re.match(r"[a-z]+", group.get("action", "").lower())
    said = (group.get(name, "") for name in ("final-recipient", "original-recipient", "x-actual-recipient"))
    found = (MENTIONED.search(value) for value in said)
    return Account(
        address=next((address[0] for address in found if address), None),
        action=action[0] if action else None,
        status=group.get("status", ""),
        diagnostic=group.get("diagnostic-code", ""),
        category=group.get("x-powermta-bouncecategory", ""),
    )


def _groups(body: str) -> Iterator[dict[str, str]]:
    """The groups of fields: apart by blank lines, or where another recipient begins."""
    group: dict[str, str] = {}
    name = ""
    for line in body.split("\n", _MOST_LINES)[:_MOST_LINES]:
        found = _FIELD.match(line)
        if found:
            name = found[1].lower()
            name = _CLIPPED.get(name, name)
            if name in group and name in _BEGINS:
                yield group
                group = {}
            group.setdefault(name, found[2].strip())
        elif line.strip() and name and line[0] in " \t":
            group[name] = f"{group[name]} {line.strip()}"[:4_000]
        elif not line.strip():
            yield group
            group, name = {}, ""
    yield group
