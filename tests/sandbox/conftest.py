"""A sandbox for a test, and the standard library's clients to knock at it with."""

import asyncio
import imaplib
import re
import smtplib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from warmup.clock import HoldingClock
from warmup.sandbox import Fault, Sandbox, SandboxAccount, SandboxProvider
from warmup.world import World, read_world

T = TypeVar("T")
START = datetime(2026, 11, 2, 8, tzinfo=UTC)
FRIENDLY = {
    "name": "here",
    "base_spam": 1e-12,
    "quiet_volume": 1000.0,
    "tolerance": 10.0,
    "pressure": 0.0,
    "distrust": 0.0,
    "trust": 0.5,
    "trust_gain": 0.01,
    "trust_loss": 0.01,
    "memory_days": 5.0,
    "defer_at": 100.0,
    "missing": 0.0,
    "domain_quiet": 1000.0,
}
HOSTILE = {"base_spam": 1 - 1e-12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One message as a client sees it in a folder."""

    uid: int
    message_id: str
    internaldate: str
    flags: str


class Bench:
    """A sandbox with anna@one.test, bert@two.test and carl@two.test, and clients that talk to it."""

    def __init__(self, sandbox: Sandbox, clock: HoldingClock) -> None:
        self.sandbox = sandbox
        self.clock = clock

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.sandbox.ca_file))

    @contextmanager
    def smtp(self, address: str) -> Iterator[smtplib.SMTP]:
        """A session that has said STARTTLS and logged in; it blocks, so only in a thread."""
        doors = self.sandbox.doors(address)
        with smtplib.SMTP(doors.host, doors.smtp_port, timeout=10) as client:
            client.starttls(context=self.tls)
            client.login(doors.username, doors.password)
            yield client

    @contextmanager
    def imap(self, address: str) -> Iterator[imaplib.IMAP4_SSL]:
        """A session that has logged in; it blocks, so only in a thread."""
        doors = self.sandbox.doors(address)
        with imaplib.IMAP4_SSL(doors.host, doors.imaps_port, ssl_context=self.tls, timeout=10) as client:
            client.login(doors.username, doors.password)
            yield client

    async def send(self, sender: str, recipient: str, message_id: str, *, reply_to: str = "") -> tuple[int, str]:
        """Submit one message: the answer to its last dot, or to the first command that was refused."""

        def talk() -> tuple[int, str]:
            with self.smtp(sender) as client:
                return submit(client, sender, recipient, message_id, reply_to)

        return await asyncio.to_thread(talk)

    async def look(self, address: str, folder: str = "INBOX") -> list[Seen]:
        """Every message of the folder, oldest UID first, without touching it."""

        def talk() -> list[Seen]:
            with self.imap(address) as client:
                client.select(folder, readonly=True)
                return listing(client)

        return await asyncio.to_thread(talk)

    async def on_imap(self, address: str, talk: Callable[[imaplib.IMAP4_SSL], T]) -> T:
        """What `talk` gives, done with a session of the account."""

        def whole() -> T:
            with self.imap(address) as client:
                return talk(client)

        return await asyncio.to_thread(whole)


def submit(client: smtplib.SMTP, sender: str, recipient: str, message_id: str, reply_to: str = "") -> tuple[int, str]:
    head = f"From: {sender}\r\nTo: {recipient}\r\nSubject: Hello\r\nMessage-ID: {message_id}\r\n"
    answer = f"In-Reply-To: {reply_to}\r\n" if reply_to else ""
    try:
        client.sendmail(sender, [recipient], f"{head}{answer}\r\nGood morning.\r\n")
    except smtplib.SMTPRecipientsRefused as refusal:
        code, text = refusal.recipients[recipient]
        return code, text.decode()
    except smtplib.SMTPResponseException as refusal:
        error = refusal.smtp_error
        return refusal.smtp_code, error.decode() if isinstance(error, bytes) else error
    return 250, ""


def listing(client: imaplib.IMAP4_SSL) -> list[Seen]:
    _, parts = client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    return [_seen(*part[:2]) for part in parts if isinstance(part, tuple)]


def _seen(about: bytes, header: bytes) -> Seen:
    return Seen(
        uid=int(_found(rb"UID (\d+)", about)),
        message_id=header.decode().partition(":")[2].strip(),
        internaldate=_found(rb'INTERNALDATE "([^"]+)"', about),
        flags=_found(rb"FLAGS \(([^)]*)\)", about),
    )


def _found(pattern: bytes, text: bytes) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1].decode()


def people(*names: str, domain: str) -> tuple[SandboxAccount, ...]:
    return tuple(SandboxAccount(address=f"{name}@{domain}", password=f"pass of {name}") for name in names)


def world_of(**figures: Any) -> World:
    events = figures.pop("event", [])
    return read_world({"name": "test", "receiver": [{**FRIENDLY, **figures}], "event": events})


OpenBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def open_bench(tmp_path: Path) -> AsyncIterator[OpenBench]:
    """Opens a sandbox: `await open_bench(files_sent=…, enforced_limit=…, faults=…, seed=…, **receiver's figures)`."""
    async with AsyncExitStack() as stack:

        async def open_one(
            *,
            files_sent: bool = False,
            enforced_limit: int | None = None,
            faults: tuple[Fault, ...] = (),
            seed: str = "seed",
            junk_folder: str = "Junk",
            **figures: Any,
        ) -> Bench:
            clock = HoldingClock(start=START, seed=seed)
            one = SandboxProvider(
                name="one",
                domain="one.test",
                receiver="here",
                accounts=people("anna", domain="one.test"),
                files_sent=files_sent,
                enforced_limit=enforced_limit,
            )
            two = SandboxProvider(
                name="two",
                domain="two.test",
                receiver="here",
                accounts=people("bert", "carl", domain="two.test"),
                junk_folder=junk_folder,
            )
            sandbox = Sandbox(
                world_of(**figures),
                seed=seed,
                clock=clock,
                providers=(one, two),
                folder=tmp_path,
                journal=tmp_path / "received.jsonl",
                faults=faults,
            )
            return Bench(await stack.enter_async_context(sandbox), clock)

        yield open_one
