"""Units of work: what a tick submits and an engine runs.

Every unit is small and idempotent: running it twice does no harm, since claims and limits are constraints of the
ledger. `Engine` is the one port; steps do not know which engine runs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from warmup.policy.mailbox import MailboxId
from warmup.steps.step import Step


@dataclass(frozen=True, slots=True)
class Work:
    """One step for one mailbox."""

    step: Step
    mailbox: MailboxId


@dataclass(frozen=True, slots=True)
class Submitted:
    """How much of a tick's work was taken anew, and what must be submitted again since nobody has it yet."""

    taken: int
    put_off: tuple[Work, ...] = ()


class Engine(Protocol):
    """Where due work runs."""

    async def submit_all(self, works: Sequence[Work]) -> Submitted:
        """Take the work, but none that already waits or runs; none at all while it drains. LedgerFailed: nothing."""
        ...

    async def idle(self) -> None:
        """Return when nothing waits and nothing runs."""
        ...

    async def drain(self, seconds: float) -> bool:
        """Take no more, let what runs end for `seconds` of real time, then cancel. True where nothing was cancelled."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why it runs nothing at present; None where it does."""
        ...
