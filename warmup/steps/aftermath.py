"""What follows from a server's answer to a message, at once: a hold, a suppression, a login given up, a spared server.

What it says about reputation is not decided here: the judge reads it from the outcome, at once where it is about more
than the lane.
"""

from datetime import datetime

import structlog

from warmup.ledger.enrolled import account_key
from warmup.ledger.holds import NewHold
from warmup.ledger.slots import Slot
from warmup.mail.answer import Answer, Deferred, Refused, Reply
from warmup.policy.blame import Blame, Permanence, Scope, blame
from warmup.policy.consequence import Whose, pause, reach, wants_one_connection
from warmup.policy.login import is_refused
from warmup.policy.mailbox import Mailbox, Protocol
from warmup.policy.objection import is_about
from warmup.steps.circle import Circle
from warmup.steps.judge import judge
from warmup.steps.trouble import login_refused
from warmup.wire.errors import quote

log = structlog.get_logger("send")


async def follow(answer: Answer, slot: Slot, mailbox: Mailbox, recipient: Mailbox, circle: Circle) -> bool:
    """Do what the answer asks for; False where nothing more should be said on this connection."""
    reply = answer.reply if isinstance(answer, Deferred | Refused) else None
    if reply is None:
        return True
    found, now = blame(reply), circle.clock.now()
    if is_refused(reply):
        await circle.ledger.logins.refused(mailbox.id, Protocol.SMTP, now=now)
        await login_refused(mailbox, Protocol.SMTP, quote(str(reply)), found.advice, circle)
        return False
    if found.hard and found.permanence is Permanence.PERMANENT:
        await _suppress(recipient, reply, circle)
    hold = await hold_of(reply, found, slot, mailbox, since=now, circle=circle)
    if hold is not None:
        await circle.ledger.holds.hold(slot.account_id, hold, now=now)
        log.warning(
            "held",
            mailbox=mailbox.id,
            lane=hold.provider or None,
            of=hold.domain or hold.server or None,
            until=hold.until.isoformat(),
            cause=found.cause.value,
            code=reply.code,
            status=reply.status,
        )
    if is_about(found, Scope.MAILBOX) or is_about(found, Scope.DOMAIN):
        # Its other lanes, and its domain's other mailboxes, must not go on for the hour that judgements are apart.
        await judge(mailbox.id, circle)
    if wants_one_connection(reply, found):
        circle.narrow.spare(mailbox.smtp.host, circle.clock.elapsed())
    return True


async def hold_of(
    reply: Reply, found: Blame, slot: Slot, mailbox: Mailbox, *, since: datetime, circle: Circle
) -> NewHold | None:
    """The hold that follows from a reply said at `since`, by SMTP or in a report; None: nobody is held by it.

    What is said while the same hold lasts was on its way when that began: it is no second in a row, and lengthens the
    hold only where its own word is longer.
    """
    held = reach(reply, found)
    if held is None:
        return None
    provider = slot.provider if held.lane_only else ""
    domain = mailbox.domain if held.whose is Whose.DOMAIN else ""
    server = account_key(mailbox.smtp.host, mailbox.username)[0] if held.whose is Whose.SERVER else ""
    holds, account_id = circle.ledger.holds, slot.account_id
    running = await holds.held_until(account_id, provider, domain=domain, server=server)
    lasts = running is not None and since < running
    before = None if lasts else await holds.held_before(account_id, provider, domain=domain, server=server)
    until = since + pause(found, before=before, rng=circle.clock.rng("hold", slot.id, since.isoformat()))
    if running is not None and until <= running:
        return None
    return NewHold(until=until, reason=str(reply), provider=provider, domain=domain, server=server)


async def _suppress(recipient: Mailbox, reply: Reply, circle: Circle) -> None:
    if await circle.ledger.standings.suppress(recipient.address, str(reply), now=circle.clock.now()):
        log.warning("suppressed", mailbox=recipient.id, code=reply.code, status=reply.status)
