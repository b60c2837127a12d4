"""Units of work: what a tick submits and an engine runs.

Every unit is small and idempotent: running it twice does no harm, since claims and limits are constraints of the
ledger. `Engine` is the one port; steps do not know which engine runs them.
"""

from dataclasses import dataclass
from typing import Protocol

from warmup.policy.mailbox import MailboxId
from warmup.steps.step import Step


@dataclass(frozen=True, slots=True)
class Work:
    """One step for one mailbox."""

    step: Step
    mailbox: MailboxId


class Engine(Protocol):
    """Where due work runs."""

    def submit(self, work: Work) -> bool:
        """Take the work; False where the same work already waits or runs, or the engine drains."""
        ...

    async def idle(self) -> None:
        """Return when nothing waits and nothing runs."""
        ...

    async def drain(self, seconds: float) -> bool:
        """Take no more, let what runs end for `seconds` of real time, then cancel. True where nothing was cancelled."""
        ...
