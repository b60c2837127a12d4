"""What a message from a machine reports: a bounce, a complaint, an automatic reply, or nothing of the kind.

Standards are read first (RFC 5965 complaints, RFC 3464 delivery reports, RFC 3834 automatic replies), habits second:
a report that only has words is one where a machine sent it *and* it tells of a failure. In doubt it is no bounce, since
an ordinary letter taken for one would cost somebody their address.

Promise: any bytes give a value and never an exception, in bounded time and memory; at most 512 KiB are looked at.
"""

import re
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from warmup.mail.answer import Reply
from warmup.mail.autoreply import is_auto_reply
from warmup.mail.diagnostic import read_diagnostic
from warmup.mail.dialect import Dialects, dialects
from warmup.mail.dsn import MENTIONED, MOST_RECIPIENTS, Account, accounts, embedded_accounts
from warmup.mail.feedback import Complaint, complaint
from warmup.mail.folding import folded
from warmup.mail.notice import Notice, notice
from warmup.mail.notification import Notification, notification
from warmup.mail.parts import Part, leaves, message
from warmup.mail.returned import Returned, returned
from warmup.mail.status import GARBLED


@unique
class Kind(StrEnum):
    """What a report is."""

    REPLY = "reply"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    DELIVERED = "delivered"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """One recipient of a report; the reply's code is -1 where none was said."""

    address: str | None
    action: str | None  # RFC 3464 2.3.3: failed, delayed, delivered, relayed, expanded
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a message reports, and about which message."""

    kind: Kind
    recipients: tuple[Reported, ...] = ()
    feedback_type: str | None = None
    reported_ids: tuple[str, ...] = ()  # with <>: the returned message's, or what an automatic reply answers
    reported_identity: str | None = None  # the returned message's identity header
    reported_from: str | None = None  # the returned message's author


_MOST_TEXT: Final = 65_536
# As Postfix says it, and as policy/blame reads it.
_WHEN: Final = {
    "greeting": "(in reply to greeting)",
    "rcpt": "(in reply to RCPT TO command)",
    "data": "(in reply to end of DATA command)",
}
_QUOTED: Final = re.compile(r"^[ \t]*>[ \t]?(?![>]).*$", re.MULTILINE)
_CODE: Final = re.compile(
    r"(?<![\d.])(?:[45]\d\d[ -]#?[45]\.\d{1,3}\.\d{1,3}(?![\d.])|(?:421|45[0-4]|55[0-6])[ -][a-z<:])"
)
_DAEMON_PATH: Final = re.compile(r"^<?(?:mailer-daemon(?:@\S*)?|postmaster@\S*)?>?$", re.IGNORECASE)
_MACHINE: Final = re.compile(r"auto-?(?:replied|generated|notified)", re.IGNORECASE)
_ANSWER: Final = re.compile(r"^(?:re|aw|fwd?|wg|tr|sv|vs|rv|r|i)\s?:", re.IGNORECASE)
_UNEXPLAINED: Final = re.compile(r"[\W\d_]*\Z")


def read_report(
    raw: bytes, *, identity_header: str | None = "X-Warmup-Id", without: frozenset[str] = frozenset()
) -> Report:
    """What `raw` reports; `without` leaves the dialects of some providers out."""
    known = dialects(without=without)
    report = _read(raw, identity_header, known)
    if not _is_mute(report):
        return report
    # Some gateways wrap another server's report in one of their own that gives no reason.
    enclosed = (leaf.decoded() for leaf in leaves(message(raw)) if leaf.content_type == "message/rfc822")
    inner = next((_read(said, identity_header, known) for said in enclosed), report)
    return inner if inner.kind is Kind.BOUNCE and not _is_mute(inner) else report


def _read(raw: bytes, identity_header: str | None, known: Dialects) -> Report:
    whole = message(raw)
    inner = leaves(whole)
    about = returned(inner, identity_header=identity_header)
    against = complaint(whole, inner)
    if against is not None:
        return _complaint(against, about)
    text = _text(inner)
    told = notification(text)
    if told is not None:
        return _notified(told, about)
    said = tuple(account for leaf in inner for account in _accounts(leaf))
    if said or _is_bounce(whole, text, known, about):
        return _delivery(whole, said or embedded_accounts(text), notice(text, known), about)
    if is_auto_reply(whole, known):
        recipients = (Reported(address=_author(whole), action=None, reply=Reply(code=GARBLED)),)
        return Report(kind=Kind.AUTO_REPLY, recipients=recipients, reported_ids=_answered_ids(whole))
    return Report(kind=Kind.OTHER)


def _delivery(whole: Part, said: tuple[Account, ...], words: Notice, about: Returned) -> Report:
    if said and all(account.is_good_news for account in said):
        recipients = tuple(_told(account) for account in said)
        return _report(Kind.DELIVERED, recipients, about)
    recipients = tuple(_explained(account, words) for account in said) or _from_words(whole, words)
    return _report(Kind.BOUNCE, recipients, about)


def _is_mute(report: Report) -> bool:
    """Whether a bounce gives no reason at all."""
    replies = [reported.reply for reported in report.recipients]
    return all(reply.code == GARBLED and reply.status is None for reply in replies) and report.kind is Kind.BOUNCE


def _told(account: Account, more: str = "") -> Reported:
    text = f"{account.diagnostic} {more}".strip()
    reply = read_diagnostic(text, status=account.status)
    return Reported(address=account.address, action=account.action, reply=reply)


def _explained(account: Account, words: Notice) -> Reported:
    """What an account says, with the notice's words where its own explain nothing."""
    if account.is_good_news:
        return _told(account)
    own = read_diagnostic(account.diagnostic)
    is_mute = _UNEXPLAINED.match(own.text) is not None
    more = [words.about(account.address)] if is_mute else []
    more += [f"[category: {account.category}]"] if account.category else []
    more += [_WHEN.get(words.command or "", "")]
    return _told(account, " ".join(more))


def _from_words(whole: Part, words: Notice) -> tuple[Reported, ...]:
    """The recipients of a report that has words alone."""
    failed = MENTIONED.findall(whole.first("x-failed-recipients")[:4_000])
    addresses = list(dict.fromkeys(failed or words.by_address))[:MOST_RECIPIENTS]
    more = _WHEN.get(words.command or "", "")
    action = "delayed" if re.search(r"\bdelay|warning", folded(whole.words("subject"))) else "failed"
    return tuple(
        Reported(address=address, action=action, reply=read_diagnostic(f"{words.about(address)} {more}"))
        for address in (addresses or [None])
    )


def _is_bounce(whole: Part, text: str, known: Dialects, about: Returned) -> bool:
    """Whether a machine that carries mail sent it, and it tells of a failure.

    Shops and calendars are machines too, and their deliveries fail: who does not call itself a mail system has to show
    a reply or the returned message besides.
    """
    if whole.first("x-failed-recipients"):
        return True
    subject = folded(whole.words("subject")[:300])
    words = folded(_QUOTED.sub("", text[:16_384]))
    by_subject = not _ANSWER.match(subject) and known.subject.search(subject) is not None
    by_words = known.opening.search(words) is not None
    by_reply = not _ANSWER.match(subject) and _CODE.search(words) is not None
    author = folded(whole.words("from")[:300])
    if known.sender.search(author) or _is_daemon_path(whole):
        return by_subject or by_reply or (by_words and "@" in words)
    if known.robot.search(author) and about.is_enclosed:
        return by_words and "@" in words
    is_machine = _MACHINE.match(whole.first("auto-submitted")) is not None or whole.first("return-path") == "<>"
    return is_machine and by_subject and by_words and (by_reply or bool(about.message_ids))


def _is_daemon_path(whole: Part) -> bool:
    path = whole.first("return-path").strip()
    return len(path) > 2 and _DAEMON_PATH.match(path) is not None


def _accounts(leaf: Part) -> tuple[Account, ...]:
    is_report = leaf.content_type in ("message/delivery-status", "message/global-delivery-status")
    return accounts(leaf.text()) if is_report else ()


def _text(inner: tuple[Part, ...]) -> str:
    """The words of a report: its first text parts, plain ones before others, and what a mail program called none."""
    plain = [
        leaf.text() for leaf in inner[:6] if leaf.content_type in ("text/plain", "text") or "/" not in leaf.content_type
    ]
    if any(said.strip() for said in plain):
        return "\n".join(plain)[:_MOST_TEXT]
    others = [
        leaf.text() for leaf in inner[:6] if leaf.content_type in ("text/html", "multipart/report", "multipart/mixed")
    ]
    return "\n".join(others)[:_MOST_TEXT]


def _report(kind: Kind, recipients: tuple[Reported, ...], about: Returned) -> Report:
    return Report(
        kind=kind,
        recipients=recipients,
        reported_ids=about.message_ids,
        reported_identity=about.identity,
        reported_from=about.from_address,
    )


def _complaint(against: Complaint, about: Returned) -> Report:
    addresses = against.recipients or (None,)
    return Report(
        kind=Kind.COMPLAINT,
        recipients=tuple(Reported(address=one, action=None, reply=Reply(code=GARBLED)) for one in addresses),
        feedback_type=against.feedback_type,
        reported_ids=about.message_ids,
        reported_identity=about.identity,
        reported_from=about.from_address,
    )


def _notified(told: Notification, about: Returned) -> Report:
    ids = (told.message_id,) if told.message_id else about.message_ids
    where = Returned(message_ids=ids, identity=about.identity, from_address=told.sender or about.from_address)
    if told.complaint is not None:
        return _complaint(told.complaint, where)
    is_good = bool(told.accounts) and all(account.is_good_news for account in told.accounts)
    recipients = tuple(_told(account) for account in told.accounts)
    return _report(Kind.DELIVERED if is_good else Kind.BOUNCE, recipients, where)


def _author(whole: Part) -> str | None:
    found = MENTIONED.search(whole.first("from")[:1_000])
    return found[0] if found else None


def _answered_ids(whole: Part) -> tuple[str, ...]:
    said = f"{whole.first('in-reply-to')} {whole.first('references')}"[:4_000]
    return tuple(dict.fromkeys(re.findall(r"<[^<>\s]{1,998}>", said)))
