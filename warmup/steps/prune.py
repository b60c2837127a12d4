"""What of history may go? Asked once a day, in the name of the whole fleet; batch after batch, between other work."""

from collections import Counter
from datetime import timedelta

import structlog

from warmup.policy.retention import horizons
from warmup.steps.circle import Circle

log = structlog.get_logger("prune")


async def prune(circle: Circle) -> None:
    """Forget what is past `[retention] days` and what nothing reads any more."""
    settings = circle.settings
    expire_after = timedelta(days=settings.engage.expire_after_days)

    beyond = horizons(circle.clock.now(), days=settings.retention.days, expire_after=expire_after)

    gone: Counter[str] = Counter()
    async for told in circle.ledger.retention.forget(beyond):
        gone[told.table] += told.rows
    if gone := +gone:
        log.info("forgotten", before=beyond.upkeep.isoformat(), messages_before=beyond.messages.isoformat(), **gone)
