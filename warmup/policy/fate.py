"""The words for what became of a slot: its kind, its outcome and where its message landed."""

from enum import StrEnum, unique


@unique
class Kind(StrEnum):
    """What a slot is for."""

    NEW = "new"
    REPLY = "reply"
    TEST = "test"


@unique
class Outcome(StrEnum):
    """How an attempt ended. An attempt without one is in flight, or was cut off and becomes UNCERTAIN."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"

    @property
    def counts(self) -> bool:
        """True where the message counts against the rolling limit: the server may have taken it."""
        return self in (Outcome.ACCEPTED, Outcome.UNCERTAIN)


@unique
class Source(StrEnum):
    """Who said so. Belief in this order: a sighting, then SMTP, then recovery after a crash."""

    SIGHTING = "sighting"
    SMTP = "smtp"
    RECOVERY = "recovery"


@unique
class Placement(StrEnum):
    """Where a message landed, by its first sighting.

    MISSING is a finding: every watched folder was read after the deadline. UNOBSERVED is none: reading failed.
    """

    INBOX = "inbox"
    SPAM = "spam"
    PROMOTIONS = "promotions"
    OTHER = "other"
    MISSING = "missing"
    UNOBSERVED = "unobserved"

    @property
    def is_seen(self) -> bool:
        """True where a sighting proves delivery."""
        return self not in (Placement.MISSING, Placement.UNOBSERVED)

    @property
    def is_evidence(self) -> bool:
        """True where it says something about the receiver's opinion."""
        return self is not Placement.UNOBSERVED


@unique
class Action(StrEnum):
    """What `--engage` allows on our own warmup messages."""

    SEEN = "seen"
    RESCUE = "rescue"
    FILE = "file"
    EXPIRE = "expire"


@unique
class Cap(StrEnum):
    """What held a day's volume where it is (DESIGN, How much today)."""

    RAMP = "ramp"
    LANE = "lane"
    DOMAIN = "domain"
    SEEDS = "seeds"
    LIMIT = "limit"
    STANDING = "standing"
    AUDIT = "audit"
    OWN_TRAFFIC = "own_traffic"
    UNVERIFIED = "unverified"
    PAUSED = "paused"
