"""What a door that stays shut means: leave it alone for a while, and say so where a person looks.

A refused login is left alone for an hour, and after the second refusal until its operator acts (policy/login): servers
lock accounts that try again and again. Another secret, or a check that logged in, ends that at once. The problem stands
on the mailbox until the same door opens.
"""

from datetime import timedelta

import structlog

from warmup.policy.login import is_spent
from warmup.policy.mailbox import Mailbox, Protocol
from warmup.steps.backoff import REFUSED_SECONDS
from warmup.steps.circle import Circle
from warmup.wire.errors import CredentialsRefused, LoginHeld, Unavailable, WireError
from warmup.wire.hints import hint_for

log = structlog.get_logger("doors")


async def is_left_alone(mailbox: Mailbox, protocol: Protocol, circle: Circle) -> bool:
    """True while a door should not be tried. One that refused a login is, as soon as there is another to try."""
    if not circle.backoff.holds(mailbox.id, protocol, circle.clock.elapsed()):
        return circle.is_shared and await _was_refused_elsewhere(mailbox, protocol, circle)
    refused = circle.backoff.refused_as(mailbox.id, protocol)
    if refused is None or refused == await _login_of(mailbox, protocol, circle):
        return True
    circle.backoff.succeeded(mailbox.id, protocol)
    return False


async def _was_refused_elsewhere(mailbox: Mailbox, protocol: Protocol, circle: Circle) -> bool:
    """True while another node's refusal holds. Its other failures it keeps to itself: they lock nobody's account."""
    if mailbox.problem is None:
        return False
    at = await circle.ledger.logins.last_refused(mailbox.id, protocol)
    wait = timedelta(seconds=REFUSED_SECONDS) * circle.clock.speed
    return at is not None and circle.clock.now() < at + wait


async def _login_of(mailbox: Mailbox, protocol: Protocol, circle: Circle) -> tuple[object, ...]:
    """What tells this login from the next: where, who, by which sealed secret, and whether its refusal still stands."""
    endpoint = mailbox.smtp if protocol is Protocol.SMTP else mailbox.imap
    kept = (await circle.ledger.mailboxes.credentials(mailbox.id)).get(protocol)
    secret = kept or await circle.ledger.mailboxes.grant(mailbox.id)
    stands = protocol in await circle.ledger.logins.refusals(mailbox.id)
    return endpoint, mailbox.username, mailbox.smtp_auth, secret, stands


async def door_opened(mailbox: Mailbox, protocol: Protocol, circle: Circle) -> None:
    """Forget earlier failures of this door."""
    circle.backoff.succeeded(mailbox.id, protocol)
    if mailbox.problem is not None and mailbox.problem.startswith(f"{protocol.value}: "):
        await circle.ledger.mailboxes.clear_problem(mailbox.id)


async def door_shut(mailbox: Mailbox, protocol: Protocol, error: WireError, circle: Circle) -> None:
    """Keep away from it, doubling; note the problem with its fix."""
    endpoint = mailbox.smtp if protocol is Protocol.SMTP else mailbox.imap
    hint = hint_for(error, endpoint, username=mailbox.username)
    if isinstance(error, LoginHeld):
        # It was said when it was given up, and stands on the mailbox.
        circle.backoff.held(mailbox.id, protocol, circle.clock.elapsed())
        circle.backoff.remember(mailbox.id, protocol, await _login_of(mailbox, protocol, circle))
        return
    if isinstance(error, CredentialsRefused):
        await login_refused(mailbox, protocol, str(error), hint, circle)
        return
    is_busy, elapsed = isinstance(error, Unavailable), circle.clock.elapsed()
    chance = circle.clock.rng("backoff", mailbox.id, protocol.value, elapsed).random()
    wait = circle.backoff.failed(mailbox.id, protocol, elapsed, busy=is_busy, chance=chance)
    if is_busy and protocol is Protocol.SMTP:
        circle.narrow.spare(endpoint.host, elapsed)
    problem = f"{protocol.value}: {error}" + (f"; {hint}" if hint else "")
    await circle.ledger.mailboxes.note_problem(mailbox.id, problem, now=circle.clock.now())
    log.warning("door shut", mailbox=mailbox.id, protocol=protocol.value, error=str(error), wait_seconds=round(wait))


async def login_refused(mailbox: Mailbox, protocol: Protocol, said: str, hint: str, circle: Circle) -> None:
    """Note a refused login that the ledger knows of already; raise an alert where it was the last."""
    wait = circle.backoff.failed(mailbox.id, protocol, circle.clock.elapsed(), refused=True)
    circle.backoff.remember(mailbox.id, protocol, await _login_of(mailbox, protocol, circle))
    circle.process.login_failures.labels(mailbox.address, protocol.value).inc()
    spent = is_spent(await circle.ledger.logins.refusals(mailbox.id), protocol)
    given_up = f"not tried again until `warmup mailbox check {mailbox.address}` logs in" if spent else ""
    problem = f"{protocol.value}: {'; '.join(part for part in (said, given_up, hint) if part)}"
    await circle.ledger.mailboxes.note_problem(mailbox.id, problem, now=circle.clock.now())
    if spent:
        log.error("login given up", mailbox=mailbox.id, protocol=protocol.value, error=said)
    else:
        log.warning("login refused", mailbox=mailbox.id, protocol=protocol.value, error=said, wait_seconds=round(wait))
