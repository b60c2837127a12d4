"""What attribution crosses: each judged message once, with the placement that counts, and the rebuffs beside them."""

from datetime import timedelta
from typing import Any

from tests.ledger.conftest import HOUR, MINUTE, NOW, OK, World, new_mailbox
from warmup.ledger.sightings import Stage
from warmup.ledger.trials import Tried
from warmup.mail.answer import Deferred, Refused, Reply, Uncertain
from warmup.policy.fate import Placement
from warmup.policy.mailbox import Role

BLOCKED = Reply(code=550, status="5.7.1", text="blocked")
SLOW = Reply(code=421, status="4.7.0", text="try later")
DAY = timedelta(days=1)


def tried(**changes: Any) -> Tried:
    fields: dict[str, Any] = {
        "date": NOW.date(),
        "mailbox": "ann@send.test",
        "domain": "send.test",
        "provider": "one.test",
        "seed": "bob@one.test",
        "control": False,
        "grammar": "en-garden",
    }
    return Tried(**{**fields, **changes})


EVE: dict[str, Any] = {"provider": "two.test", "seed": "eve@two.test"}


async def test_placed_and_rebuffed_messages_are_told_with_all_that_they_share(world: World) -> None:
    seen, refused, unseen, late = await world.plan(4)
    await world.send(seen)
    await world.see(seen, Placement.SPAM, NOW + HOUR)
    await world.send(refused, Refused(reply=BLOCKED))
    await world.send(unseen)
    claimed = await world.claim(late)
    await world.end(claimed, Deferred(reply=SLOW, reason="slow"), late.due_at, retry_at=late.due_at + MINUTE)
    await world.send(late, at=late.due_at + MINUTE)
    await world.see(late, Placement.INBOX, NOW + HOUR)
    placed = [tried(placement=Placement.SPAM), tried(placement=Placement.INBOX, **EVE)]
    # Placed ones by slot, rebuffed ones with the newest first; all of one date.
    rebuffed = [tried(reply=SLOW, **EVE), tried(reply=BLOCKED, **EVE)]
    assert await world.ledger.trials.recent(since=NOW) == (*placed, *rebuffed)
    assert await world.ledger.trials.recent(since=NOW, most=1) == (placed[1], rebuffed[0])


async def test_missing_is_evidence_only_where_the_message_was_taken(world: World) -> None:
    taken, lost = await world.plan(2)
    await world.send(taken)
    await world.send(lost, Uncertain(reason="silence"))
    for slot in (taken, lost):
        await world.see(slot, Placement.MISSING, NOW + DAY)
    assert await world.ledger.trials.recent(since=NOW) == (tried(placement=Placement.MISSING),)


async def test_what_was_moved_later_is_judged_by_where_it_landed(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.see(slot, Placement.SPAM, NOW + HOUR)
    await world.see(slot, Placement.INBOX, NOW + DAY, stage=Stage.SECOND)
    assert await world.ledger.trials.recent(since=NOW) == (tried(placement=Placement.SPAM),)


async def test_older_dates_are_left_out_and_the_rest_comes_by_date(world: World) -> None:
    for shift in (2, 0, 1):
        at = NOW + shift * DAY
        await world.read_own(at)
        slot, refused = await world.plan(2, at=at)
        await world.send(slot)
        await world.see(slot, Placement.INBOX, at + HOUR)
        await world.send(refused, Refused(reply=BLOCKED))
    for since, dates in ((2, (1, 2)), (3, (2,)), (4, ())):
        found = await world.ledger.trials.recent(since=NOW + since * DAY)
        expected = [(NOW + shift * DAY).date() for shift in dates for _ in range(2)]
        assert [one.date for one in found] == expected


async def test_a_seed_for_control_is_told_as_one_and_what_had_no_reply_is_no_rebuff(world: World) -> None:
    control = await world.ledger.mailboxes.add(new_mailbox("sue@one.test", role=Role.CONTROL))
    world.seeds = (control, world.seeds[1])
    slot, away = await world.plan(2)
    await world.send(slot, OK)
    await world.see(slot, Placement.INBOX, NOW + HOUR)
    await world.send(away, Deferred(reply=None, reason="away"))
    (found,) = await world.ledger.trials.recent(since=NOW)
    assert found == tried(placement=Placement.INBOX, seed="sue@one.test", control=True)
