"""What `status` says of a ledger that went back: what has been noticed, and what the next start of the daemon will."""

from datetime import datetime
from typing import Any

from warmup.cli.output import instant
from warmup.ledger import Ledger


async def restored_of(ledger: Ledger, now: datetime) -> dict[str, Any] | None:
    """Since when, until when at least, and for how many mailboxes sending waits; None where it does not.

    `since` and `held_until` are null where the daemon has yet to notice.
    """
    if await ledger.installation.restore_to_come():
        return {"since": None, "held_until": None, "unread": None}
    hold = await ledger.installation.restored(now=now)
    return None if hold is None else {"since": hold.since, "held_until": hold.until, "unread": hold.unread}


def restored_line(found: dict[str, Any]) -> str:
    """The same for people, in one line."""
    skip = "`warmup run --accept-restore` skips the wait"
    if found["since"] is None:
        return f"restored ledger: the next `warmup run` lets due messages lapse and sends nothing for 24 hours; {skip}"
    until = instant(found["held_until"].replace(microsecond=0))
    return (
        f"restored ledger: nothing is sent before {until} and until {found['unread']} more mailboxes were read; {skip}"
    )
