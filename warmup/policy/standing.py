"""How receivers treat a lane, a mailbox or a domain, in four words and the order of their gravity."""

from collections.abc import Iterable
from enum import StrEnum, unique


@unique
class Standing(StrEnum):
    """SOUND grows, WATCHED holds or follows slowly, SLOWED sends less, HALTED sends only probes."""

    SOUND = "sound"
    WATCHED = "watched"
    SLOWED = "slowed"
    HALTED = "halted"

    @property
    def gravity(self) -> int:
        """0 for SOUND up to 3 for HALTED."""
        return _ORDER.index(self)

    @property
    def is_braked(self) -> bool:
        """True where less is sent than the ramp allows: SLOWED and HALTED."""
        return self in (Standing.SLOWED, Standing.HALTED)


_ORDER = (Standing.SOUND, Standing.WATCHED, Standing.SLOWED, Standing.HALTED)


def worst(standings: Iterable[Standing]) -> Standing:
    """The gravest of the standings; SOUND of none: an empty set objects to nothing."""
    return max(standings, key=lambda standing: standing.gravity, default=Standing.SOUND)
