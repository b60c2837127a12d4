"""The disk under the ledger takes no more: nothing may be sent then, the ledger says why, and it goes on with room.

The disk is full by RLIMIT_FSIZE (setrlimit(2)): a file of this process grows no further than that.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ledger.conftest import MINUTE, NOW, RULES, World
from warmup.ledger.attempts import Unmarked
from warmup.ledger.errors import LedgerFailed, UnknownMailbox
from warmup.ledger.highwater import HighWater, Mark
from warmup.ledger.room import ROOM_BYTES, prove_room
from warmup.mail.answer import Deferred
from warmup.policy.quota import Hindrance, Wait


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def world(file_world: World) -> World:
    """A server's disk is the server's own affair."""
    return file_world


def journal_of(world: World) -> Path:
    return world.ledger.path.with_name(world.ledger.path.name + "-wal")


async def test_a_claim_that_a_full_disk_does_not_take_is_no_claim(world: World) -> None:
    (slot,) = await world.plan(1)
    with no_file_grows_beyond(journal_of(world).stat().st_size), pytest.raises(LedgerFailed, match="look at the disk"):
        await world.claim(slot)
    assert [row async for row in world.ledger.export.attempts()] == []
    assert (await world.claim(slot)).ordinal == 1


async def test_the_ledger_stays_in_trouble_until_a_write_goes_through(world: World) -> None:
    (slot,) = await world.plan(1)
    installation = world.ledger.installation
    assert await installation.still_in_trouble() is None
    with no_file_grows_beyond(journal_of(world).stat().st_size):
        with pytest.raises(LedgerFailed):
            await world.claim(slot)
        assert installation.trouble is not None
        assert await installation.still_in_trouble() is not None
    assert installation.trouble is not None
    assert await installation.still_in_trouble() is None
    assert installation.trouble is None


async def test_room_for_a_page_is_not_yet_room(world: World) -> None:
    (slot,) = await world.plan(1)
    with no_file_grows_beyond(journal_of(world).stat().st_size), pytest.raises(LedgerFailed):
        await world.claim(slot)
    with no_file_grows_beyond(ROOM_BYTES - 1):
        assert await world.ledger.installation.still_in_trouble() is not None


async def test_what_the_ledger_refuses_by_its_own_word_is_no_trouble_of_the_disk(world: World) -> None:
    with pytest.raises(UnknownMailbox):
        await world.ledger.mailboxes.get("nobody@send.test")
    assert world.ledger.installation.trouble is None


def test_a_proof_of_room_leaves_nothing_behind(tmp_path: Path) -> None:
    prove_room(tmp_path / "warmup.db")
    with no_file_grows_beyond(ROOM_BYTES - 1), pytest.raises(LedgerFailed):
        prove_room(tmp_path / "warmup.db")
    assert list(tmp_path.iterdir()) == []


async def test_an_attempt_without_its_mark_is_not_handed_over_and_may_be_made_again(world: World) -> None:
    (slot,) = await world.plan(1)
    mark = HighWater(world.ledger.path).path
    mark.mkdir()
    with pytest.raises(Unmarked) as failure:
        await world.claim(slot)
    again = await world.ledger.attempts.claim(slot.id, now=NOW, rules=RULES, node="test")
    assert again == Wait(until=None, reason=Hindrance.IN_FLIGHT)

    mark.rmdir()
    await world.end(failure.value.claimed, Deferred(reply=None, reason="disk"), NOW, retry_at=NOW + MINUTE)
    assert (await world.claim(slot, NOW + MINUTE)).ordinal == 2


def test_half_a_mark_is_no_mark(tmp_path: Path) -> None:
    high_water = HighWater(tmp_path / "warmup.db")
    with no_file_grows_beyond(10), pytest.raises(LedgerFailed, match="No space left"):
        high_water.raise_to(Mark(1, 1))
    high_water.raise_to(Mark(1, 1))
    assert high_water.read() == Mark(1, 1)
    high_water.close()
