"""What a receiver remembers: of one sender, and of one domain. The symbols are MODEL.md's."""

from collections import deque
from dataclasses import dataclass, field

DAY = 1440.0  # minutes


@dataclass(slots=True, kw_only=True)
class Memory:
    """Volume a receiver is used to (`k`, messages a day), and the instants it accepted in the last 24 hours."""

    k: float
    memory_days: float
    day: int = 1
    today: int = 0
    recent: deque[float] = field(default_factory=deque)

    def roll(self, day: int) -> None:
        """Close every day before `day`: k moves towards what was accepted, by half in memory_days."""
        while self.day < day:
            self.k += (self.today - self.k) * (1 - 2 ** (-1 / self.memory_days))
            self.today = 0
            self.day += 1

    def count(self, now: float) -> int:
        """Messages accepted in the 24 hours up to `now`."""
        while self.recent and self.recent[0] <= now - DAY:
            self.recent.popleft()
        return len(self.recent)

    def accept(self, now: float) -> None:
        """Remember one more."""
        self.recent.append(now)
        self.today += 1


@dataclass(slots=True, kw_only=True)
class Domain:
    """One domain at one receiver: its volume, and the trust of its lanes added up."""

    volume: Memory
    trust_sum: float = 0.0
    lanes: int = 0


@dataclass(slots=True, kw_only=True)
class Lane:
    """One sender at one receiver."""

    volume: Memory
    trust: float
    domain: Domain
    number: int = 0
    sequence: int = 0
    known: set[str] = field(default_factory=set)
    first_contact: float | None = None
    blocked_until: float = -1.0
    deferrals: int = 0
    deferrals_day: int = 0

    def pooled_trust(self, domain_share: float) -> float:
        """T' of MODEL.md."""
        return (1 - domain_share) * self.trust + domain_share * self.domain.trust_sum / self.domain.lanes

    def gain(self, rate: float) -> None:
        """Trust rises by `rate` of what is left to 1."""
        self._move(rate * (1 - self.trust))

    def lose(self, rate: float) -> None:
        """Trust falls by `rate` of itself."""
        self._move(-rate * self.trust)

    def defer(self, day: int) -> int:
        """Count one more deferral for excess; the day's number of them."""
        if self.deferrals_day != day:
            self.deferrals_day, self.deferrals = day, 0
        self.deferrals += 1
        return self.deferrals

    def _move(self, by: float) -> None:
        self.trust += by
        self.domain.trust_sum += by
