"""What the servers themselves saw, so that the ledger can be checked against somebody else's books.

One receipt for every answer that a message drew after DATA, and one for every message of the operator's own. Nothing
here is told by the daemon: ids are read from the mail, instants from the sandbox's clock.
"""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One answer after DATA: taken if `code` is 250. `placement` is where the receiver put it, None if not taken."""

    at: datetime
    account: str
    recipient: str
    message_id: str
    code: int
    status: str
    placement: str | None = None
    own: bool = False

    @property
    def is_taken(self) -> bool:
        """True if a server took the message into its care."""
        return self.code == 250

    def as_json(self) -> dict[str, Any]:
        """The receipt as JSON values; the instant as ISO 8601 with Z."""
        return asdict(self) | {"at": self.at.isoformat().replace("+00:00", "Z")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """24 hours that end at `at`, in which `account` had `count` messages taken, more than `limit`."""

    account: str
    at: datetime
    count: int
    limit: int


class Record:
    """All receipts, in the order of the answers; with `journal` each taken one is a line there before the answer goes.

    The journal survives a kill of this process: it is flushed line by line.
    """

    def __init__(self, journal: Path | None = None) -> None:
        self._receipts: list[Receipt] = []
        self.refused_logins: Counter[str] = Counter()
        self._taken_at: dict[str, list[datetime]] = {}
        self._journal: TextIO | None = journal.open("a", encoding="utf-8") if journal else None

    def add(self, receipt: Receipt) -> None:
        """Enter `receipt`; instants of an account never decrease."""
        self._receipts.append(receipt)
        if not receipt.is_taken:
            return
        self._taken_at.setdefault(receipt.account, []).append(receipt.at)
        if self._journal:
            self._journal.write(json.dumps(receipt.as_json()) + "\n")
            self._journal.flush()

    def refuse_login(self, account: str) -> None:
        """Enter a login that was refused."""
        self.refused_logins[account] += 1

    def close(self) -> None:
        """Close the journal."""
        if self._journal:
            self._journal.close()

    @property
    def receipts(self) -> Sequence[Receipt]:
        """Every receipt, oldest first."""
        return self._receipts

    @property
    def received(self) -> tuple[str, ...]:
        """Message ids, with <>, that were taken over SMTP, oldest first; an id taken twice stands there twice."""
        return tuple(r.message_id for r in self._receipts if r.is_taken and not r.own)

    def duplicates(self) -> tuple[str, ...]:
        """Message ids that were taken more than once."""
        return tuple(key for key, count in Counter(self.received).items() if count > 1)

    def in_24h(self, account: str, at: datetime) -> int:
        """Messages of `account` taken in the 24 hours up to `at`, own traffic included."""
        taken = self._taken_at.get(account, [])
        return bisect_right(taken, at) - bisect_right(taken, at - DAY)

    def most_in_24h(self, account: str) -> int:
        """The most messages of `account` that were taken in any 24 hours, own traffic included."""
        return max((count for _, count in self._windows(account)), default=0)

    def over_limit(self, limits: Mapping[str, int]) -> tuple[Excess, ...]:
        """One `Excess` for each message whose 24 hours held more than its account's limit."""
        return tuple(
            Excess(account=account, at=at, count=count, limit=limit)
            for account, limit in limits.items()
            for at, count in self._windows(account)
            if count > limit
        )

    def limit_refusals(self, account: str) -> int:
        """How often `account` drew 5.4.5 over SMTP."""
        return sum(1 for r in self._receipts if r.account == account and r.status == "5.4.5" and not r.own)

    def _windows(self, account: str) -> list[tuple[datetime, int]]:
        # A window is fullest when its last message has just come in, so those ends are all that need counting.
        taken = self._taken_at.get(account, [])
        windows, first = [], 0
        for last, at in enumerate(taken):
            while taken[first] <= at - DAY:
                first += 1
            windows.append((at, last - first + 1))
        return windows
