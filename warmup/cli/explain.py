"""`warmup explain`: what a server meant and what to do, for people, scripts and pipes.

Read by mail/ and judged by policy/blame; here only words and JSON are made of it. It needs no configuration and no
ledger, and nothing it is given is bad beyond saying so: an unreadable file is 65, a bad line of --jsonl is answered.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from warmup.cli.answers import auth_results_answer, reply_report, report_answer
from warmup.cli.explain_lines import answer_lines
from warmup.cli.faults import bad_input, wrong_usage
from warmup.cli.output import Json, print_json
from warmup.mail.authres import AuthResults, read_auth_results
from warmup.mail.parts import MOST_BYTES
from warmup.mail.report import Kind, Report, Reported, read_report
from warmup.policy.blame import Blame, Cause, Permanence, blame_reported

app = typer.Typer(add_completion=False)

_MOST_SHOWN = 300
_MEANINGS = {
    Cause.RECIPIENT_UNKNOWN: "no such recipient, or none any more",
    Cause.RECIPIENT_FILTERED: "refused by the recipient's own settings",
    Cause.RECIPIENT_FULL: "the mailbox is full",
    Cause.CONTENT: "the content was refused",
    Cause.PROTOCOL: "a rule of the protocol was broken",
    Cause.REPUTATION: "the sender is not trusted",
    Cause.AUTHENTICATION: "SPF, DKIM, DMARC or reverse DNS",
    Cause.CREDENTIALS: "the login was refused",
    Cause.RELAY: "not passed on, or no mail taken there",
    Cause.RATE: "too much, too fast, or a second try is wanted",
    Cause.NETWORK: "name service, connection or encryption",
    Cause.SYSTEM: "a fault of the other server",
    Cause.UNKNOWN: "it does not say",
}
_PERMANENCE = {
    Permanence.TRANSIENT: "may pass",
    Permanence.PERMANENT: "for good",
    Permanence.UNKNOWN: "for how long is not said",
}
_KINDS = {
    Kind.REPLY: "an SMTP reply",
    Kind.BOUNCE: "a delivery report: not delivered (yet)",
    Kind.COMPLAINT: "a complaint",
    Kind.AUTO_REPLY: "an automatic reply",
    Kind.DELIVERED: "a delivery report: delivered",
    Kind.OTHER: "neither report, complaint nor automatic reply",
}


@app.command()
def explain(
    reply: Annotated[
        str | None,
        typer.Argument(metavar="[REPLY]", show_default=False, help="What a server said; - reads it from stdin."),
    ] = None,
    message: Annotated[
        Path | None, typer.Option("--message", metavar="FILE.eml", help="A report or any other mail; - is stdin.")
    ] = None,
    auth_results: Annotated[
        str | None, typer.Option("--auth-results", metavar="HEADER", help="An Authentication-Results header.")
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="A JSON object a line on stdin, an answer a line on stdout.")
    ] = False,
    json: Json = False,
) -> None:
    """Say in plain words what a server meant, and what to do.

    REPLY is an SMTP reply with its codes, of one line or many. With --jsonl a line has an "id" and one of "reply",
    "message_base64" and "auth_results".
    """
    if sum(given is not None for given in (reply, message, auth_results)) + jsonl != 1:
        raise wrong_usage("one thing at a time is explained", "give a REPLY, --message, --auth-results or --jsonl")
    if jsonl and json:
        raise wrong_usage("--jsonl answers in JSON lines and --json prints one document", "leave one of them out")
    if jsonl:
        answer_lines(sys.stdin.buffer, sys.stdout.buffer)
    elif auth_results is not None:
        read = read_auth_results(_whole(auth_results))
        print_json("explain", auth_results_answer(read)) if json else _tell_auth_results(read)
    elif message is not None:
        report = read_report(_bytes_of(message))
        print_json("explain", report_answer(report)) if json else _tell(report)
    elif reply is not None:
        said = reply_report(_stdin_text() if reply == "-" else _whole(reply))
        print_json("explain", report_answer(said)) if json else _tell(said)


def _bytes_of(file: Path) -> bytes:
    """What there is to look at in `file`. Raises Fault where it cannot be read."""
    if str(file) == "-":
        return sys.stdin.buffer.read(MOST_BYTES)
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES)
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise bad_input(f"{file} is not to be read: {reason}", "name a file that holds one message") from error


def _stdin_text() -> str:
    return sys.stdin.buffer.read(MOST_BYTES).decode("utf-8", "replace")


def _whole(argument: str) -> str:
    """`argument` as text: bytes of it that are no UTF-8 came as half characters."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _tell(report: Report) -> None:
    """Plain lines for people."""
    kind = f"{_KINDS[report.kind]} ({report.feedback_type})" if report.feedback_type else _KINDS[report.kind]
    typer.echo(f"this is    {kind}")
    for reported in report.recipients:
        typer.echo("")
        for line in _lines(report.kind, reported, blame_reported(report.kind, reported)):
            typer.echo(line)


def _lines(kind: Kind, reported: Reported, found: Blame) -> list[str]:
    lines = [f"recipient  {_shown(reported.address)}"] if reported.address else []
    said = str(reported.reply).removeprefix("-1").strip()
    lines += [f"said       {_shown(said)}"] if said else []
    if kind in (Kind.REPLY, Kind.BOUNCE) and not reported.reply.is_positive:
        lines.append(f"means      {found.cause}: {_MEANINGS[found.cause]}; {_PERMANENCE[found.permanence]}")
        lines += ["           this address will never take mail" if found.hard else ""]
        lines.append(f"concerns   {_scope(found)}")
    return [line for line in [*lines, f"do         {found.advice}"] if line]


def _scope(found: Blame) -> str:
    away = f", and for {found.wait.total_seconds() / 3600:g} hours" if found.wait else ""
    return f"{found.scope}{away}"


def _tell_auth_results(read: AuthResults) -> None:
    typer.echo(f"said by    {_shown(read.authserv_id or 'nobody: the header does not name its writer')}")
    for result in read.results:
        about = "  ".join(f"{name}={said}" for name, said in result.properties.items())
        typer.echo(f"{result.method:<10} {_shown(f'{result.result}  {about}'.strip())}")
    if not read.results:
        typer.echo("no results")


def _shown(text: str) -> str:
    """`text` as a terminal may show it: what a stranger wrote has no say over it."""
    return "".join(char if char.isprintable() else "?" for char in text)[:_MOST_SHOWN]
