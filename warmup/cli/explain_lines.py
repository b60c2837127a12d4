"""`warmup explain --jsonl`: an answer for every line, in order, in bounded memory, and none is too bad for one."""

import base64
import binascii
import json
import math
import re
from typing import Any, BinaryIO, Final

from warmup.cli.answers import Answer, auth_results_answer, reply_report, report_answer
from warmup.mail.authres import read_auth_results
from warmup.mail.parts import MOST_BYTES
from warmup.mail.report import read_report

MOST_LINE: Final = 16 * 1024 * 1024
_MOST_BASE64: Final = MOST_BYTES // 3 * 4
_ID: Final = re.compile(rb'"id"\s*:\s*("(?:[^"\\]|\\.){0,200}"|-?\d{1,18}(?!\d)|null)')
_ASKS: Final = ("reply", "message_base64", "auth_results")
_BLANKS: Final = re.compile(r"\s+")


class _Unanswerable(Exception):
    """A line that cannot be answered, and why."""


def answer_lines(asked: BinaryIO, told: BinaryIO) -> None:
    """Answer every line of `asked` on `told`, each as soon as it is read; empty lines have none."""
    while line := asked.readline(MOST_LINE):
        if not line.endswith(b"\n") and len(line) == MOST_LINE:
            _pass_over_rest(asked)
            answer = {
                "id": _id_in(line),
                "error": f"the line is longer than {MOST_LINE} bytes; send less of the message",
            }
        elif line.strip():
            answer = _answered(line)
        else:
            continue
        told.write(_spelled(answer) + b"\n")
        told.flush()


def _spelled(answer: Answer) -> bytes:
    try:
        return json.dumps(answer, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        # Half a character has no UTF-8, and goes as it came.
        return json.dumps(answer).encode("ascii")


def _answered(line: bytes) -> Answer:
    """The answer to one line, with its id; `error` says what is wrong with one that has none."""
    try:
        question = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {"id": _id_in(line), "error": "the line is no JSON; write one object a line"}
    if not isinstance(question, dict):
        return {"id": None, "error": "the line is no JSON object; write one object a line"}
    name = question.get("id")
    # A number too large to be one is read as infinite, which JSON has no word for.
    if isinstance(name, dict | list) or (isinstance(name, float) and not math.isfinite(name)):
        return {"id": None, "error": "the id is neither text nor a number; write one of them"}
    try:
        return {"id": name, **_answer(question)}
    except _Unanswerable as reason:
        return {"id": name, "error": str(reason)}


def _refuse(word: str) -> None:
    # RFC 8259 knows no NaN and no Infinity, and our answer must not repeat them.
    raise ValueError(word)


def _answer(question: dict[str, Any]) -> Answer:
    asks = [name for name in _ASKS if name in question]
    if len(asks) != 1:
        raise _Unanswerable(f"the line needs one of {', '.join(_ASKS)}; it has {len(asks)}")
    said = question[asks[0]]
    if not isinstance(said, str):
        raise _Unanswerable(f"{asks[0]} is no text; write it as a JSON string")
    match asks[0]:
        case "reply":
            return report_answer(reply_report(said))
        case "message_base64":
            return report_answer(read_report(_decoded(said)))
        case _:
            return auth_results_answer(read_auth_results(said))


def _decoded(said: str) -> bytes:
    """The message, as far as it is looked at."""
    try:
        return base64.b64decode(_BLANKS.sub("", said)[:_MOST_BASE64], validate=True)
    except (binascii.Error, ValueError):
        raise _Unanswerable("message_base64 is no base64; encode the message's bytes (RFC 4648 4)") from None


def _id_in(line: bytes) -> Any:
    """The id of a line that cannot be read, where it can be found."""
    found = _ID.search(line[:4096])
    try:
        return json.loads(found[1]) if found else None
    except ValueError:
        return None


def _pass_over_rest(asked: BinaryIO) -> None:
    while (more := asked.readline(MOST_LINE)) and not more.endswith(b"\n"):
        continue
