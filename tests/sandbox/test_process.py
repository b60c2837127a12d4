"""The sandbox as a process of its own."""

import asyncio
import json
import signal
import smtplib
import ssl
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from warmup.sandbox.stops import Stop

SENDING = """
import json, smtplib, ssl, sys
sender, recipient = json.loads(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=sender["ca_file"])
client = smtplib.SMTP_SSL(sender["host"], sender["smtps_port"], context=context)
client.login(sender["username"], sender["password"])
for message_id in sys.argv[3:]:
    client.sendmail(sender["address"], [recipient], f"Message-ID: {message_id}\\r\\n\\r\\nHello.\\r\\n")
"""

Start = Callable[..., Awaitable["asyncio.subprocess.Process"]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    running: list[asyncio.subprocess.Process] = []

    async def start_one(*more: str, commanded: bool = False) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "warmup.sandbox", "--folder", str(tmp_path), "--start", "2026-11-02T08:00:00Z")
        process = await asyncio.create_subprocess_exec(
            *command, *more, stdin=PIPE if commanded else DEVNULL, stdout=PIPE, stderr=PIPE
        )
        running.append(process)
        return process

    yield start_one
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def about(process: asyncio.subprocess.Process, folder: Path) -> Any:
    assert process.stdout
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
    return json.loads((folder / "sandbox.json").read_text())


def send(sender: Any, recipient: str, message_id: str) -> None:
    context = ssl.create_default_context(cafile=sender["ca_file"])
    with smtplib.SMTP_SSL(sender["host"], sender["smtps_port"], context=context, timeout=10) as client:
        client.login(sender["username"], sender["password"])
        client.sendmail(sender["address"], [recipient], f"Message-ID: {message_id}\r\n\r\nHello.\r\n")


async def test_it_tells_its_doors_keeps_a_journal_and_leaves_its_record(start: Start, tmp_path: Path) -> None:
    process = await start("--speed", "60", "--seed", "s")
    told = await about(process, tmp_path)
    first, *_, last = told["accounts"]
    await asyncio.to_thread(send, first, last["address"], "<1@gmail.test>")

    journal = (tmp_path / "received.jsonl").read_text().splitlines()
    assert [json.loads(line)["message_id"] for line in journal] == ["<1@gmail.test>"]
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    (receipt,) = json.loads((tmp_path / "record.json").read_text())["receipts"]
    assert receipt["account"] == first["address"]
    start_of_time = datetime(2026, 11, 2, 8, tzinfo=UTC)
    assert start_of_time < datetime.fromisoformat(receipt["at"]) < start_of_time + timedelta(hours=1)


async def test_the_journal_survives_a_kill(start: Start, tmp_path: Path) -> None:
    process = await start()
    first, *_, last = (await about(process, tmp_path))["accounts"]
    await asyncio.to_thread(send, first, last["address"], "<1@gmail.test>")
    process.kill()
    await process.wait()
    assert len((tmp_path / "received.jsonl").read_text().splitlines()) == 1


async def test_faults_are_taken_from_the_command_line(start: Start, tmp_path: Path) -> None:
    process = await start("--fault", "defer:ada@gmail.test:1")
    first, *_, last = (await about(process, tmp_path))["accounts"]
    assert first["address"] == "ada@gmail.test"
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        await asyncio.to_thread(send, first, last["address"], "<1@gmail.test>")
    assert refusal.value.smtp_code == 451
    await asyncio.to_thread(send, first, last["address"], "<1@gmail.test>")


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--world", "nowhere", "no world 'nowhere'"),
        ("--start", "2026-11-02", "no zone"),
        ("--fault", "x:y", "FaultKind"),
    ],
)
async def test_a_wrong_option_ends_with_2_and_says_why(start: Start, option: str, value: str, complaint: str) -> None:
    process = await start(option, value)
    _, said = await process.communicate()
    assert process.returncode == 2
    assert complaint in said.decode()


async def hears(process: asyncio.subprocess.Process, *lines: str) -> None:
    assert process.stdin
    assert process.stdout
    for line in lines:
        process.stdin.write(f"{line}\n".encode())
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"heard\n"


@pytest.mark.parametrize("point", [stop.value for stop in Stop])
async def test_a_client_is_held_where_it_was_asked_for_and_what_was_whole_is_taken(
    start: Start, tmp_path: Path, point: str
) -> None:
    process = await start("--commands", commanded=True)
    first, *_, last = (await about(process, tmp_path))["accounts"]
    await hears(process, f"stop {point}")
    before = ["<0@gmail.test>"] if point == "next" else []
    sending = [sys.executable, "-c", SENDING, json.dumps(first), last["address"], *before, "<1@gmail.test>"]
    client = await asyncio.create_subprocess_exec(*sending, stderr=PIPE)
    assert process.stdout
    held = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()
    assert held == ["held", point, *([] if point == "greeting" else [first["address"]])]
    client.kill()
    await client.wait()
    # Only one is held: the next goes through.
    await asyncio.to_thread(send, first, last["address"], "<2@gmail.test>")
    ids = [json.loads(line)["message_id"] for line in (tmp_path / "received.jsonl").read_text().splitlines()]
    assert ids[-1] == "<2@gmail.test>"
    # After 354 it is a matter of moments whether the message had left.
    assert len(ids) == 1 + len(before) + (point == "taken") or point == "start"


async def test_a_client_that_is_held_goes_on_when_it_may(start: Start, tmp_path: Path) -> None:
    process = await start("--commands", commanded=True)
    first, *_, last = (await about(process, tmp_path))["accounts"]
    await hears(process, "stop taken")
    sent = asyncio.create_task(asyncio.to_thread(send, first, last["address"], "<1@gmail.test>"))
    assert process.stdout
    assert (await asyncio.wait_for(process.stdout.readline(), 20)).startswith(b"held taken")
    assert not sent.done()
    await hears(process, "go")
    await asyncio.wait_for(sent, 20)


async def test_a_fault_may_be_told_later(start: Start, tmp_path: Path) -> None:
    process = await start("--commands", commanded=True)
    first, *_, last = (await about(process, tmp_path))["accounts"]
    await hears(process, f"fault defer:{first['address']}")
    with pytest.raises(smtplib.SMTPDataError):
        await asyncio.to_thread(send, first, last["address"], "<1@gmail.test>")


async def test_of_two_clients_that_come_to_a_stop_at_once_one_is_held(start: Start, tmp_path: Path) -> None:
    process = await start("--commands", commanded=True)
    first, *_, last = (await about(process, tmp_path))["accounts"]
    await hears(process, "stop data")
    sending = [sys.executable, "-c", SENDING, json.dumps(first), last["address"], "<1@gmail.test>"]
    clients = [await asyncio.create_subprocess_exec(*sending, stderr=PIPE) for _ in range(4)]
    assert process.stdout
    assert (await asyncio.wait_for(process.stdout.readline(), 20)).startswith(b"held data")
    ended = [asyncio.create_task(client.wait()) for client in clients]
    for _ in range(3):
        going = [each for each in ended if not each.done()]
        if len(going) > 1:
            await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED, timeout=60)
    for client in clients:
        if client.returncode is None:
            client.kill()
    await asyncio.gather(*ended)
    # And nothing more was said: the next answer is to the next command.
    await hears(process, "go")
    assert len((tmp_path / "received.jsonl").read_text().splitlines()) == 3
