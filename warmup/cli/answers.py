"""What was read and judged, as the JSON objects of `explain`."""

from typing import Any

from warmup.mail.authres import AuthResults
from warmup.mail.diagnostic import read_diagnostic
from warmup.mail.report import Kind, Report, Reported
from warmup.mail.status import GARBLED
from warmup.policy.blame import blame_reported

Answer = dict[str, Any]


def reply_report(said: str) -> Report:
    """An SMTP reply, as a server said it or a log tells it, in the shape of a report about one nameless recipient."""
    return Report(kind=Kind.REPLY, recipients=(Reported(address=None, action=None, reply=read_diagnostic(said)),))


def report_answer(report: Report) -> Answer:
    """The answer about what was read as `report`."""
    answer: Answer = {"kind": report.kind.value}
    if report.kind is Kind.COMPLAINT:
        answer["feedback_type"] = report.feedback_type
    return {**answer, "recipients": [_recipient(report.kind, reported) for reported in report.recipients]}


def auth_results_answer(read: AuthResults) -> Answer:
    """The answer about an Authentication-Results header."""
    results = [
        {"method": result.method, "result": result.result, "properties": dict(result.properties)}
        for result in read.results
    ]
    return {"authserv_id": read.authserv_id, "results": results}


def _recipient(kind: Kind, reported: Reported) -> Answer:
    found = blame_reported(kind, reported)
    return {
        "address": reported.address,
        "action": reported.action,
        "status": reported.reply.status,
        "reply_code": None if reported.reply.code == GARBLED else reported.reply.code,
        "permanence": found.permanence.value,
        "cause": found.cause.value,
        "hard": found.hard,
        "advice": found.advice,
        "scope": found.scope.value,
    }
