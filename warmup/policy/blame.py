"""What a server's refusal says about us: does it count as an objection to this sender?

Only what receivers hold against the sender is evidence of its reputation. A greylisting is a habit, a full mailbox the
recipient's, a used-up sending limit our own provider's.
"""

from warmup.mail.answer import Deferred, Reply
from warmup.policy.retry import Patience, patience

# RFC 3463 3.8: X.7 is security or policy. These details of it speak of the login or the connection, not of reputation
# (RFC 4954 6, RFC 5248): 7.8 credentials, 7.9 and 7.11 mechanism and encryption, 7.10 encryption, 7.14 trust, 7.30
# basic authentication switched off (FACTS).
_NOT_REPUTATION = frozenset({"8", "9", "10", "11", "12", "13", "14", "30"})


def is_objection(reply: Reply | None) -> bool:
    """True where the reply is a receiver's objection to this sender; a lost connection (None) is none."""
    if reply is None or not (reply.is_transient or reply.is_permanent):
        return False
    if reply.is_transient and patience(Deferred(reply=reply)) is Patience.GREYLISTED:
        return False
    _, _, detail = (reply.status or "").partition(".7.")
    return bool(detail) and detail not in _NOT_REPUTATION


def cause_of(reply: Reply) -> str:
    """The cause of a refusal in the words of CONTRACT's `explain`, by its enhanced status first (RFC 3463)."""
    subject = ".".join((reply.status or "").split(".")[1:])
    for prefix, cause in _CAUSES:
        if subject == prefix or subject.startswith(f"{prefix}."):
            return cause
    return _BY_CODE.get(reply.code, "unknown")


# RFC 3463 3.2–3.8, details before subjects; 4.5 under FACTS: Google's word for a used-up limit.
_CAUSES = (
    ("1.1", "recipient_unknown"),
    ("1.2", "recipient_unknown"),
    ("1.6", "recipient_unknown"),
    ("1.10", "recipient_unknown"),
    ("1", "protocol"),
    ("2.1", "recipient_unknown"),
    ("2.2", "recipient_full"),
    ("2.3", "content"),
    ("2", "recipient_filtered"),
    ("3.4", "content"),
    ("3", "system"),
    ("4.5", "rate"),
    ("4", "network"),
    ("5", "protocol"),
    ("6", "content"),
    ("7.8", "credentials"),
    ("7.9", "credentials"),
    ("7.20", "authentication"),
    ("7.23", "authentication"),
    ("7.25", "authentication"),
    ("7.26", "authentication"),
    ("7.515", "authentication"),
    ("7", "reputation"),
)
_BY_CODE = {
    421: "rate",
    450: "rate",
    451: "system",
    452: "system",
    535: "credentials",
    552: "content",
    554: "reputation",
}
