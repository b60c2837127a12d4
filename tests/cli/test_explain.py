"""`warmup explain`: for people, scripts and pipes; through the installed command."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.cli.conftest import COMMAND, Desk
from warmup.cli.explain_lines import MOST_LINE
from warmup.cli.schema import schema_text

REPORTS = Path(__file__).parents[1] / "corpus" / "reports"
LINE = Draft202012Validator(json.loads(schema_text("explain")))


def answers(desk: Desk, *lines: str) -> list[dict[str, Any]]:
    """The answers to `lines`, each found to keep to the schema."""
    ended = desk.warmup("explain", "--jsonl", stdin="\n".join(lines))
    assert (ended.code, ended.err) == (0, "")
    found = [json.loads(line) for line in ended.out.splitlines()]
    for answer in found:
        LINE.validate(answer)
    return found


def test_a_reply_is_explained_in_plain_words(desk: Desk) -> None:
    ended = desk.warmup("explain", "550 5.1.1 <ben@garden.example>: User unknown")
    assert (ended.code, ended.err) == (0, "")
    assert "no such recipient" in ended.out
    assert "this address will never take mail" in ended.out
    assert "check the address for typos" in ended.out


def test_a_reply_as_json_keeps_to_its_schema(desk: Desk) -> None:
    said = "421-4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred\n421 4.7.0 due to user complaints"
    document = desk.warmup("explain", "--json", said).document
    assert document["kind"] == "reply"
    (recipient,) = document["recipients"]
    assert recipient.pop("advice").startswith("Yahoo")
    assert recipient == {
        "address": None,
        "action": None,
        "status": "4.7.0",
        "reply_code": 421,
        "permanence": "transient",
        "cause": "reputation",
        "hard": False,
        "scope": "lane",
    }


def test_a_reply_and_a_message_may_come_from_stdin(desk: Desk) -> None:
    piped = desk.warmup("explain", "--json", "-", stdin="552 5.2.2 mailbox full\n").document
    assert piped["recipients"][0]["cause"] == "recipient_full"
    report = (REPORTS / "exim-unrouteable.eml").read_text("utf-8")
    assert desk.warmup("explain", "--json", "--message", "-", stdin=report).document["kind"] == "bounce"


def test_a_report_names_every_recipient(desk: Desk) -> None:
    document = desk.warmup("explain", "--json", "--message", str(REPORTS / "exim-two-recipients.eml")).document
    told = [(one["address"], one["status"], one["reply_code"], one["cause"]) for one in document["recipients"]]
    assert told == [
        ("ben@garden.example", "5.2.2", 552, "recipient_full"),
        ("cleo@garden.example", None, 550, "recipient_unknown"),
    ]
    plain = desk.warmup("explain", "--message", str(REPORTS / "exim-two-recipients.eml")).out
    assert plain.count("recipient  ") == 2


def test_a_complaint_has_its_type(desk: Desk) -> None:
    document = desk.warmup("explain", "--json", "--message", str(REPORTS / "arf.eml")).document
    assert (document["kind"], document["feedback_type"]) == ("complaint", "abuse")
    assert "a complaint (abuse)" in desk.warmup("explain", "--message", str(REPORTS / "arf.eml")).out


@pytest.mark.parametrize("file", sorted(REPORTS.iterdir()), ids=lambda file: file.stem)
def test_every_sample_keeps_to_the_schema(desk: Desk, file: Path) -> None:
    (answer,) = answers(desk, json.dumps({"id": 1, "message_base64": base64.b64encode(file.read_bytes()).decode()}))
    assert "error" not in answer


def test_authentication_results_are_listed(desk: Desk) -> None:
    header = "Authentication-Results: mx.garden.example; spf=pass smtp.mailfrom=ada@shop.example; dkim=fail"
    document = desk.warmup("explain", "--json", "--auth-results", header).document
    assert document["authserv_id"] == "mx.garden.example"
    assert document["results"] == [
        {"method": "spf", "result": "pass", "properties": {"smtp.mailfrom": "ada@shop.example"}},
        {"method": "dkim", "result": "fail", "properties": {}},
    ]
    assert "spf        pass  smtp.mailfrom=ada@shop.example" in desk.warmup("explain", "--auth-results", header).out


def test_what_strangers_wrote_has_no_say_over_the_terminal(desk: Desk) -> None:
    ended = desk.warmup("explain", "550 5.7.1 \x1b[2J\u202eno \x07")
    assert ended.out.replace("\n", "").isprintable()


def test_an_argument_that_is_no_text_is_read_all_the_same(desk: Desk) -> None:
    document = desk.warmup(
        "explain", "--json", "--auth-results", "mx; spf=pass smtp.mailfrom=\udcff@shop.example"
    ).document
    assert document["results"][0]["properties"] == {"smtp.mailfrom": "\ufffd@shop.example"}
    assert desk.warmup("explain", "--json", "550 5.1.1 \udcff").document["recipients"][0]["status"] == "5.1.1"


@pytest.mark.parametrize("name", ["nowhere.eml", "."])
def test_an_unreadable_file_is_bad_input(desk: Desk, name: str) -> None:
    ended = desk.warmup("explain", "--message", name)
    assert (ended.code, ended.out, len(ended.errors)) == (65, "", 1)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("550 no", "--jsonl"),
        ("550 no", "--auth-results", "mx; none"),
        ("--message", "a", "--auth-results", "b"),
        ("--jsonl", "--json"),
    ],
)
def test_one_thing_at_a_time_is_explained(desk: Desk, arguments: tuple[str, ...]) -> None:
    ended = desk.warmup("explain", *arguments)
    assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1)


def test_no_line_is_too_bad_for_an_answer(desk: Desk) -> None:
    found = answers(
        desk,
        '{"id": 1, "reply": "550 5.1.1 no such user"}',
        "nonsense",
        '{"id": "cut", "reply": "550',
        "",
        "[]",
        '{"id": 2}',
        '{"id": 3, "reply": "x", "auth_results": "y"}',
        '{"id": 4, "reply": 550}',
        '{"id": 5, "message_base64": "!"}',
        '{"id": [1], "reply": "x"}',
        '{"id": NaN, "reply": "x"}',
        "[" * 100_000,
        '{"id": "ü\\ud800", "auth_results": "mx; spf=pass"}',
        '{"id": 6, "message_base64": ""}',
    )
    told = [(answer["id"], "error" if "error" in answer else "answer") for answer in found]
    assert told == [
        (1, "answer"),
        (None, "error"),
        ("cut", "error"),
        (None, "error"),
        (2, "error"),
        (3, "error"),
        (4, "error"),
        (5, "error"),
        (None, "error"),
        (None, "error"),
        (None, "error"),
        ("ü\ud800", "answer"),
        (6, "answer"),
    ]


def test_an_answer_comes_before_the_next_question(desk: Desk) -> None:
    with subprocess.Popen(
        [COMMAND, "explain", "--jsonl"],
        cwd=desk.folder,
        env=desk.surroundings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for name in range(3):
            running.stdin.write(json.dumps({"id": name, "reply": "550 5.1.1 no such user"}) + "\n")
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["id"] == name
        running.stdin.close()
        assert running.wait(timeout=30) == 0


def test_a_line_without_end_is_answered_in_bounded_memory_and_the_next_too(desk: Desk) -> None:
    script = (
        "import resource, subprocess, sys\n"
        f"long = {MOST_LINE} * 6\n"
        "pipe = subprocess.PIPE\n"
        "running = subprocess.Popen([sys.argv[1], 'explain', '--jsonl'], stdin=pipe, stdout=pipe)\n"
        'running.stdin.write(b\'{"id": "long", "reply": "\')\n'
        "for _ in range(long // 65536): running.stdin.write(b'x' * 65536)\n"
        'running.stdin.write(b\'"}\\n{"id": 2, "reply": "550 5.1.1 no such user"}\\n\')\n'
        "running.stdin.close()\n"
        "sys.stdout.write(running.stdout.read().decode())\n"
        "running.wait()\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run(
        [COMMAND.with_name("python"), "-c", script, COMMAND],
        env=desk.surroundings(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, second, peak_kib = done.stdout.splitlines()
    assert (json.loads(first)["id"], "error" in json.loads(first)) == ("long", True)
    assert json.loads(second)["recipients"][0]["cause"] == "recipient_unknown"
    assert int(peak_kib) < 160 * 1024


def test_an_id_comes_back_as_it_was_or_not_at_all(desk: Desk) -> None:
    half = answers(desk, '{"id": "\\ud800", "reply": "550 no"}')[0]
    assert half["id"] == "\ud800"
    endless, long, broken = answers(
        desk,
        '{"id": 1e999, "reply": "550 no"}',
        f'{{"id": {"9" * 5000}, "reply": "550 no"}}',
        f'{{"id": {"9" * 30}, broken}}',
    )
    for answer in (endless, long, broken):
        assert answer["id"] is None
        assert answer["error"]
