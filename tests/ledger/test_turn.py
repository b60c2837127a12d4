"""What a turn to send begins with is read at once, and is what the single questions say."""

import pytest

from tests.ledger.conftest import HOUR, MINUTE, NOW, World
from warmup.ledger.cursors import Cursor
from warmup.policy.mailbox import MailboxId


async def test_a_turn_has_the_mailbox_what_is_due_and_to_whom(world: World) -> None:
    slots = await world.plan(3)
    await world.read_own(NOW + MINUTE)
    turn = await world.ledger.turns.to_send(world.sender.id, NOW + HOUR)
    assert turn.mailbox == await world.ledger.mailboxes.by_id(world.sender.id)
    assert turn.due == tuple(slots)
    assert {**turn.recipients} == {
        slot.recipient_id: await world.ledger.mailboxes.by_id(slot.recipient_id) for slot in slots
    }
    assert turn.own_read_at == NOW + MINUTE


async def test_a_turn_with_nothing_due_is_empty(world: World) -> None:
    turn = await world.ledger.turns.to_send(world.sender.id, NOW - HOUR)
    assert (turn.mailbox.id, turn.due, {**turn.recipients}, turn.own_read_at) == (world.sender.id, (), {}, None)


async def test_nobody_has_no_turn(world: World) -> None:
    with pytest.raises(LookupError, match="no mailbox 999"):
        await world.ledger.turns.to_send(MailboxId(999), NOW)


async def test_a_turn_to_look_has_the_mailbox_and_how_far_it_was_read(world: World) -> None:
    bob, cursor = world.seeds[0], Cursor(folder="INBOX", uidvalidity=4, last_uid=7)
    await world.ledger.sightings.set_cursor(bob.id, cursor)
    turn = await world.ledger.turns.to_look(bob.id)
    assert (turn.mailbox, {**turn.cursors}) == (bob, {"INBOX": cursor})
    with pytest.raises(LookupError, match="no mailbox 999"):
        await world.ledger.turns.to_look(MailboxId(999))
