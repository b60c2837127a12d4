"""A crash between an engage action and its record: the placement stays, the intent ends, and nothing moves twice.

In this process, against the sandbox's servers: the first circle is left as a crash leaves it, a second one goes on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from warmup.cli.assembly import assembled
from warmup.clock import HoldingClock
from warmup.config import Settings
from warmup.config.settings import LedgerSettings, NetworkSettings, VaultSettings
from warmup.ledger import schema
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.mailboxes import Credential
from warmup.mail.header import parse_header_block
from warmup.policy.fate import Action
from warmup.policy.mailbox import Endpoint, MailboxId, Protocol, Role, Security
from warmup.sandbox import Fault, FaultKind, Sandbox, SandboxAccount, SandboxProvider
from warmup.steps.circle import Circle
from warmup.steps.observe import observe
from warmup.steps.plan import plan_today
from warmup.steps.send import send
from warmup.vault import KeyFile, Vault, create_key_file
from warmup.world import Receiver, World

# A Monday, an hour before the window opens.
START = datetime(2026, 1, 5, 7, tzinfo=UTC)
JUNK, INBOX = "Junk", "INBOX"
SENDER, RESCUER = "anna@one.test", "bert@two.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A sender, and a mailbox with `--engage` whose receiver takes everything for spam."""

    sandbox: Sandbox
    clock: HoldingClock
    settings: Settings
    folder: Path

    def circle(self) -> AbstractAsyncContextManager[Circle]:
        """The program, started: what it did not write down it does not know."""
        return assembled(self.settings, {}, clock=self.clock)

    async def enrol(self, account: SandboxAccount, role: Role, circle: Circle, *, engage: bool) -> MailboxId:
        """Enrol one; its id."""
        doors, vault = self.sandbox.doors(account.address), Vault(KeyFile(path=self.settings.vault.key_file).read())
        now = self.clock.now()
        new = NewMailbox(
            address=account.address,
            name="Anna" if role is Role.SENDER else "Bert",
            provider="custom",
            receiver="custom",
            role=role,
            ramp="standard",
            daily_limit=100,
            smtp=Endpoint(host=doors.host, port=doors.smtp_port, security=Security.STARTTLS),
            imap=Endpoint(host=doors.host, port=doors.imaps_port, security=Security.TLS),
            username=doors.username,
            engage=engage,
            junk_folder=JUNK,
            trash_folder="Trash",
            enrolled_at=now,
            verified_at=now,
        )
        sealed = {
            each: vault.seal(doors.password, mailbox=account.address, protocol=each.value, host=doors.host)
            for each in Protocol
        }
        credentials = [Credential(protocol=each, host=doors.host, sealed=sealed[each]) for each in Protocol]
        return (await circle.ledger.mailboxes.add(new, credentials)).id


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = HoldingClock(start=START, seed="engage-crash")
    hostile = Receiver(
        name="hostile",
        base_spam=1 - 1e-12,
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
    one, two = (
        SandboxProvider(
            name=name,
            domain=f"{name}.test",
            receiver="hostile",
            accounts=(SandboxAccount(address=address, password=f"pass of {address}"),),
        )
        for name, address in (("one", SENDER), ("two", RESCUER))
    )
    world = World(name="junk", about="all is junk", receivers=(hostile,))
    async with Sandbox(world, seed="engage-crash", clock=clock, providers=(one, two), folder=tmp_path) as sandbox:
        settings = Settings(
            ledger=LedgerSettings(url=f"sqlite:///{tmp_path / 'warmup.db'}"),
            vault=VaultSettings(key_file=tmp_path / "warmup.key"),
            network=NetworkSettings(ca_file=sandbox.ca_file),
        )
        create_key_file(settings.vault.key_file)
        schema.upgrade(settings.ledger.url)
        yield Scene(sandbox=sandbox, clock=clock, settings=settings, folder=tmp_path)


async def sent_and_seen_as_spam(scene: Scene, circle: Circle) -> tuple[MailboxId, str]:
    """One message, sent and sighted in junk by a mailbox that may not engage yet; that mailbox, and the message id."""
    (one, two) = scene.sandbox.providers
    rescuer = await scene.enrol(two.accounts[0], Role.SEED, circle, engage=False)
    sender = await scene.enrol(one.accounts[0], Role.SENDER, circle, engage=False)
    await plan_today(sender, circle)
    due = await circle.ledger.slots.next_due()
    assert due is not None
    scene.clock.raise_to(due)
    await send(sender, circle)
    scene.clock.raise_to(due + timedelta(hours=3))
    await observe(rescuer, circle)
    (row,) = await messages(circle)
    assert (row["placement"], row["engaged"]) == ("spam", [])
    return rescuer, str(row["message_id"])


async def messages(circle: Circle) -> list[dict[str, object]]:
    """The exported rows of what was sent."""
    return [row async for row in circle.ledger.export.messages() if row["outcome"] == "accepted"]


async def mean_to_rescue(rescuer: MailboxId, circle: Circle) -> None:
    """The intent's row, as engage writes it before it acts."""
    (row,) = await messages(circle)
    (slot,) = (await circle.ledger.sightings.by_message_id([str(row["message_id"])])).values()
    assert await circle.ledger.engagements.intend(slot.id, Action.RESCUE, mailbox_id=rescuer, now=circle.clock.now())


async def rescue_at_the_server(rescuer: MailboxId, circle: Circle) -> None:
    """What engage does at the server, and no more."""
    async with circle.doors.imap(await circle.mailbox(rescuer)) as session:
        await session.select(JUNK)
        (uid,) = await session.uids_after(0)
        await session.move((uid,), INBOX)


async def allow_engaging(rescuer: MailboxId, circle: Circle) -> None:
    """The operator's `--engage`."""
    mailbox = await circle.mailbox(rescuer)
    await circle.ledger.mailboxes.save(replace(mailbox, engage=True))


async def lying_in(folder: str, rescuer: MailboxId, circle: Circle) -> list[tuple[int, str | None]]:
    """UID and message id of all that lies in a folder of the rescuer's."""
    async with circle.doors.imap(await circle.mailbox(rescuer)) as session:
        await session.examine(folder)
        return [
            (row.uid, parse_header_block(row.header, identity_header=None).message_id)
            async for batch in session.headers_after(0, ("Message-ID",))
            for row in batch
        ]


async def look_again(rescuer: MailboxId, scene: Scene, circle: Circle) -> None:
    """Go on after the crash: look, and once more hours later."""
    await observe(rescuer, circle)
    scene.clock.raise_to(scene.clock.now() + timedelta(hours=8))
    await observe(rescuer, circle)


async def test_a_crash_after_the_move_changes_no_placement_and_moves_nothing_again(scene: Scene) -> None:
    async with scene.circle() as circle:
        rescuer, message_id = await sent_and_seen_as_spam(scene, circle)
        await allow_engaging(rescuer, circle)
        await mean_to_rescue(rescuer, circle)
        await rescue_at_the_server(rescuer, circle)
        moved = await lying_in(INBOX, rescuer, circle)
        assert [said for _, said in moved] == [message_id]

    async with scene.circle() as circle:
        await look_again(rescuer, scene, circle)
        (row,) = await messages(circle)
        assert (row["placement"], row["reclassified"], row["folder"]) == ("spam", None, JUNK)
        assert row["engaged"] == ["rescue"]
        assert await circle.ledger.engagements.pending(rescuer) == ()
        # The same UID: a second move would have given it another.
        assert await lying_in(INBOX, rescuer, circle) == moved
        assert await lying_in(JUNK, rescuer, circle) == []


async def test_a_crash_before_the_move_is_made_good_once_and_changes_no_placement(scene: Scene) -> None:
    async with scene.circle() as circle:
        rescuer, message_id = await sent_and_seen_as_spam(scene, circle)
        await allow_engaging(rescuer, circle)
        await mean_to_rescue(rescuer, circle)
        assert [said for _, said in await lying_in(JUNK, rescuer, circle)] == [message_id]

    async with scene.circle() as circle:
        await look_again(rescuer, scene, circle)
        (row,) = await messages(circle)
        assert (row["placement"], row["reclassified"], row["engaged"]) == ("spam", None, ["rescue"])
        assert await circle.ledger.engagements.pending(rescuer) == ()
        assert [said for _, said in await lying_in(INBOX, rescuer, circle)] == [message_id]
        assert await lying_in(JUNK, rescuer, circle) == []


async def test_what_was_looked_past_while_in_flight_is_found_later(scene: Scene) -> None:
    async with scene.circle() as circle:
        one, two = scene.sandbox.providers
        rescuer = await scene.enrol(two.accounts[0], Role.SEED, circle, engage=False)
        sender = await scene.enrol(one.accounts[0], Role.SENDER, circle, engage=False)
        await plan_today(sender, circle)
        due = await circle.ledger.slots.next_due()
        assert due is not None
        scene.clock.raise_to(due)
        scene.sandbox.inject(Fault(kind=FaultKind.SILENT_AFTER_DOT))
        sending = asyncio.create_task(send(sender, circle))
        async with asyncio.timeout(20):
            while not scene.sandbox.record.received:
                await asyncio.sleep(0.01)
        scene.clock.raise_to(due + timedelta(minutes=40))
        await observe(rescuer, circle)  # somebody else's message was due: the cursor goes past ours
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        now = scene.clock.now()
        recovered = await circle.ledger.attempts.recover(
            now=now, look_at=now + timedelta(minutes=1), deadline_at=now + timedelta(hours=24)
        )
        assert len(recovered) == 1
        scene.clock.raise_to(now + timedelta(hours=1))
        await observe(rescuer, circle)
        scene.clock.raise_to(now + timedelta(hours=25))
        await observe(rescuer, circle)
        rows = [r async for r in circle.ledger.export.messages() if r["attempts"]]
        assert [(r["outcome"], r["placement"]) for r in rows] == [("accepted", "spam")]
