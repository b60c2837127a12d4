"""What a mail system writes by itself: delivery reports (RFC 3464), complaints (RFC 5965), and what it saw at its door.

Spelled by hand, so that the same message gives the same bytes.
"""

from datetime import datetime

from warmup.mail.answer import Reply

_MOST_RETURNED = 4096


def delivery_report(returned: bytes, *, sender: str, recipient: str, host: str, reply: Reply, at: datetime) -> bytes:
    """The report to `sender` that its message could not be delivered to `recipient`, whose server said `reply`."""
    action = "failed" if reply.is_permanent else "delayed"
    status = reply.status or ("5.0.0" if reply.is_permanent else "4.0.0")
    words = f"This is the mail system at {host}.\r\n\r\nYour message could not be delivered to {recipient}: {reply}\r\n"
    about = (
        f"Reporting-MTA: dns; {host}\r\nArrival-Date: {_spelled(at)}\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {reply}\r\n"
    )
    head = _head(f"MAILER-DAEMON@{host}", sender, "Undelivered Mail Returned to Sender", host, at)
    return _report(head, "delivery-status", words, about, returned)


def complaint(returned: bytes, *, sender: str, recipient: str, host: str, at: datetime) -> bytes:
    """The feedback report to `sender` that `recipient` called its message abuse."""
    words = f"A user of {host} reported this message as unwanted.\r\n"
    about = (
        "Feedback-Type: abuse\r\nUser-Agent: sandbox/1\r\nVersion: 1\r\n"
        f"Original-Mail-From: <{sender}>\r\nOriginal-Rcpt-To: <{recipient}>\r\n"
    )
    head = _head(f"feedback@{host}", sender, "Abuse report", host, at)
    return _report(head, "feedback-report", words, about, returned)


def vouched(raw: bytes, authserv_id: str, results: str) -> bytes:
    """The message with the Authentication-Results of the receiving `authserv_id` on top."""
    return f"Authentication-Results: {authserv_id}; {results}\r\n".encode() + raw


def _head(author: str, sender: str, subject: str, host: str, at: datetime) -> str:
    return (
        f"Return-Path: <>\r\nFrom: {author}\r\nTo: {sender}\r\nSubject: {subject}\r\nDate: {_spelled(at)}\r\n"
        f"Message-ID: <{at.timestamp():.0f}.{len(sender)}@{host}>\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
    )


def _report(head: str, kind: str, words: str, about: str, returned: bytes) -> bytes:
    mark = "=_sandbox"
    lines = (
        f'{head}Content-Type: multipart/report; report-type={kind}; boundary="{mark}"\r\n\r\n'
        f"--{mark}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{words}\r\n"
        f"--{mark}\r\nContent-Type: message/{kind}\r\n\r\n{about}\r\n"
        f"--{mark}\r\nContent-Type: message/rfc822\r\n\r\n"
    )
    return lines.encode() + returned[:_MOST_RETURNED] + f"\r\n--{mark}--\r\n".encode()


def _spelled(at: datetime) -> str:
    return f"{at:%a, %d %b %Y %H:%M:%S} +0000"
