"""A mail world and the program in one process: the sandbox's real doors, a real ledger, and a clock that stands still.

anna@one.test sends; bert@two.test and carl@three.test receive, at providers that put everything into the inbox.
"""

import asyncio
import imaplib
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from warmup.cli.assembly import assembled
from warmup.clock import HoldingClock
from warmup.config import Settings
from warmup.config.settings import LedgerSettings, NetworkSettings, VaultSettings
from warmup.ledger import schema
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.mailboxes import Credential
from warmup.ledger.slots import Slot
from warmup.mail.answer import Reply
from warmup.metrics import exposition
from warmup.policy.mailbox import Endpoint, MailboxId, Protocol, Role, Security
from warmup.sandbox import Fault, FaultKind, Sandbox, SandboxAccount, SandboxProvider
from warmup.steps.circle import Circle
from warmup.steps.fleet import figures
from warmup.steps.observe import observe
from warmup.steps.plan import plan_today
from warmup.steps.send import send
from warmup.vault import KeyFile, Vault, create_key_file
from warmup.world import Receiver, World

# A Monday, an hour before the window opens.
START = datetime(2026, 1, 5, 7, tzinfo=UTC)
ANNA, AMOS, BERT, CARL = "anna@one.test", "amos@one.test", "bert@two.test", "carl@three.test"
MOST = 200
"""Tries that end a day, whatever happens in it."""
GONE = Reply(code=550, status="5.1.1", text="The email account that you tried to reach does not exist")


def friendly(name: str) -> Receiver:
    return Receiver(
        name=name,
        base_spam=1e-12,
        quiet_volume=1000.0,
        tolerance=10.0,
        pressure=0.0,
        distrust=0.0,
        trust=0.5,
        trust_gain=0.01,
        trust_loss=0.01,
        memory_days=5.0,
        defer_at=1000.0,
        missing=0.0,
    )


@dataclass(slots=True, kw_only=True)
class Stage:
    """The mail world, the clock, and who is enrolled."""

    sandbox: Sandbox
    clock: HoldingClock
    settings: Settings
    ids: dict[str, MailboxId] = field(default_factory=dict)

    def circle(self) -> AbstractAsyncContextManager[Circle]:
        """The program, started: what it did not write down it does not know."""
        return assembled(self.settings, {}, clock=self.clock)

    async def enrol(self, circle: Circle, address: str, role: Role, *, password: str | None = None) -> MailboxId:
        """Enrol one; its id."""
        doors, vault = self.sandbox.doors(address), Vault(KeyFile(path=self.settings.vault.key_file).read())
        domain = address.partition("@")[2]
        new = NewMailbox(
            address=address,
            name=address.partition("@")[0].title(),
            provider="custom",
            receiver=domain,
            role=role,
            ramp="standard",
            daily_limit=100,
            smtp=Endpoint(host=doors.host, port=doors.smtp_port, security=Security.STARTTLS),
            imap=Endpoint(host=doors.host, port=doors.imaps_port, security=Security.TLS),
            username=doors.username,
            junk_folder="Junk",
            trash_folder="Trash",
            enrolled_at=self.clock.now(),
            verified_at=self.clock.now(),
        )
        secrets = {Protocol.SMTP: password or doors.password, Protocol.IMAP: doors.password}
        credentials = [
            Credential(
                protocol=each,
                host=doors.host,
                sealed=vault.seal(secret, mailbox=address, protocol=each.value, host=doors.host),
            )
            for each, secret in secrets.items()
        ]
        self.ids[address] = (await circle.ledger.mailboxes.add(new, credentials)).id
        return self.ids[address]

    async def found(self, circle: Circle) -> None:
        """Enrol anna, bert and carl."""
        await self.enrol(circle, ANNA, Role.SENDER)
        await self.enrol(circle, BERT, Role.SEED)
        await self.enrol(circle, CARL, Role.SEED)

    async def due(self, circle: Circle, address: str = ANNA) -> list[Slot]:
        """The mailbox's slots that wait, earliest first."""
        return list((await circle.ledger.turns.to_send(self.ids[address], self.clock.now() + timedelta(days=1))).due)

    async def send_next(self, circle: Circle, address: str = ANNA) -> Slot:
        """Send the mailbox's next slot when it is due."""
        slot, at = (await self.due(circle, address))[0], await circle.ledger.slots.next_due()
        assert at is not None
        self.clock.raise_to(at)
        await send(self.ids[address], circle)
        return slot

    async def send_to(self, circle: Circle, recipient: str, fault: FaultKind, reply: Reply = GONE) -> Slot:
        """Send the next slots up to the first to `recipient`, whose message meets the fault."""
        self.sandbox.inject(Fault(kind=fault, recipient=recipient, reply=reply))
        for _ in range(MOST):
            slot = await self.send_next(circle)
            if slot.recipient_id == self.ids[recipient]:
                return slot
        raise AssertionError(f"nothing went to {recipient} in {MOST} tries")

    async def whole_day(self, circle: Circle, address: str = ANNA) -> None:
        """Plan the date, send all of it, look everywhere at its end, and let the next date come."""
        await plan_today(self.ids[address], circle)
        for _ in range(MOST):
            if not await self.due(circle, address):
                break
            await self.send_next(circle, address)
        else:
            raise AssertionError(f"{address} was not done after {MOST} tries")
        midnight = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.clock.raise_to(midnight - timedelta(minutes=1))
        for mailbox in self.ids.values():
            await observe(mailbox, circle)
        self.clock.raise_to(midnight + timedelta(hours=7))

    async def put(self, address: str, message: str) -> None:
        """Let a message lie in the mailbox's inbox, whoever wrote it."""
        doors = self.sandbox.doors(address)

        def append() -> None:
            tls = ssl.create_default_context(cafile=str(self.sandbox.ca_file))
            with imaplib.IMAP4_SSL(doors.host, doors.imaps_port, ssl_context=tls, timeout=10) as client:
                client.login(doors.username, doors.password)
                said, _ = client.append("INBOX", "", "", message.replace("\n", "\r\n").encode())
                assert said == "OK"

        await asyncio.to_thread(append)

    def file_all(self, address: str, folder: str) -> None:
        """Let all of the inbox lie in another folder, as a rule of its owner would."""
        doors, tls = self.sandbox.doors(address), ssl.create_default_context(cafile=str(self.sandbox.ca_file))
        with imaplib.IMAP4_SSL(doors.host, doors.imaps_port, ssl_context=tls, timeout=10) as client:
            client.login(doors.username, doors.password)
            client.create(folder)
            client.select("INBOX")
            assert client.copy("1:*", folder)[0] == "OK"
            client.store("1:*", "+FLAGS", "(\\Deleted)")
            client.expunge()

    async def said(self, circle: Circle) -> str:
        """The daemon's exposition."""
        return exposition(await figures(circle), circle.process).decode()


@asynccontextmanager
async def indoors(folder: Path, *, seed: str) -> AsyncIterator[Stage]:
    """The world of three providers, opened in `folder`, and an installation beside it that has enrolled nobody."""
    clock = HoldingClock(start=START, seed=seed)
    people = {"one": (ANNA, AMOS), "two": (BERT,), "three": (CARL,)}
    providers = [
        SandboxProvider(
            name=name,
            domain=f"{name}.test",
            receiver=name,
            accounts=tuple(SandboxAccount(address=each, password=f"pass of {each}") for each in addresses),
            authserv_id="mx.two.test" if name == "two" else None,
            vouches="spf=pass smtp.mailfrom=one.test; dkim=fail header.d=one.test; dmarc=pass",
        )
        for name, addresses in people.items()
    ]
    world = World(name="friendly", about="all arrives", receivers=tuple(friendly(name) for name in people))
    async with Sandbox(world, seed="say", clock=clock, providers=providers, folder=folder) as sandbox:
        settings = Settings(
            ledger=LedgerSettings(url=f"sqlite:///{folder / 'warmup.db'}"),
            vault=VaultSettings(key_file=folder / "warmup.key"),
            network=NetworkSettings(ca_file=sandbox.ca_file),
        )
        create_key_file(settings.vault.key_file)
        schema.upgrade(settings.ledger.url)
        yield Stage(sandbox=sandbox, clock=clock, settings=settings)
