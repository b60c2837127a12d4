"""When a server may be tried again: connection back-off, in real time and in memory.

Every failure in a row doubles the wait, from `FIRST` to `LONGEST`, stretched by chance; a success forgets it. It is
about servers and machines, so it is neither ledger time nor kept over a restart.
"""

from dataclasses import dataclass, field

from warmup.policy.mailbox import MailboxId, Protocol

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 3600.0
# A server that was there and asked for patience is given more of it.
LONGEST_BUSY_SECONDS = 6 * 3600.0
STRETCH = 0.25
# Nothing is tried; only the ledger is asked again whether the operator has acted.
HELD_SECONDS = 60.0
# A refused login is nearly always final until a person acts, and servers lock accounts that try again and again.
REFUSED_SECONDS = 3600.0


@dataclass(slots=True)
class Backoff:
    """Failures in a row by mailbox and protocol."""

    _until: dict[tuple[MailboxId, Protocol], float] = field(default_factory=dict)
    _failures: dict[tuple[MailboxId, Protocol], int] = field(default_factory=dict)
    _refused_as: dict[tuple[MailboxId, Protocol], object] = field(default_factory=dict)

    def holds(self, mailbox: MailboxId, protocol: Protocol, elapsed: float) -> bool:
        """True while the door should be left alone. `elapsed` is the boot clock in seconds."""
        return elapsed < self._until.get((mailbox, protocol), 0.0)

    def failed(
        self,
        mailbox: MailboxId,
        protocol: Protocol,
        elapsed: float,
        *,
        refused: bool = False,
        busy: bool = False,
        chance: float = 0.0,
    ) -> float:
        """Note a failure; gives the seconds to wait.

        `refused`: the login itself was refused. `busy`: the server asked for patience. `chance`, 0–1, stretches the
        wait, so that mailboxes that failed together do not come back together.
        """
        key = (mailbox, protocol)
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        wait = min(LONGEST_BUSY_SECONDS if busy else LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 20))
        if refused:
            wait = max(wait, REFUSED_SECONDS)
        wait *= 1 + STRETCH * chance
        self._until[key] = elapsed + wait
        return wait

    def refused_as(self, mailbox: MailboxId, protocol: Protocol) -> object | None:
        """The login (`remember`) that the door is left alone for; None: it failed in another way."""
        return self._refused_as.get((mailbox, protocol))

    def remember(self, mailbox: MailboxId, protocol: Protocol, login: object) -> None:
        """Keep what login was refused, in any form that differs from another login's: that one need not wait."""
        self._refused_as[mailbox, protocol] = login

    def held(self, mailbox: MailboxId, protocol: Protocol, elapsed: float) -> None:
        """Leave alone a door whose login is not tried any more."""
        self._until[mailbox, protocol] = elapsed + HELD_SECONDS

    def succeeded(self, mailbox: MailboxId, protocol: Protocol) -> None:
        """Forget what failed before."""
        self._failures.pop((mailbox, protocol), None)
        self._until.pop((mailbox, protocol), None)
        self._refused_as.pop((mailbox, protocol), None)
