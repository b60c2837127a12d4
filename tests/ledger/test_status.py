"""The fleet at a glance: what each mailbox's own date holds, what its account has used, and what holds it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.ledger.conftest import HOUR, MARGIN, MINUTE, NOW, World, new_day, new_mailbox
from warmup.ledger import Ledger
from warmup.ledger.cursors import Cursor
from warmup.ledger.holds import NewHold
from warmup.ledger.own import OwnMessage
from warmup.ledger.status import Held, Overview
from warmup.mail.answer import Deferred, Refused, Reply, Uncertain
from warmup.policy.fate import Cap
from warmup.policy.quota import DAY

GONE = Refused(reply=Reply(code=550, status="5.1.1", text="no such user"))
AWAY = Deferred(reply=None, reason="away")
LOST = Uncertain(reason="silence")


async def seen(world: World, at: datetime, address: str = "ann@send.test") -> Overview:
    fleet = {overview.mailbox.address: overview for overview in await world.ledger.status.fleet(now=at)}
    return fleet[address]


async def test_a_mailbox_without_a_plan_has_done_nothing_and_is_shown_by_address(world: World) -> None:
    await world.ledger.mailboxes.add(new_mailbox("Abe@send.test"))
    fleet = await world.ledger.status.fleet(now=NOW)
    addresses = [overview.mailbox.address for overview in fleet]
    assert addresses == sorted(addresses)
    assert set(addresses) == {"Abe@send.test", "ann@send.test", "bob@one.test", "eve@two.test"}
    ann = await seen(world, NOW)
    assert ann.mailbox == world.sender
    assert ann.account == "127.0.0.1/ann@send.test"
    assert (ann.day, ann.target_today, ann.sent_today, ann.sent_24h, ann.own_24h) == (0, 0, 0, 0, 0)
    assert (ann.capped_by, ann.reason, ann.problem_at, ann.suppressed, ann.holds) == (None, "", None, None, ())
    assert ann.standing is None
    assert ann.authentication == {}


async def test_today_counts_what_was_taken_and_the_account_what_may_have_been(world: World) -> None:
    slots = await world.plan(6, target=9)
    at = slots[-1].due_at
    for slot, answer in zip(slots[:4], (None, LOST, GONE, AWAY), strict=True):
        await (world.send(slot, at=at) if answer is None else world.send(slot, answer, at))
    await world.claim(slots[4], at)
    ann = await seen(world, at)
    assert (ann.day, ann.target_today, ann.sent_today, ann.sent_24h) == (1, 9, 1, 3)
    assert (await seen(world, at, "bob@one.test")).sent_24h == 0


async def test_a_message_that_went_at_the_second_try_is_one(world: World) -> None:
    (slot,) = await world.plan(1)
    claimed = await world.claim(slot)
    await world.end(claimed, AWAY, NOW, retry_at=NOW + MINUTE)
    await world.send(slot, at=NOW + MINUTE)
    assert (await seen(world, NOW + MINUTE)).sent_today == 1


async def test_another_date_begins_with_nothing_and_the_ramp_stays_where_it_was(world: World) -> None:
    day = replace(new_day(NOW, target=3, day=4), capped_by=Cap.LIMIT, reason="the limit is lower")
    await world.ledger.slots.record(world.sender.id, day, [world.new_slot(1, NOW, world.seeds[0])], now=NOW)
    (slot,) = (await world.ledger.turns.to_send(world.sender.id, NOW)).due
    await world.send(slot)
    today, tomorrow = await seen(world, NOW + HOUR), await seen(world, NOW + DAY)
    assert (today.day, today.target_today, today.sent_today) == (4, 3, 1)
    assert (today.capped_by, today.reason) == (Cap.LIMIT, "the limit is lower")
    assert (tomorrow.day, tomorrow.target_today, tomorrow.sent_today) == (4, 0, 0)
    assert (tomorrow.capped_by, tomorrow.reason) == (None, "")


async def test_today_is_the_mailboxs_own_date(ledger: Ledger) -> None:
    world = await World.founded(ledger, timezone="Asia/Tokyo")
    late = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
    # In Tokyo it is the third already.
    await world.ledger.slots.record(world.sender.id, new_day(late + DAY, target=5, day=2), [], now=late)
    ann = await seen(world, late)
    assert (ann.day, ann.target_today) == (2, 5)
    assert (await seen(world, late - 6 * HOUR)).target_today == 0


async def test_the_last_day_of_several_is_shown_and_none_to_come(world: World) -> None:
    for shift, target in ((0, 3), (1, 4), (5, 8)):
        at = NOW + shift * DAY
        await world.ledger.slots.record(world.sender.id, new_day(at, target=target, day=shift + 1), [], now=NOW)
    assert (await seen(world, NOW + DAY)).target_today == 4
    assert (await seen(world, NOW + 3 * DAY)).day == 2
    assert (await seen(world, NOW + 5 * DAY)).target_today == 8


async def test_uses_leave_the_window_after_a_day(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    cursor = Cursor(folder="Sent", uidvalidity=1, last_uid=2)
    own = [OwnMessage(uid=1, at=NOW), OwnMessage(uid=2, at=NOW + HOUR)]
    await world.ledger.own.record(world.sender.id, own, cursor=cursor, now=NOW + HOUR)
    found = [await seen(world, NOW + DAY + shift) for shift in (-MINUTE, timedelta(), HOUR)]
    assert [(one.sent_24h, one.own_24h) for one in found] == [(1, 2), (0, 1), (0, 0)]


async def test_uses_of_a_mailbox_that_was_purged_stay_with_its_account(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW + HOUR, purge=True)
    await world.ledger.mailboxes.add(new_mailbox("ann@send.test"))
    assert (await seen(world, NOW + 2 * HOUR)).sent_24h == 1
    assert (await seen(world, NOW + DAY + MARGIN)).sent_24h == 0


async def test_the_longest_hold_of_each_lane_is_shown_while_it_lasts(world: World) -> None:
    account, hold = world.sender.account_id, world.ledger.holds.hold
    for hours, provider, reason in (
        (3, "two.test", "long"),
        (1, "two.test", "short"),
        (2, "", "all"),
        (9, "a.test", ""),
    ):
        await hold(account, NewHold(until=NOW + hours * HOUR, reason=reason, provider=provider), now=NOW)
    everybody = Held(provider=None, until=NOW + 2 * HOUR, reason="all")
    first, lane = Held(provider="a.test", until=NOW + 9 * HOUR, reason=""), NOW + 3 * HOUR
    second = Held(provider="two.test", until=lane, reason="long")
    assert (await seen(world, NOW)).holds == (everybody, first, second)
    assert (await seen(world, NOW + 2 * HOUR)).holds == (first, second)
    assert (await seen(world, lane)).holds == (first,)
    assert (await seen(world, NOW, "bob@one.test")).holds == ()


async def test_a_problem_a_suppression_and_a_removal_are_shown(world: World) -> None:
    await world.ledger.mailboxes.note_problem(world.sender.id, "smtp: away", now=NOW + HOUR)
    await world.ledger.standings.suppress("bob@one.test", "550 5.1.1", now=NOW)
    await world.ledger.mailboxes.remove(world.seeds[1].id, now=NOW)
    ann, bob = await world.ledger.status.fleet(now=NOW + HOUR)
    assert (ann.mailbox.problem, ann.problem_at, ann.suppressed) == ("smtp: away", NOW + HOUR, None)
    assert (bob.problem_at, bob.suppressed) == (None, "550 5.1.1")
    await world.ledger.mailboxes.clear_problem(world.sender.id)
    assert (await seen(world, NOW + HOUR)).problem_at is None
