"""One process looks at two mailboxes, and one's server is hostile: the other's mail is found, in time, and the hostile
server is left in bounded time, memory and turns of the loop, with the trouble noted where it belongs.

Everything of the program runs, in this process: the sender's and the good seed's servers are the sandbox's.
"""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.pulse import feeling_the_pulse
from warmup.cli.assembly import assembled
from warmup.clock import HoldingClock
from warmup.config import Settings
from warmup.config.settings import LedgerSettings, NetworkSettings, SendSettings, VaultSettings
from warmup.engine.local import LocalEngine
from warmup.engine.perform import perform
from warmup.engine.work import Work
from warmup.ledger import schema
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.mailboxes import Credential
from warmup.policy.mailbox import Endpoint, MailboxId, Protocol, Role, Security
from warmup.sandbox import Sandbox, SandboxAccount, SandboxProvider
from warmup.steps.circle import Circle
from warmup.steps.plan import plan_today
from warmup.steps.send import send
from warmup.steps.step import Step
from warmup.vault import KeyFile, Vault, create_key_file
from warmup.world import built_in

START = datetime(2026, 1, 5, 7, tzinfo=UTC)
SENDER, GOOD, EVIL = "anna@one.test", "bert@two.test", "eve@evil.test"
# One command may last a second, a visit three; with what a busy machine adds, a look ends well within this.
COMMAND_SECONDS, VISIT_SECONDS, ENDS_WITHIN = 1.0, 3.0, 20.0
# Without its guards the loop stands for as long as the server likes; a busy machine alone adds some tenths of a second.
MOST_STALLED = 2.0
MOST_MEMORY = 96 * 2**20

Answers = dict[bytes, bytes | Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]]


async def one_byte_a_second(writer: asyncio.StreamWriter, tag: bytes) -> None:
    for byte in b"* OK waiting " * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def an_answer_at_the_last_moment(writer: asyncio.StreamWriter, tag: bytes) -> None:
    await asyncio.sleep(0.6 * COMMAND_SECONDS)
    writer.write(b"* SEARCH " + b" ".join(b"%d" % n for n in range(1, 5000)) + b"\r\n" + tag + b" OK done\r\n")


async def a_fetch_at_the_last_moment(writer: asyncio.StreamWriter, tag: bytes) -> None:
    await asyncio.sleep(0.6 * COMMAND_SECONDS)
    writer.write(tag + b" OK done\r\n")


async def silence(writer: asyncio.StreamWriter, tag: bytes) -> None:
    await asyncio.Event().wait()


async def hang_up(writer: asyncio.StreamWriter, tag: bytes) -> None:
    writer.transport.abort()


async def for_ever(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while True:
        writer.write(piece)
        await writer.drain()


def endless(piece: bytes) -> Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]:
    async def answer(writer: asyncio.StreamWriter, tag: bytes) -> None:
        await for_ever(writer, piece)

    return answer


def fetched(headers: list[bytes]) -> bytes:
    parts = (b"BODY[HEADER.FIELDS (MESSAGE-ID FROM)] {%d}\r\n%b)\r\n" % (len(header), header) for header in headers)
    return b"".join(b"* %d FETCH (UID %d %b" % (n, n, part) for n, part in enumerate(parts, 1)) + b"TAG OK done\r\n"


FOUND = b"* SEARCH " + b" ".join(b"%d" % n for n in range(1, 201)) + b"\r\nTAG OK done\r\n"
ODD_HEADERS = [
    b'From: "' + b'\\"' * 32_000, b"From: " + b"a" * 65_000, b"a:b\n" * 16_000, b"Message-ID: " + b"<" * 65_000,
    b"From: " + b"(" * 65_000, b"Subject: x\r\n" + b" y\r\n" * 16_000,
]  # fmt: skip
HOSTILE: dict[str, Answers] = {
    "a literal of a terabyte": {b"SEARCH": FOUND, b"FETCH": b"* 1 FETCH (UID 1 BODY[] {1099511627776}\r\nxx"},
    "a literal without end": {b"SEARCH": FOUND, b"FETCH": endless(b"* 1 FETCH (UID 1 BODY[] {60000000}\r\n" * 1000)},
    "a line without end": {b"CAPABILITY": endless(b"* CAPABILITY " + b"x" * 65_000)},
    "lines without end": {b"LOGIN": endless(b"* 1 EXISTS\r\n" * 5000)},
    "empty lines without end": {b"LOGIN": endless(b"\r\n" * 30_000)},
    "empty literals without end": {b"EXAMINE": endless(b"{0}\r\n" * 10_000)},
    "thousands of lines at once": {b"EXAMINE": b"* 7 EXPUNGE\r\n" * 40_000 + b"TAG NO not today\r\n"},
    "brackets without end": {b"SEARCH": FOUND, b"FETCH": b"* 1 FETCH " + b"(" * 100_000 + b"\r\nTAG OK done\r\n"},
    "many values": {b"SEARCH": FOUND, b"FETCH": b"* 1 FETCH (" + b'"" ' * 2_000_000 + b")\r\nTAG OK done\r\n"},
    "many small answers": {b"SEARCH": FOUND, b"FETCH": b'* 1 FETCH (UID 1 X "" "")\r\n' * 90_000 + b"TAG OK done\r\n"},
    "a long run of blanks": {b"SEARCH": FOUND, b"FETCH": b"* 1 FETCH (" + b" " * 7_000_000 + b"\r\nTAG OK done\r\n"},
    "a million finds": {b"SEARCH": b"* SEARCH" + b" 7654321" * 900_000 + b"\r\nTAG OK done\r\n", b"FETCH": silence},
    "odd headers": {b"SEARCH": FOUND, b"FETCH": fetched(ODD_HEADERS * 4)},
    "wrong tags": {b"EXAMINE": b"ZZ99 OK [READ-ONLY] done\r\n"},
    "an answer before the question": {b"LOGIN": b"TAG OK in\r\nTAG OK again\r\n"},
    "goodbye": {b"EXAMINE": b"* BYE and never come back\r\n"},
    "a dropped line": {b"EXAMINE": hang_up},
    "silence": {b"EXAMINE": silence},
    "one byte a second": {b"EXAMINE": one_byte_a_second},
    "every answer at the last moment": {b"SEARCH": an_answer_at_the_last_moment, b"FETCH": a_fetch_at_the_last_moment},
    "questions without end": {b"LOGIN": endless(b"+ \r\n" * 5000)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """A circle over three mailboxes; `answers` is what the evil server says instead of what it should."""

    circle: Circle
    clock: HoldingClock
    answers: Answers
    good: MailboxId
    evil: MailboxId


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    clock = HoldingClock(start=START, seed="hostile")
    providers = [
        SandboxProvider(
            name=name,
            domain=f"{name}.test",
            receiver=built_in("gentle").receivers[0].name,
            accounts=(SandboxAccount(address=address, password=f"pass of {address}"),),
        )
        for name, address in (("one", SENDER), ("two", GOOD))
    ]
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(
            Sandbox(built_in("gentle"), seed="hostile", clock=clock, providers=providers, folder=tmp_path)
        )
        settings = Settings(
            ledger=LedgerSettings(url=f"sqlite:///{tmp_path / 'warmup.db'}"),
            vault=VaultSettings(key_file=tmp_path / "warmup.key"),
            network=NetworkSettings(ca_file=sandbox.ca_file, imap_timeout_seconds=COMMAND_SECONDS),
            send=SendSettings(session_seconds=VISIT_SECONDS),
        )
        create_key_file(settings.vault.key_file)
        schema.upgrade(settings.ledger.url)
        circle = await stack.enter_async_context(assembled(settings, {}, clock=clock))
        good = await enrolled(circle, GOOD, doors_of(sandbox, GOOD), Role.SEED)
        sender = await enrolled(circle, SENDER, doors_of(sandbox, SENDER), Role.SENDER)
        await plan_today(sender, circle)
        due = await circle.ledger.slots.next_due()
        assert due is not None
        clock.raise_to(due)
        await send(sender, circle)
        clock.raise_to(due + timedelta(hours=3))
        answers: Answers = {}
        server = await stack.enter_async_context(serving(answers))
        evil = await enrolled(circle, EVIL, (server, server), Role.SEED)
        yield Street(circle=circle, clock=clock, answers=answers, good=good, evil=evil)


def doors_of(sandbox: Sandbox, address: str) -> tuple[Endpoint, Endpoint]:
    doors = sandbox.doors(address)
    smtp = Endpoint(host=doors.host, port=doors.smtp_port, security=Security.STARTTLS)
    return smtp, Endpoint(host=doors.host, port=doors.imaps_port, security=Security.TLS)


async def enrolled(circle: Circle, address: str, servers: tuple[Endpoint, Endpoint], role: Role) -> MailboxId:
    vault, (smtp, imap) = Vault(KeyFile(path=circle.settings.vault.key_file).read()), servers
    new = NewMailbox(
        address=address,
        name="",
        provider="custom",
        receiver="custom",
        role=role,
        ramp="standard",
        daily_limit=100,
        smtp=smtp,
        imap=imap,
        username=address,
        junk_folder="Junk",
        enrolled_at=START,
        verified_at=START,
    )
    credentials = [
        Credential(
            protocol=each,
            host=smtp.host,
            sealed=vault.seal(f"pass of {address}", mailbox=address, protocol=each.value, host=smtp.host),
        )
        for each in Protocol
    ]
    return (await circle.ledger.mailboxes.add(new, credentials)).id


class serving:  # noqa: N801 (used as a function is)
    """An IMAP server that answers as it should but for `answers`; gives where it listens."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Endpoint:
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return Endpoint(host="127.0.0.1", port=port, security=Security.NONE)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            writer.write(b"* OK here\r\n")
            while line := await reader.readline():
                await self._answer(line, writer)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        tag, *words = line.split()
        verb = words[1] if words[:1] == [b"UID"] else words[0] if words else b""
        said = self._answers.get(verb.upper(), USUAL.get(verb.upper(), b"TAG OK done\r\n"))
        if isinstance(said, bytes):
            writer.write(said.replace(b"TAG", tag))
        else:
            await said(writer, tag)


USUAL = {
    b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n",
    b"EXAMINE": b"* 9 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 300] x\r\nTAG OK [READ-ONLY] done\r\n",
    b"SEARCH": b"* SEARCH\r\nTAG OK done\r\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_server_harms_nobody_else(street: Street, kind: str) -> None:
    circle = street.circle
    street.answers.update(HOSTILE[kind])
    engine = LocalEngine(lambda work: perform(work, circle), concurrency=2)
    async with feeling_the_pulse() as pulse, asyncio.timeout(ENDS_WITHIN):
        engine.submit(Work(Step.OBSERVE, street.evil))
        engine.submit(Work(Step.OBSERVE, street.good))
        await engine.idle()
    await engine.drain(1)

    rows = [row async for row in circle.ledger.export.messages() if row["outcome"] == "accepted"]
    assert rows
    assert {row["placement"] for row in rows} <= {"inbox", "spam"}
    evil, good = await circle.mailbox(street.evil), await circle.mailbox(street.good)
    assert good.problem is None
    assert (evil.problem is None) == (kind in BENIGN), evil.problem
    assert evil.problem is None or (evil.problem.startswith("imap: ") and len(evil.problem) < 600)
    assert pulse.beats > 5
    assert pulse.longest < MOST_STALLED


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if "end" in kind or "many" in kind or "million" in kind])
async def test_a_hostile_server_takes_no_more_memory_than_it_is_given(street: Street, kind: str) -> None:
    street.answers.update(HOSTILE[kind])
    # Under tracemalloc all is slower; what is asked here is only how much.
    tracemalloc.start()
    try:
        await perform(Work(Step.OBSERVE, street.evil), street.circle)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MOST_MEMORY


# Odd, but read to the end.
BENIGN = {"odd headers"}
