"""Ledgers with something to tell, filled through the ledger's own writers, in a time that stands still.

The clock of a verb never goes before the latest instant the ledger recorded: a ledger that was last written on
`MONDAY`, years ahead, is read at that instant.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from tests.cli.conftest import Desk
from tests.ledger.conftest import World
from warmup.ledger import Ledger
from warmup.ledger.standings import Judgement, Subject
from warmup.policy.mailbox import MailboxId
from warmup.policy.standing import Standing

MONDAY = datetime(2031, 3, 3, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@asynccontextmanager
async def opened(desk: Desk) -> AsyncIterator[Ledger]:
    """The ledger of a folder, open for writing, closed before the command is called."""
    ledger = Ledger.open(f"sqlite:///{desk.folder / 'warmup.db'}")
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def founded(desk: Desk) -> AsyncIterator[World]:
    """A sender and two seeds in it, on `MONDAY`."""
    async with opened(desk) as ledger:
        world = await World.founded(ledger, enrolled_at=MONDAY, sent_folder="Sent")
        await world.read_own(MONDAY)
        await stand_still(ledger, MONDAY)
        yield world


async def stand_still(ledger: Ledger, at: datetime) -> None:
    """Let it be `at` for whoever reads the ledger."""
    await ledger.standings.append([judgement(Subject.DOMAIN, "elsewhere.test", at=at)], now=at)


def judgement(
    kind: Subject,
    subject: str,
    *,
    at: datetime = MONDAY,
    mailbox_id: MailboxId | None = None,
    provider: str | None = None,
    standing: Standing = Standing.SOUND,
    ratios: tuple[float, float, float] = (0.95, 0.85, 0.99),
) -> Judgement:
    """What the judge would say."""
    return Judgement(
        kind=kind,
        subject=subject,
        mailbox_id=mailbox_id,
        provider=provider,
        standing=standing,
        thin=False,
        since=at,
        reason=f"about {ratios[0]:.0%} reach the inbox",
        n=30.0,
        inbox_ratio=ratios[0],
        lower_ratio=ratios[1],
        upper_ratio=ratios[2],
        factor=0.5 if standing is Standing.SLOWED else 1.0,
    )
