"""The servers' journal against the ledger's account: what came twice, what is unknown, what was too much."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from tests.scenarios.house import Row

DAY = timedelta(hours=24)
COUNTED = ("accepted", "uncertain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """`journal`: every message a server took, in its order. `messages`: `warmup export messages`."""

    journal: Sequence[Row]
    messages: Sequence[Row]

    def doubles(self) -> list[str]:
        """Each slot or message id that a server took more than once."""
        slot_of = {row["message_id"]: row["slot"] for row in self.messages}
        by_id = Counter(row["message_id"] for row in self.journal)
        by_slot = Counter(slot_of[row["message_id"]] for row in self.journal if row["message_id"] in slot_of)
        twice = [f"{key} was taken {times} times" for key, times in by_id.items() if times > 1]
        again = {slot_of.get(key) for key, times in by_id.items() if times > 1}
        more = [(slot, times) for slot, times in by_slot.items() if times > 1 and slot not in again]
        return twice + [f"slot {slot} was taken {times} times" for slot, times in more]

    def losses(self) -> list[str]:
        """Each message that a server took and the ledger does not count, or not as it was."""
        known = {(row["message_id"], row["mailbox"], row["recipient"]): row["outcome"] for row in self.messages}
        lost = []
        for row in self.journal:
            said = known.get((row["message_id"], row["account"], row["recipient"]), "unknown")
            if said not in COUNTED:
                lost.append(f"{row['message_id']} of {row['account']} was taken, and the ledger says {said}")
        return lost

    def overshoots(self, limits: Mapping[str, int]) -> list[str]:
        """Each account, or domain, of which the servers took more than its limit in some 24 hours."""
        return [
            f"{name} had {most} messages in 24 hours, {limit} are allowed"
            for name, limit in limits.items()
            if (most := self.most_in_24h(name)) > limit
        ]

    def most_in_24h(self, name: str) -> int:
        """The most messages taken in any 24 hours from the account, or from the domain's accounts together."""
        return max(self._windows(name), default=0)

    def beyond(self, name: str, limit: int, *, since: int) -> list[str]:
        """Each message from line `since` of the journal on whose 24 hours held more than `limit`."""
        before = sum(1 for row in self.journal[:since] if name in _names(row))
        return [
            f"{name} had {count} messages in 24 hours, {limit} are allowed by then"
            for count in self._windows(name)[before:]
            if count > limit
        ]

    def _windows(self, name: str) -> list[int]:
        """For each message, how many were taken in the 24 hours that end with it."""
        instants = [datetime.fromisoformat(row["at"]) for row in self.journal if name in _names(row)]
        return [n + 1 - bisect_right(instants, at - DAY) for n, at in enumerate(instants)]

    def overlaps(self) -> list[str]:
        """Each message that was claimed before the outcome of its account's last one was kept."""
        ended = [row for row in self.messages if row["outcome_source"] == "smtp" and row["attempts"] == 1]
        ended.sort(key=lambda row: (row["account"], row["claimed_at"]))
        return [
            f"slot {later['slot']} was claimed at {later['claimed_at']}, slot {row['slot']} ended {row['outcome_at']}"
            for row, later in pairwise(ended)
            if row["account"] == later["account"]
            and datetime.fromisoformat(later["claimed_at"]) < datetime.fromisoformat(row["outcome_at"])
        ]

    def taken(self) -> set[int]:
        """The slots of the messages that the servers took."""
        slot_of = {row["message_id"]: row["slot"] for row in self.messages}
        return {slot_of[row["message_id"]] for row in self.journal if row["message_id"] in slot_of}


def _names(row: Row) -> tuple[str, str]:
    """The account and the domain that a message counts for."""
    return row["account"], row["account"].partition("@")[2]
