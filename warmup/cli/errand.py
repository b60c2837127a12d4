"""A message sent because somebody asks where it lands: how it went, in words for a person and for a script.

Shared by `mailbox check --send`, whose message goes to the mailbox itself, and by `test`, whose messages go to seeds.
"""

from collections.abc import Iterable
from typing import Any, assert_never

from warmup.cli.assembly import assembled
from warmup.cli.faults import Exit, Fault
from warmup.cli.invocation import Invocation
from warmup.cli.output import instant, progress
from warmup.mail.answer import Accepted, Deferred, Refused, Reply, Uncertain
from warmup.policy.blame import blame
from warmup.policy.fate import Placement
from warmup.policy.mailbox import Mailbox
from warmup.policy.quota import Hindrance, Lapse, Wait
from warmup.steps.circle import Circle
from warmup.steps.errand import Looked, Sent, find_tests, send_test

_GOOD = frozenset({Placement.INBOX, Placement.PROMOTIONS})


async def test_itself(here: Invocation, mailbox: Mailbox, *, patience: float) -> dict[str, Any]:
    """The report on one message from a mailbox to itself. Raises Fault where nothing may be sent, WireError."""
    async with assembled(here.load().settings, here.environ) as circle:
        sent = await _sent(mailbox, mailbox, circle)
        progress(f"waiting for it, at most {patience:g} s")
        looked = await find_tests([sent] if sent.may_arrive else [], circle, patience=patience)
    return report(sent, looked.get(sent.slot_id))


async def _sent(mailbox: Mailbox, recipient: Mailbox, circle: Circle) -> Sent:
    progress(f"sending one message to {recipient.address}")
    match await send_test(mailbox, recipient, circle):
        case Sent() as sent:
            return sent
        case Wait() | Lapse() as hindered:
            raise hindrance(hindered, mailbox, recipient)


def report(sent: Sent, looked: Looked | None) -> dict[str, Any]:
    """What is said of one test, in the words of `export messages`; `looked` None where it was not looked for."""
    landed = looked.landed if looked else None
    outcome, reply, text = _outcome(sent)
    return {
        "recipient": sent.recipient.address,
        "provider": sent.recipient.receiver,
        "message_id": sent.message_id,
        "outcome": outcome,
        "reply_code": reply.code if reply else None,
        "status": reply.status if reply else None,
        "reply": text,
        "advice": None if outcome == "accepted" else _advice(reply),
        "placement": landed.placement.value if landed else None,
        "folder": landed.folder if landed else None,
        "waited_seconds": round(looked.seconds, 1) if looked else None,
        "problem": (looked.trouble or None) if looked else None,
    }


def is_well(test: dict[str, Any]) -> bool:
    """True where the message was seen where its owner looks."""
    return test["placement"] in {placement.value for placement in _GOOD}


def lines(test: dict[str, Any], *, whom: str) -> Iterable[str]:
    """The report for a person; `whom` the message went to, in words."""
    said = " ".join(str(part) for part in (test["reply_code"], test["reply"]) if part)
    if test["outcome"] in ("refused", "deferred"):
        yield f"the message to {whom} was {test['outcome']}: {said}; {test['advice']}"
        return
    how = "accepted" if test["outcome"] == "accepted" else f"perhaps taken ({said})"
    yield f"the message to {whom} was {how}, and {_where(test)}"
    if test["problem"]:
        yield f"the last look for it failed: {test['problem']}"


def _where(test: dict[str, Any]) -> str:
    seconds = f"{test['waited_seconds']:g} s"
    match test["placement"]:
        case None:
            return f"is missing yet after {seconds}; a running daemon goes on looking, `warmup export messages` tells"
        case Placement.SPAM:
            return f"was seen in the junk folder, {test['folder']}, after {seconds}"
        case Placement.PROMOTIONS:
            return f"was seen in the inbox, under Promotions, after {seconds}"
        case Placement.INBOX:
            return f"was seen in the inbox after {seconds}"
        case _:
            return f"was seen in {test['folder']} after {seconds}: a rule of the mailbox filed it there"


def _outcome(sent: Sent) -> tuple[str, Reply | None, str | None]:
    match sent.answer:
        case Accepted(reply=reply):
            return "accepted", reply, reply.text
        case Refused(reply=reply):
            return "refused", reply, reply.text
        case Deferred(reply=maybe, reason=reason):
            return "deferred", maybe, maybe.text if maybe else reason
        case Uncertain(reason=reason):
            return "uncertain", None, reason
        case _:
            assert_never(sent.answer)


def _advice(reply: Reply | None) -> str:
    return blame(reply).advice if reply else "try again in a while: the connection was lost"


def hindrance(found: Wait | Lapse, mailbox: Mailbox, recipient: Mailbox) -> Fault:
    """Why nothing was sent, as the error a person reads."""
    later = f"try again after {instant(found.until)}" if isinstance(found, Wait) and found.until else "try again later"
    match found.reason:
        case Hindrance.LIMIT:
            what = f"{mailbox.address} has used up the {mailbox.daily_limit} messages it may send in 24 hours"
            return Fault(what, later, code=Exit.TRY_LATER)
        case Hindrance.DOMAIN:
            what = f"the mailboxes of {mailbox.domain} have used up limits.domain_daily together"
            return Fault(what, later, code=Exit.TRY_LATER)
        case Hindrance.HELD:
            what = f"nothing is sent from {mailbox.address} for now, by its server's word or after a restore"
            return Fault(what, later, code=Exit.TRY_LATER)
        case Hindrance.OWN_TRAFFIC:
            what = f"the Sent folder of {mailbox.address} could not be read, so its own mail of today is not known"
            return Fault(what, "warmup mailbox show says why", code=Exit.UNREACHABLE)
        case Hindrance.PAUSED:
            fix = f"warmup mailbox resume {mailbox.address}"
            return Fault(f"{mailbox.address} is paused, and sends nothing", fix, code=Exit.BAD_INPUT)
        case Hindrance.UNVERIFIED:
            fix = f"warmup mailbox check {mailbox.address}"
            return Fault(f"{mailbox.address} has not logged in yet, and sends nothing", fix, code=Exit.BAD_INPUT)
        case _:
            what = f"nothing may be sent from {mailbox.address} to {recipient.address} ({found.reason.value})"
            return Fault(what, "warmup mailbox show says more", code=Exit.BAD_INPUT)
