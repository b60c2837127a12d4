"""A fleet of any size, written straight into a ledger: enrolling ten thousand mailboxes by logins is not the question.

Nobody's servers are asked and no secret is needed: these mailboxes are planned for and waited with, never sent from.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.ledger import Ledger
from warmup.ledger.slots import NewDay
from warmup.policy.mailbox import Endpoint, Security

RECEIVERS = ("gmail", "outlook", "yahoo", "fastmail", "elsewhere")
EACH = 10
"""Mailboxes of a domain."""

_AT_ONCE = 1000


def members(size: int, *, enrolled_at: datetime, target: int | None = None) -> Iterator[NewMailbox]:
    """Verified mailboxes, ten to a domain, at five receivers in turn."""
    for number in range(size):
        address = f"box{number}@company{number // EACH}.test"
        yield NewMailbox(
            address=address,
            provider="custom",
            receiver=RECEIVERS[number % len(RECEIVERS)],
            ramp="standard",
            target=target,
            daily_limit=500,
            smtp=Endpoint(host="127.0.0.1", port=1 + number, security=Security.NONE),
            imap=Endpoint(host="127.0.0.1", port=1 + number, security=Security.NONE),
            username=address,
            enrolled_at=enrolled_at,
            verified_at=enrolled_at,
        )


async def enrol(ledger: Ledger, size: int, *, enrolled_at: datetime, target: int | None = None) -> None:
    """Put a fleet into the ledger."""
    fleet = list(members(size, enrolled_at=enrolled_at, target=target))
    for start in range(0, size, _AT_ONCE):
        await ledger.mailboxes.add_all((new, ()) for new in fleet[start : start + _AT_ONCE])


async def plan_nothing(ledger: Ledger, dates: tuple[date, ...], *, now: datetime) -> None:
    """Record for everybody that these dates send nothing: then nothing is due for as long as they last."""
    for mailbox in await ledger.mailboxes.list():
        for number, on in enumerate(dates, start=1):
            day = NewDay(date=on, day=number, ceiling=0, target=0, reason="bench")
            await ledger.slots.record(mailbox.id, day, (), now=now)


def around(now: datetime) -> tuple[date, date, date]:
    """The dates on which it may be `now` within a day."""
    return ((now - timedelta(days=1)).date(), now.date(), (now + timedelta(days=1)).date())
