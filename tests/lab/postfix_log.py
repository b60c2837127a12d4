"""Postfix's log read back as deliveries and refusals.

What went into the queue is what Postfix accepted: a `from=` line of qmgr. The instant is in the long queue id, to the
microsecond: it is when the queue file was opened, at the first RCPT, so never later than the answer to the final dot.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

# Postfix's safe_ultostr alphabet without vowels, base 52; see enable_long_queue_ids in postconf(5).
_DIGITS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LINE = re.compile(r"postfix(?:/\w+)?/(?P<who>\w+)\[\d+\]: (?P<queue_id>[0-9A-Za-z]{12,}): (?P<text>.*)")
_CLIENT = re.compile(r"client=.*\bsasl_username=(?P<login>[^,]+)")
_MESSAGE_ID = re.compile(r"message-id=(?P<id>.*)")
_FROM = re.compile(r"from=<(?P<sender>[^>]*)>, size=")
_TO = re.compile(
    r"to=<(?P<to>[^>]*)>,.* dsn=(?P<dsn>[\d.]+), status=(?P<status>\w+) \((?P<reply>.*)\)$",
)
_REJECT = re.compile(
    r"reject: (?P<stage>\S+) from \S+: (?P<code>\d{3}) (?P<status>\d\.\d+\.\d+) (?P<reply>.*);"
    r"(?: from=<(?P<sender>[^>]*)>)?(?: to=<(?P<to>[^>]*)>)?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message Postfix accepted for one recipient.

    `status` is sent, deferred, bounced, or queued while nothing is known; `login` is empty for Postfix's own reports;
    `instant` is when it came in, real time, UTC.
    """

    queue_id: str
    message_id: str
    sender: str
    recipient: str
    login: str
    status: str
    dsn: str
    reply: str
    instant: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One command Postfix said no to: RCPT, MAIL, END-OF-MESSAGE, …"""

    stage: str
    code: int
    status: str
    reply: str
    sender: str
    recipient: str


@dataclass(slots=True)
class _Queued:
    accepted: bool = False
    message_id: str = ""
    sender: str = ""
    login: str = ""
    # Recipient to (status, dsn, reply) of its latest attempt.
    ends: dict[str, tuple[str, str, str]] = field(default_factory=dict)


def arrival(queue_id: str) -> datetime:
    """When the message with this long queue id came in; raises ValueError for a short id."""
    stamp, found, _ = queue_id.rpartition("z")
    if not found or len(stamp) < 10:
        raise ValueError(f"not a long queue id: {queue_id}")
    # Seconds come first, then four digits of microseconds.
    return _EPOCH + timedelta(seconds=_number(stamp[:-4]), microseconds=_number(stamp[-4:]))


def deliveries(lines: Iterable[str]) -> list[Delivery]:
    """What was accepted, in order of arrival; copies for a Sent folder (`+sent`) are not counted."""
    queue: defaultdict[str, _Queued] = defaultdict(_Queued)
    for line in lines:
        if found := _LINE.search(line):
            _note(queue[found["queue_id"]], found["who"], found["text"])
    listed = [
        _delivery(queue_id, message, recipient, end)
        for queue_id, message in queue.items()
        if message.accepted
        for recipient, end in (message.ends or {"": ("queued", "", "")}).items()
        if not recipient.partition("@")[0].endswith("+sent")
    ]
    return sorted(listed, key=lambda delivery: delivery.instant)


def refusals(lines: Iterable[str]) -> list[Refusal]:
    """What was refused, in order."""
    return [
        Refusal(
            stage=found["stage"],
            code=int(found["code"]),
            status=found["status"],
            reply=found["reply"],
            sender=found["sender"] or "",
            recipient=found["to"] or "",
        )
        for line in lines
        if (found := _REJECT.search(line))
    ]


def over_limit(
    accepted: Iterable[Delivery], limits: Mapping[str, int], *, speed: float
) -> list[tuple[str, datetime, int]]:
    """Every (login, start, count) of a 24 hours, by a clock `speed` times ours, that hold more than the limit."""
    day = timedelta(seconds=86_400 / speed)
    by_login: defaultdict[str, list[datetime]] = defaultdict(list)
    for delivery in accepted:
        by_login[delivery.login].append(delivery.instant)
    return [
        (login, instants[end - count + 1], count)
        for login, limit in limits.items()
        for instants in (sorted(by_login[login]),)
        for end in range(len(instants))
        if (count := sum(instant > instants[end] - day for instant in instants[: end + 1])) > limit
    ]


def _note(message: _Queued, who: str, text: str) -> None:
    if who == "smtpd" and (found := _CLIENT.match(text)):
        message.login = found["login"].lower()
    elif who == "cleanup" and (found := _MESSAGE_ID.match(text)):
        message.message_id = found["id"]
    elif who == "qmgr" and (found := _FROM.match(text)):
        message.accepted, message.sender = True, found["sender"]
    elif found := _TO.match(text):
        message.ends[found["to"]] = (found["status"], found["dsn"], found["reply"])


def _delivery(queue_id: str, message: _Queued, recipient: str, end: tuple[str, str, str]) -> Delivery:
    status, dsn, reply = end
    return Delivery(
        queue_id=queue_id,
        message_id=message.message_id,
        sender=message.sender,
        recipient=recipient,
        login=message.login,
        status=status,
        dsn=dsn,
        reply=reply,
        instant=arrival(queue_id),
    )


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * 52 + _DIGITS.index(digit)
    return value
