"""Ways in which a real server spoils a message, for tests of whoever speaks to it.

A fault waits for a message of its account or to its recipient, strikes `times` times and is spent. The ones that break
off after the final dot come in both kinds, because both happen: the server has the message, or it has not. Besides,
misfortune may be left to chance: then a share of all messages meets a fault, and of all IMAP commands.
"""

from dataclasses import dataclass
from enum import Enum, unique
from random import Random

from warmup.mail.answer import Reply

NO_SUCH_USER = Reply(code=550, status="5.1.1", text="No such user here")


@unique
class FaultKind(Enum):
    """What goes wrong; the value is its name on the command line."""

    CUT_IN_DATA = "cut-in-data"  # the connection breaks while the message is on its way
    CUT_AFTER_DOT = "cut-after-dot"  # taken, and the connection breaks before the reply
    LOSE_AFTER_DOT = "lose-after-dot"  # not taken, and the connection breaks before a reply
    SILENT_AFTER_DOT = "silent-after-dot"  # taken, and no reply ever comes
    DEFER = "defer"  # 451 4.3.0
    REFUSE = "refuse"  # `reply`
    BOUNCE = "bounce"  # taken, and a delivery report comes home two minutes later: `reply` was said to the server
    COMPLAIN = "complain"  # taken and delivered, and a complaint comes home an hour later
    SLOW = "slow"  # the reply takes `seconds`


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`kind` strikes the next `times` messages from `account` to `recipient`; None matches any. `seconds` are real.

    `reply` is what is said where the kind says something of its own choice.
    """

    kind: FaultKind
    account: str | None = None
    recipient: str | None = None
    times: int = 1
    seconds: float = 1.0
    reply: Reply = NO_SUCH_USER

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"a fault strikes at least once, got {self.times}")


_BY_CHANCE = (
    FaultKind.CUT_IN_DATA,
    FaultKind.CUT_AFTER_DOT,
    FaultKind.LOSE_AFTER_DOT,
    FaultKind.SILENT_AFTER_DOT,
    FaultKind.DEFER,
    FaultKind.SLOW,
)
SLOW_SECONDS = 0.5


@unique
class Stumble(Enum):
    """What happens to an IMAP command by chance."""

    CUT = "cut"  # the connection breaks before the answer
    SLOW = "slow"  # the answer takes half a second


class Faults:
    """The faults still to strike, and those that chance draws from `rng`."""

    def __init__(self, faults: tuple[Fault, ...] = (), *, rng: Random) -> None:
        self._waiting: list[tuple[Fault, int]] = [(fault, fault.times) for fault in faults]
        self._share = 0.0
        self._rng = rng

    def leave_to_chance(self, share: float) -> None:
        """From now on a `share` (0–1) of messages and of IMAP commands meets a fault."""
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"a share lies between 0 and 1, got {share}")
        self._share = share

    def add(self, fault: Fault) -> None:
        """Let `fault` wait for its messages, after those that wait already."""
        self._waiting.append((fault, fault.times))

    def strike(self, account: str, recipient: str) -> Fault | None:
        """The fault that strikes this message, counted as used, or None."""
        for index, (fault, left) in enumerate(self._waiting):
            if fault.account in (None, account) and fault.recipient in (None, recipient):
                self._waiting[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                return fault
        if self._rng.random() < self._share:
            return Fault(kind=self._rng.choice(_BY_CHANCE), seconds=SLOW_SECONDS)
        return None

    def stumble(self) -> Stumble | None:
        """What befalls the next IMAP command, mostly nothing."""
        return self._rng.choice(tuple(Stumble)) if self._rng.random() < self._share else None
