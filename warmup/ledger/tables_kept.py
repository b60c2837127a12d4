"""The tables of what retention keeps of messages whose rows it deletes: sums, and nothing that names a message."""

from sqlmodel import Field, SQLModel

from warmup.ledger.columns import Date, reference
from warmup.ledger.tables import metadata


class LaneTotalRow(SQLModel, table=True):
    """What a date of a lane came to. `provider` "" holds what is the mailbox's over all lanes: its own traffic."""

    __tablename__ = "lane_totals"

    mailbox_id: int = reference("mailboxes.id", key=True)
    date: Date = Field(primary_key=True)
    provider: str = Field(primary_key=True)
    sent: int = 0
    inbox: int = 0
    promotions: int = 0
    spam: int = 0
    other: int = 0
    missing: int = 0
    own: int = 0


class BygoneRow(SQLModel, table=True):
    """How many there were, so that counters never go down. `mailbox_id` is 0 where no mailbox is meant."""

    __tablename__ = "bygones"

    kind: str = Field(primary_key=True)
    mailbox_id: int = Field(primary_key=True)
    provider: str = Field(primary_key=True)
    word: str = Field(primary_key=True)
    n: int


lane_totals = metadata.tables["lane_totals"]
bygones = metadata.tables["bygones"]
