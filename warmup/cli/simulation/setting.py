"""Who sends where, for how long: what every controller of one comparison has in common."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from warmup.world import World

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""00:00 of day 1. Every day is a sending day: a ramp is judged by days, not by weekends."""

MINUTES: Final = 1440.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A world, and how many mailboxes warm up in it for how many days. Domains are filled in order."""

    world: World
    mailboxes: int
    days: int
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every mailbox's address, in order."""
        seats = self.world.mailboxes_per_domain
        return tuple(f"m{number}@d{number // seats}.test" for number in range(self.mailboxes))

    @property
    def receivers(self) -> tuple[str, ...]:
        """The receivers' names, in the world's order."""
        return tuple(receiver.name for receiver in self.world.receivers)

    @property
    def weights(self) -> tuple[float, ...]:
        """The receivers' weights, in the world's order."""
        return tuple(receiver.weight for receiver in self.world.receivers)

    def domains(self) -> tuple[range, ...]:
        """The mailboxes' numbers, domain by domain: what is of one domain is of one course."""
        seats = self.world.mailboxes_per_domain
        return tuple(range(first, min(first + seats, self.mailboxes)) for first in range(0, self.mailboxes, seats))


def date_of(day: int) -> date:
    """The civil date of a day, from 1."""
    return (START + timedelta(days=day - 1)).date()


def instant(minutes: float) -> datetime:
    """The instant so many minutes after 00:00 of day 1."""
    return START + timedelta(minutes=minutes)
