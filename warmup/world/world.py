"""A world as a value: its receivers, its events, and how a TOML document becomes one.

Promise: a World is complete and sane. An unknown key, a missing one, a wrong type or a figure out of range is a
WorldError that names the place; nothing is guessed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, cast

Kind = TypeVar("Kind")


class WorldError(ValueError):
    """A document that describes no world, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """How one receiving provider treats its senders: the columns and symbols of MODEL.md under their own names."""

    name: str
    base_spam: float
    quiet_volume: float
    tolerance: float
    pressure: float
    distrust: float
    trust: float
    trust_gain: float
    trust_loss: float
    memory_days: float
    defer_at: float
    weight: float = 1.0
    domain_share: float = 0.0
    domain_volume: float = 0.0
    domain_quiet: float = 20.0
    refuse_below: float = 0.0
    greylist_minutes: float = 0.0
    missing: float = 0.01
    complaint: float = 0.0
    complaint_loss: float = 0.1
    delay_minutes: float = 20.0
    engagement: float = 0.35
    known_inbox: float = 0.0
    content_spread: float = 0.0
    resort: float = 0.0
    block_days: float = 0.0
    seeds: int = 20
    control_seeds: int = 2

    def __post_init__(self) -> None:
        place = f"receiver {self.name!r}"
        for key in _SHARES:
            _require(0 <= getattr(self, key) <= 1, f"{place}: {key} is 0 to 1")
        for key in _POSITIVE:
            _require(getattr(self, key) > 0, f"{place}: {key} is above 0")
        for key in _NOT_NEGATIVE:
            _require(getattr(self, key) >= 0, f"{place}: {key} is 0 or more")
        _require(0 < self.base_spam < 1, f"{place}: base_spam is between 0 and 1")
        _require(self.control_seeds <= self.seeds, f"{place}: control_seeds are some of its seeds")


_SHARES = (
    *("trust", "trust_gain", "trust_loss", "domain_share", "refuse_below", "missing", "complaint"),
    *("complaint_loss", "engagement", "known_inbox", "resort"),
)
_POSITIVE = ("quiet_volume", "domain_quiet", "tolerance", "memory_days", "defer_at", "weight", "seeds")
_NOT_NEGATIVE = (
    *("pressure", "distrust", "domain_volume", "greylist_minutes", "delay_minutes", "content_spread", "block_days"),
    "control_seeds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A mood: from `day` on for `days` days, on the first `share` of the mailboxes; `receiver` None: everywhere."""

    day: int
    days: int = 1
    shock: float = 0.0
    tolerance_factor: float = 1.0
    share: float = 1.0
    receiver: str | None = None

    def __post_init__(self) -> None:
        _require(self.day >= 1 and self.days >= 1, "event: day and days are 1 or more")
        _require(0 <= self.share <= 1, "event: share is 0 to 1")
        _require(self.tolerance_factor > 0, "event: tolerance_factor is above 0")

    def covers(self, day: int, receiver: str, *, index: int, mailboxes: int) -> bool:
        """True where it holds on `day` at `receiver` for mailbox number `index` (from 0) of `mailboxes`."""
        return (
            self.day <= day < self.day + self.days
            and self.receiver in (None, receiver)
            and index < self.share * mailboxes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Receivers, as many as a mailbox has lanes, and what happens to them."""

    name: str
    receivers: tuple[Receiver, ...]
    about: str = ""
    mailboxes_per_domain: int = 1
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        names = [receiver.name for receiver in self.receivers]
        _require(bool(names), "a world needs at least one [[receiver]]")
        _require(len(names) == len(set(names)), "two receivers share a name")
        _require(self.mailboxes_per_domain >= 1, "mailboxes_per_domain is 1 or more")
        for event in self.events:
            _require(event.receiver is None or event.receiver in names, f"event: no receiver {event.receiver!r}")

    def receiver(self, name: str) -> Receiver:
        """The receiver of that name; KeyError where there is none."""
        for receiver in self.receivers:
            if receiver.name == name:
                return receiver
        raise KeyError(name)

    def weights(self) -> dict[str, float]:
        """Each receiver's share of a mailbox's day, summing to 1."""
        total = sum(receiver.weight for receiver in self.receivers)
        return {receiver.name: receiver.weight / total for receiver in self.receivers}


def read_world(document: Mapping[str, object]) -> World:
    """The world a TOML document describes. Raises WorldError."""
    given = dict(document)
    receivers = [_build(Receiver, table, "receiver") for table in _tables(given.pop("receiver", ()), "receiver")]
    events = [_build(Event, table, "event") for table in _tables(given.pop("event", ()), "event")]
    unknown = set(given) - {"name", "about", "mailboxes_per_domain"}
    _require(not unknown, f"unknown key {', '.join(sorted(unknown))}")
    return _build(World, {**given, "receivers": tuple(receivers), "events": tuple(events)}, "world")


def _tables(value: object, key: str) -> Iterable[Mapping[str, object]]:
    if not isinstance(value, list | tuple) or not all(isinstance(table, Mapping) for table in value):
        raise WorldError(f"{key} is an array of tables: [[{key}]]")
    return value


def _build(kind: type[Kind], table: Mapping[str, object], place: str) -> Kind:
    known = {field.name: field for field in fields(cast("Any", kind))}
    where = f"{place} {table['name']!r}" if isinstance(table.get("name"), str) else place
    unknown = sorted(set(table) - set(known))
    _require(not unknown, f"{where}: unknown key {', '.join(unknown)}")
    missing = [name for name, field in known.items() if field.default is MISSING and name not in table]
    _require(not missing, f"{where}: missing key {', '.join(missing)}")
    return kind(**{name: _typed(value, known[name].type, f"{where}: {name}") for name, value in table.items()})


def _typed(value: object, kind: object, place: str) -> object:
    if kind in (str, str | None):
        _require(isinstance(value, str), f"{place} is a text")
    elif kind is int:
        _require(isinstance(value, int) and not isinstance(value, bool), f"{place} is a whole number")
    elif kind is float:
        _require(isinstance(value, int | float) and not isinstance(value, bool), f"{place} is a number")
        return float(cast("float", value))
    return value


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise WorldError(otherwise)
