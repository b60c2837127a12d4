"""The operator's own traffic: each message counts once, at its instant, for the mailboxes that could be read."""

from datetime import timedelta

from tests.ledger.conftest import HOUR, MINUTE, NOW, World
from warmup.ledger.cursors import Cursor
from warmup.ledger.own import OwnMessage, OwnReading
from warmup.policy.mailbox import MailboxId

SECOND = timedelta(seconds=1)


def cursor(uid: int, *, uidvalidity: int = 1, folder: str = "Sent") -> Cursor:
    return Cursor(folder=folder, uidvalidity=uidvalidity, last_uid=uid)


def messages(*uids: int) -> list[OwnMessage]:
    """Messages that were filed as many minutes after NOW as their UID says."""
    return [OwnMessage(uid=uid, at=NOW + uid * MINUTE) for uid in uids]


async def test_a_message_that_is_read_twice_counts_once(world: World) -> None:
    own, who = world.ledger.own, world.sender.id
    assert await own.record(who, messages(1, 2), cursor=cursor(2), now=NOW + HOUR) == 2
    assert await own.record(who, messages(2, 3), cursor=cursor(3), now=NOW + 2 * HOUR) == 1
    assert await own.count(who, since=NOW) == 3
    assert await own.count(who, since=NOW + MINUTE) == 2
    assert await own.count(world.seeds[0].id, since=NOW) == 0
    assert await own.cursor(who, "Sent") == cursor(3)
    assert await own.cursor(who, "Other") is None
    assert await own.last_good(who) == NOW + 2 * HOUR


async def test_a_folder_that_numbers_anew_counts_nothing_twice(world: World) -> None:
    own, who, other = world.ledger.own, world.sender.id, world.seeds[0].id
    for mailbox in (who, other):
        await own.record(mailbox, messages(1, 2, 3), cursor=cursor(3), now=NOW + HOUR)
    await own.record(who, messages(2), cursor=cursor(2, folder="Elsewhere"), now=NOW + HOUR)
    # What is older than all that is read again stays as it is known.
    again = [OwnMessage(uid=7, at=NOW + 2 * MINUTE), OwnMessage(uid=8, at=NOW + 3 * MINUTE)]
    assert await own.record(who, again, cursor=cursor(8, uidvalidity=2), now=NOW + 2 * HOUR) == 2
    assert await own.record(who, [], cursor=cursor(8, uidvalidity=3), now=NOW + 3 * HOUR) == 0
    bounds = {"since": NOW, "until": NOW + HOUR}
    assert await own.instants([who, other], **bounds) == {
        who: tuple(NOW + n * MINUTE for n in (1, 2, 2, 3)),
        other: tuple(NOW + n * MINUTE for n in (1, 2, 3)),
    }


async def test_a_failed_reading_is_the_last_and_no_good_one(world: World) -> None:
    own, who = world.ledger.own, world.sender.id
    assert await own.last(who) == OwnReading(at=NOW, ok=True, error=None)
    await own.failed(who, "no such folder", now=NOW + HOUR)
    assert await own.last(who) == OwnReading(at=NOW + HOUR, ok=False, error="no such folder")
    assert await own.last_good(who) == NOW
    # Of two readings at one instant the later one is the last.
    await own.none_to_read(who, now=NOW + HOUR)
    assert await own.last(who) == OwnReading(at=NOW + HOUR, ok=True, error=None)
    assert await own.last(world.seeds[0].id) is None
    assert await own.last_good(world.seeds[0].id) is None


async def test_those_that_were_never_read_are_left_out_and_not_counted_as_none(world: World) -> None:
    own, ann, (bob, eve) = world.ledger.own, world.sender.id, (seed.id for seed in world.seeds)
    await own.record(ann, messages(1, 2), cursor=cursor(2), now=NOW + HOUR)
    await own.failed(bob, "refused", now=NOW)
    assert await own.counts([ann, bob, eve], since=NOW) == {ann: 2}
    await own.none_to_read(bob, now=NOW)
    assert await own.counts([ann, bob, eve], since=NOW + MINUTE) == {ann: 1, bob: 0}
    assert await own.counts([bob], since=NOW) == {bob: 0}


async def test_instants_lie_between_their_bounds_and_are_those_asked_for(world: World) -> None:
    own, ann, bob = world.ledger.own, world.sender.id, world.seeds[0].id
    await own.record(ann, messages(3, 1, 2), cursor=cursor(3), now=NOW + HOUR)
    await own.record(bob, messages(2), cursor=cursor(2), now=NOW + HOUR)
    asked: list[MailboxId] = [ann]
    inside = await own.instants(asked, since=NOW + MINUTE - SECOND, until=NOW + 3 * MINUTE + SECOND)
    assert inside == {ann: tuple(NOW + n * MINUTE for n in (1, 2, 3))}
    assert await own.instants(asked, since=NOW + MINUTE, until=NOW + 3 * MINUTE) == {ann: (NOW + 2 * MINUTE,)}
    assert await own.instants([ann, bob], since=NOW + HOUR, until=NOW + 2 * HOUR) == {}
