"""What is believed of a slot, folded from its rows. Order of belief: sighting, then SMTP, then recovery.

The folds are pure; `taken` says the same in SQL, for counts.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

from sqlalchemy import ColumnElement, exists, or_

from warmup.ledger.sightings import Stage
from warmup.ledger.tables import outcomes, sightings
from warmup.policy.fate import Outcome, Placement, Source

SEEN = tuple(placement.value for placement in Placement if placement.is_seen)


@unique
class Fate(StrEnum):
    """The state a slot is in, as exports say it."""

    PLANNED = "planned"
    IN_FLIGHT = "in_flight"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One sighting of a slot's message, or the finding that there was none."""

    stage: Stage
    placement: Placement
    at: datetime
    folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """Where a message landed: `reclassified` is where it was moved later, None where it stayed."""

    placement: Placement
    reclassified: Placement | None
    at: datetime
    folder: str | None

    @property
    def judged(self) -> Placement:
        """The placement that counts as evidence: moved to spam later is spam."""
        return Placement.SPAM if self.reclassified is Placement.SPAM else self.placement


def landing(sightings: list[Seen]) -> Landing | None:
    """The placement by the first sighting; a message found missing and seen later landed where it was seen."""
    by_stage = {seen.stage: seen for seen in sightings}
    first, second = by_stage.get(Stage.FIRST), by_stage.get(Stage.SECOND)
    if first is None or (second is not None and second.placement.is_seen and not first.placement.is_seen):
        first, second = second, None
    if first is None:
        return None
    moved = second.placement if second is not None and second.placement.is_seen else None
    reclassified = None if moved is first.placement else moved
    return Landing(placement=first.placement, reclassified=reclassified, at=first.at, folder=first.folder)


def fate(
    last: tuple[Outcome, Source] | None, landed: Landing | None, *, in_flight: bool, lapsed: bool
) -> tuple[Fate, Source | None]:
    """The state of a slot and who said so. `last` is its last attempt's outcome."""
    if landed is not None and landed.placement.is_seen:
        said = last[1] if last is not None and last[0] is Outcome.ACCEPTED else Source.SIGHTING
        return Fate.ACCEPTED, said
    if in_flight:
        return Fate.IN_FLIGHT, None
    if lapsed:
        return Fate.LAPSED, None
    if last is None:
        return Fate.PLANNED, None
    return Fate(last[0].value), last[1]


def taken() -> ColumnElement[bool]:
    """True for an outcome whose message is believed accepted. Count distinct slots: two attempts may both say so."""
    seen = exists().where(sightings.c.slot_id == outcomes.c.slot_id, sightings.c.placement.in_(SEEN))
    return or_(outcomes.c.outcome == Outcome.ACCEPTED.value, seen)
