"""One look: what it found is kept at once, whatever becomes of the rest of it."""

import asyncio
import imaplib
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.scenarios.indoors import ANNA, BERT, MOST, Stage, indoors
from warmup.cli.assembly import assembled
from warmup.ledger.slots import Slot
from warmup.steps.circle import Circle
from warmup.steps.observe import observe
from warmup.steps.plan import plan_today
from warmup.wire.imap import FolderState, ImapSession


class Writes:
    """Counts the transactions that write."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, connection: Connection) -> bool:
        self.count += 1
        return False


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with indoors(tmp_path, seed="look") as stage:
        yield stage


@pytest.fixture
def writes() -> Writes:
    return Writes()


@pytest.fixture
async def circle(stage: Stage, writes: Writes) -> AsyncIterator[Circle]:
    async with assembled(stage.settings, {}, clock=stage.clock, guard=writes) as circle:
        await stage.found(circle)
        yield circle


async def sent_to_bert(stage: Stage, circle: Circle) -> Slot:
    """Send up to the first message to bert, and let it arrive."""
    await plan_today(stage.ids[ANNA], circle)
    for _ in range(MOST):
        slot = await stage.send_next(circle)
        if slot.recipient_id == stage.ids[BERT]:
            stage.clock.raise_to(stage.clock.now() + timedelta(hours=3))
            return slot
    raise AssertionError("nothing went to bert")


async def at_bert(stage: Stage, do: Callable[[imaplib.IMAP4_SSL], Any]) -> None:
    """Let bert do something with his folders himself."""
    doors, tls = stage.sandbox.doors(BERT), ssl.create_default_context(cafile=str(stage.sandbox.ca_file))

    def sit_down() -> None:
        with imaplib.IMAP4_SSL(doors.host, doors.imaps_port, ssl_context=tls, timeout=10) as client:
            client.login(doors.username, doors.password)
            do(client)

    await asyncio.to_thread(sit_down)


async def row_of(slot: Slot, circle: Circle) -> dict[str, Any]:
    """Its exported message."""
    (row,) = [row async for row in circle.ledger.export.messages() if row["slot"] == slot.id]
    return row


async def test_what_was_found_is_a_commit_and_the_end_of_the_look_another(
    stage: Stage, circle: Circle, writes: Writes
) -> None:
    slot = await sent_to_bert(stage, circle)
    writes.count = 0
    await observe(stage.ids[BERT], circle)
    assert writes.count == 2
    assert (await row_of(slot, circle))["placement"] == "inbox"
    writes.count = 0
    await observe(stage.ids[BERT], circle)
    assert writes.count == 1


async def test_how_far_nothing_was_found_is_kept_with_the_end_of_the_look(
    stage: Stage, circle: Circle, writes: Writes
) -> None:
    await observe(stage.ids[BERT], circle)
    await at_bert(stage, lambda client: client.append("INBOX", "", "", b"Subject: of his own\r\n\r\nHello.\r\n"))
    writes.count = 0
    await observe(stage.ids[BERT], circle)
    assert writes.count == 1
    assert (await circle.ledger.sightings.cursors(stage.ids[BERT])).keys() == {"INBOX"}


async def test_what_was_found_is_kept_before_another_folder_is_opened(
    stage: Stage, circle: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = await sent_to_bert(stage, circle)
    examine, at_junk = ImapSession.examine, asyncio.Event()

    async def stay_at_junk(session: ImapSession, name: str) -> FolderState:
        if name == "Junk":
            at_junk.set()
            await asyncio.Event().wait()
        return await examine(session, name)

    monkeypatch.setattr(ImapSession, "examine", stay_at_junk)
    look = asyncio.create_task(observe(stage.ids[BERT], circle))
    await at_junk.wait()
    look.cancel()
    await asyncio.wait([look])
    assert (await row_of(slot, circle))["placement"] == "inbox"


async def test_what_was_found_is_kept_though_the_look_fails_behind_it(stage: Stage, circle: Circle) -> None:
    slot = await sent_to_bert(stage, circle)
    await at_bert(stage, lambda client: client.delete("Junk"))
    await observe(stage.ids[BERT], circle)
    assert (await row_of(slot, circle))["placement"] == "inbox"
    assert (await circle.ledger.sightings.cursors(stage.ids[BERT])).keys() == {"INBOX"}
    bert = await circle.mailbox(stage.ids[BERT])
    assert bert.problem is not None
    assert "EXAMINE" in bert.problem


async def test_what_is_in_both_folders_at_one_look_was_moved(stage: Stage, circle: Circle) -> None:
    slot = await sent_to_bert(stage, circle)

    def copy(client: imaplib.IMAP4_SSL) -> None:
        client.select("INBOX")
        assert client.copy("1:*", "Junk")[0] == "OK"

    await at_bert(stage, copy)
    await observe(stage.ids[BERT], circle)
    row = await row_of(slot, circle)
    assert (row["placement"], row["reclassified"]) == ("inbox", "spam")
