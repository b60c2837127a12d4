"""The parsers of foreign bytes, each as a function of bytes that asserts what it promises for any."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Final

from warmup.cli.answers import auth_results_answer, report_answer
from warmup.cli.explain_lines import answer_lines
from warmup.mail.authres import MOST_RESULTS, read_auth_results
from warmup.mail.diagnostic import read_diagnostic
from warmup.mail.dsn import MOST_RECIPIENTS
from warmup.mail.header import parse_header_block
from warmup.mail.report import Kind, read_report
from warmup.mail.status import GARBLED, read_reply
from warmup.policy.blame import blame, is_objection
from warmup.wire.errors import WireError
from warmup.wire.imap_fetch import fetched, folders, searched
from warmup.wire.imap_syntax import ResponseReader


def reply(raw: bytes) -> None:
    """An SMTP reply, and the words of a report about one."""
    for read in (read_reply(raw), read_diagnostic(raw.decode("utf-8", "replace"))):
        found = blame(read)
        assert found.advice
        assert not (found.hard and is_objection(read))
        assert read.code == GARBLED or 200 <= read.code < 600
        assert read.text.isprintable()


def report(raw: bytes) -> None:
    """A message that may be a report."""
    read = read_report(raw)
    assert len(read.recipients) <= MOST_RECIPIENTS
    assert (read.kind is Kind.COMPLAINT) == (read.feedback_type is not None)
    assert all(one.startswith("<") and one.endswith(">") for one in read.reported_ids)
    json.dumps(report_answer(read), ensure_ascii=False).encode("utf-8")


def auth_results(raw: bytes) -> None:
    """An Authentication-Results header."""
    read = read_auth_results(raw.decode("utf-8", "replace"))
    assert len(read.results) <= MOST_RESULTS
    assert all(one.method.islower() and one.result for one in read.results)
    json.dumps(auth_results_answer(read))


def header(raw: bytes) -> None:
    """A header block."""
    read = parse_header_block(raw)
    assert read.from_address is None or "@" in read.from_address


def imap(raw: bytes) -> None:
    """What an IMAP server says: responses and the values in them, or a refusal."""
    reader = ResponseReader()
    try:
        responses = reader.feed(raw)
        list(fetched(responses))
        folders(responses)
        searched(responses)
    except WireError:
        return
    assert all(response.name.isupper() or response.name == "" for response in responses)


def lines(raw: bytes) -> None:
    """A stream of questions in JSON lines."""
    told = io.BytesIO()
    answer_lines(io.BytesIO(raw), told)
    asked = [line for line in raw.split(b"\n") if line.strip()]
    answers = told.getvalue().splitlines()
    assert len(answers) == len(asked)
    assert all("id" in json.loads(answer) for answer in answers)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "reply": reply,
    "report": report,
    "auth-results": auth_results,
    "header": header,
    "imap": imap,
    "lines": lines,
}
