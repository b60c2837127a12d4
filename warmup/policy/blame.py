"""What a server's refusal says about us: whose matter it is, what should brake, and what a person can do.

Decided by the rules in policy/rules (data: standards before habits). Only what receivers hold against the sender is
evidence of its reputation: a greylisting is a habit, a full mailbox the recipient's, a used-up sending limit our own
provider's. What no rule knows is `unknown` and brakes the lane: doubt brakes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from typing import Final, assert_never

from warmup.mail.answer import Reply
from warmup.mail.folding import folded
from warmup.mail.report import Kind, Reported
from warmup.policy.rulebook import Rule, advice_for, first_match, rules


@unique
class Cause(StrEnum):
    """Why a message was not taken, in the words of `explain`."""

    RECIPIENT_UNKNOWN = "recipient_unknown"
    RECIPIENT_FILTERED = "recipient_filtered"
    RECIPIENT_FULL = "recipient_full"
    CONTENT = "content"
    PROTOCOL = "protocol"
    REPUTATION = "reputation"
    AUTHENTICATION = "authentication"
    CREDENTIALS = "credentials"
    RELAY = "relay"
    RATE = "rate"
    NETWORK = "network"
    SYSTEM = "system"
    UNKNOWN = "unknown"


@unique
class Scope(StrEnum):
    """What should brake."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    LANE = "lane"
    MAILBOX = "mailbox"
    DOMAIN = "domain"
    IP = "ip"
    NETWORK = "network"


@unique
class Permanence(StrEnum):
    """Whether the same again may be taken later."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """What a reply means. `hard`: this address will never take mail. `wait`: how long the sayer wants us away."""

    cause: Cause
    scope: Scope
    permanence: Permanence
    hard: bool
    advice: str
    wait: timedelta | None = None
    greylisted: bool = False


_GOOD_NEWS: Final = frozenset({"delivered", "relayed", "expanded"})
_SCOPES: Final = {
    Cause.RECIPIENT_UNKNOWN: Scope.RECIPIENT,
    Cause.RECIPIENT_FILTERED: Scope.RECIPIENT,
    Cause.RECIPIENT_FULL: Scope.RECIPIENT,
    Cause.CONTENT: Scope.MESSAGE,
    Cause.PROTOCOL: Scope.MESSAGE,
    Cause.REPUTATION: Scope.LANE,
    Cause.AUTHENTICATION: Scope.DOMAIN,
    Cause.CREDENTIALS: Scope.MAILBOX,
    Cause.RELAY: Scope.MAILBOX,
    Cause.RATE: Scope.LANE,
    Cause.NETWORK: Scope.NETWORK,
    Cause.SYSTEM: Scope.LANE,
    Cause.UNKNOWN: Scope.LANE,
}


def blame(reply: Reply, *, action: str | None = None, asked: Sequence[Rule] | None = None) -> Blame:
    """What `reply` means; `action` is a report's word for what became of the message (RFC 3464 2.3.3).

    `asked` are other rules than all of ours, in their order.
    """
    if reply.is_positive:
        return _without_refusal("accepted")
    # RFC 3463 3.1: X.0.0 is "other or undefined", and says as little as no status.
    subject = (reply.status or "").partition(".")[2]
    subject = "" if subject.startswith("0.") else subject
    words = folded(reply.text)
    rule = first_match(rules() if asked is None else asked, code=reply.code, subject=subject, words=words)
    cause = Cause.UNKNOWN if rule is None else Cause(rule.cause)
    return Blame(
        cause=cause,
        scope=Scope(rule.scope) if rule and rule.scope else _SCOPES[cause],
        permanence=_permanence(reply, action),
        hard=rule is not None and rule.hard,
        advice=advice_for(rule.advice if rule else "", cause.value),
        wait=rule.wait if rule else None,
        greylisted=rule is not None and rule.greylisted,
    )


def blame_reported(kind: Kind, reported: Reported, *, asked: Sequence[Rule] | None = None) -> Blame:
    """What a report of this `kind` means for one of its recipients."""
    match kind:
        case Kind.COMPLAINT:
            return _without_refusal("complaint", cause=Cause.REPUTATION)
        case Kind.AUTO_REPLY:
            return _without_refusal("auto_reply")
        case Kind.DELIVERED | Kind.OTHER:
            return _without_refusal("delivered")
        case Kind.BOUNCE | Kind.REPLY:
            is_good = reported.action in _GOOD_NEWS
            return (
                _without_refusal("delivered") if is_good else blame(reported.reply, action=reported.action, asked=asked)
            )
        case _:
            assert_never(kind)


def _without_refusal(advice: str, *, cause: Cause = Cause.UNKNOWN) -> Blame:
    """Nothing was refused: there is nobody to blame, except where somebody complained."""
    scope = Scope.MESSAGE if cause is Cause.UNKNOWN else _SCOPES[cause]
    return Blame(
        cause=cause, scope=scope, permanence=Permanence.UNKNOWN, hard=False, advice=advice_for(advice, cause.value)
    )


def _permanence(reply: Reply, action: str | None) -> Permanence:
    """By the reply code, else by the status's class, else by what a report says was done (RFC 3464 2.3.3)."""
    first = str(reply.code)[0] if reply.is_transient or reply.is_permanent else (reply.status or "")[:1]
    if first == "4" or (not first and action == "delayed"):
        return Permanence.TRANSIENT
    if first == "5" or (not first and action == "failed"):
        return Permanence.PERMANENT
    return Permanence.UNKNOWN


def is_objection(reply: Reply | None) -> bool:
    """True where the reply is a receiver's objection to this sender; a lost connection (None) is none."""
    if reply is None or not (reply.is_transient or reply.is_permanent):
        return False
    found = blame(reply)
    # A recipient's settings are not a receiver's opinion, and our own provider's limit or block is not a lane's.
    if found.greylisted or found.scope in (Scope.RECIPIENT, Scope.MAILBOX):
        return False
    is_policy = (reply.status or "")[1:].startswith(".7.")
    return found.cause in (Cause.REPUTATION, Cause.AUTHENTICATION) or (found.cause is Cause.RATE and is_policy)


def cause_of(reply: Reply) -> str:
    """The cause of a refusal as the metric of bounces names it."""
    return blame(reply).cause.value
