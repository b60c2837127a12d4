"""What a door that stays shut means: leave it alone for a while, and say so where a person looks.

A refused login is left alone for an hour at least: servers lock accounts that try again and again. The problem stands
on the mailbox until the same door opens.
"""

import structlog

from warmup.policy.mailbox import Mailbox, Protocol
from warmup.steps.circle import Circle
from warmup.wire.errors import CredentialsRefused, WireError
from warmup.wire.hints import hint_for

log = structlog.get_logger("doors")


async def door_opened(mailbox: Mailbox, protocol: Protocol, circle: Circle) -> None:
    """Forget earlier failures of this door."""
    circle.backoff.succeeded(mailbox.id, protocol)
    if mailbox.problem is not None and mailbox.problem.startswith(f"{protocol.value}: "):
        await circle.ledger.mailboxes.clear_problem(mailbox.id)


async def door_shut(mailbox: Mailbox, protocol: Protocol, error: WireError, circle: Circle) -> None:
    """Keep away from it, doubling; note the problem with its fix."""
    refused = isinstance(error, CredentialsRefused)
    wait = circle.backoff.failed(mailbox.id, protocol, circle.clock.elapsed(), refused=refused)
    if refused:
        circle.process.login_failures.labels(mailbox.address, protocol.value).inc()
    endpoint = mailbox.smtp if protocol is Protocol.SMTP else mailbox.imap
    hint = hint_for(error, endpoint, username=mailbox.username)
    problem = f"{protocol.value}: {error}" + (f"; {hint}" if hint else "")
    await circle.ledger.mailboxes.note_problem(mailbox.id, problem, now=circle.clock.now())
    log.warning("door shut", mailbox=mailbox.id, protocol=protocol.value, error=str(error), wait_seconds=round(wait))
