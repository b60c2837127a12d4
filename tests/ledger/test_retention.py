"""History leaves: old messages go whole, and nobody who still asks is answered otherwise than before."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from tests.ledger.conftest import HOUR, MARGIN, MINUTE, NOW, World, new_day
from warmup.ledger import Ledger
from warmup.ledger.cursors import Cursor
from warmup.ledger.engagements import Result
from warmup.ledger.holds import NewHold
from warmup.ledger.own import OwnMessage
from warmup.ledger.reports import NewReport
from warmup.ledger.sightings import NextLook, Stage
from warmup.ledger.slots import Slot
from warmup.ledger.standings import Judgement, Subject
from warmup.ledger.tables import metadata
from warmup.mail.answer import Deferred, Refused, Reply, Uncertain
from warmup.mail.report import Kind as ReportKind
from warmup.policy.attribution import Suspect
from warmup.policy.fate import Action, Kind, Placement
from warmup.policy.retention import horizons
from warmup.policy.retirement import Candidate, Decision
from warmup.policy.standing import Standing

DAY = 24 * HOUR
MONTH = 30 * DAY
SPAM = Reply(code=550, status="5.7.1", text="looks like spam")


async def forget(ledger: Ledger, now: datetime, *, days: int = 3, batch: int = 200) -> Counter[str]:
    """What went, by table."""
    gone: Counter[str] = Counter()
    beyond = horizons(now, days=days, expire_after=timedelta(days=30))
    async for told in ledger.retention.forget(beyond, batch=batch):
        gone[told.table] += told.rows
    return +gone


async def rows(ledger: Ledger) -> Counter[str]:
    """How many rows every table has."""
    return await ledger.store.read(
        lambda connection: Counter(
            {name: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar_one() for name in metadata.tables}
        )
    )


async def exported(ledger: Ledger, what: str) -> list[dict[str, Any]]:
    return [row async for row in getattr(ledger.export, what)()]


async def a_day(world: World, at: datetime) -> tuple[Slot, ...]:
    """Eight messages with every end there is, and one of the operator's own."""
    slots = await world.plan(8, at=at)
    await world.read_own(at)
    inbox, spam, missing, moved, refused, deferred, lost, _ = slots
    for slot in (inbox, spam, missing, moved):
        await world.send(slot)
    await world.see(inbox, Placement.INBOX, at + HOUR)
    await world.see(spam, Placement.SPAM, at + HOUR)
    await world.see(missing, Placement.MISSING, at + DAY)
    again = NextLook(look_at=at + 3 * HOUR, deadline_at=at + 2 * DAY)
    await world.see(moved, Placement.INBOX, at + HOUR, again=again)
    await world.see(moved, Placement.SPAM, at + 4 * HOUR, stage=Stage.SECOND)
    await world.send(refused, Refused(reply=SPAM))
    await world.send(deferred, Deferred(reply=Reply(code=451, text="later")))
    await world.send(lost, Uncertain(reason="cut"))
    await world.see(lost, Placement.UNOBSERVED, at + DAY)
    await world.ledger.slots.lapse(slots[-1].id, "grace", now=at + DAY)
    bounce = NewReport(
        slot_id=missing.id, kind=ReportKind.BOUNCE, action="failed", reply=SPAM, folder="INBOX", uidvalidity=1, uid=1
    )
    await world.ledger.reports.record(world.sender.id, [bounce], now=at + HOUR)
    meant = await world.ledger.engagements.intend(spam.id, Action.RESCUE, mailbox_id=spam.recipient_id, now=at + HOUR)
    assert meant is not None
    await world.ledger.engagements.end(meant, Result.DONE, now=at + HOUR)
    uid = int(at.timestamp())
    cursor = Cursor(folder="Sent", uidvalidity=1, last_uid=uid)
    await world.ledger.own.record(world.sender.id, [OwnMessage(uid=uid, at=at)], cursor=cursor, now=at)
    return slots


async def test_old_messages_go_with_all_their_rows_and_the_sums_stay(world: World) -> None:
    for age in (70, 65, 2):
        await a_day(world, NOW - age * DAY)
    totals, daily = await world.ledger.status.totals(), await exported(world.ledger, "daily")
    history = await world.ledger.history.of(world.sender.id)
    before = await rows(world.ledger)
    assert totals.messages["ann@send.test", "one.test", "refused"]
    assert totals.rescues
    assert sum(row["own"] for row in daily) == 6

    assert (await forget(world.ledger, NOW))["messages"] == 16

    after = await rows(world.ledger)
    for name in ("slots", "attempts", "outcomes", "sightings", "reports", "engagements", "engagement_ends", "lapses"):
        assert after[name] * 3 == before[name], name
    assert {row["date"] for row in await exported(world.ledger, "messages")} == {(NOW - 2 * DAY).date().isoformat()}
    assert await exported(world.ledger, "daily") == daily
    assert await world.ledger.history.of(world.sender.id) == history
    kept = await world.ledger.status.totals()
    for name in ("messages", "placements", "replies", "rescues", "complaints"):
        assert getattr(kept, name) == getattr(totals, name), name
    # Of refusals and bounces the words are forgotten, and how many there were of a cause is not.
    assert sum(kept.rebuffs.values()) == 1
    assert kept.causes == {("one.test", "reputation"): 4}
    assert await forget(world.ledger, NOW) == {}
    assert (await exported(world.ledger, "daily")) == daily


async def test_the_size_of_a_batch_changes_nothing(world: World) -> None:
    for age in (90, 80, 70, 1):
        await a_day(world, NOW - age * DAY)
    daily = await exported(world.ledger, "daily")
    assert (await forget(world.ledger, NOW, batch=1))["messages"] == 24
    assert await exported(world.ledger, "daily") == daily
    assert (await rows(world.ledger))["slots"] == 8


async def test_what_the_judge_and_the_walls_ask_is_answered_as_before(world: World) -> None:
    for age in (75, 61, 59, 20, 0):
        await a_day(world, NOW - age * DAY)
    evidence, trials, used = world.ledger.evidence, world.ledger.trials, world.ledger.attempts.used
    since = NOW - 60 * DAY
    asked = (
        await evidence.of_domain("send.test", since=since),
        await trials.recent(since=since),
        await used(world.sender, now=NOW + HOUR, margin=MARGIN),
    )
    assert len(asked[0].findings) == 9
    assert asked[2] == 6
    assert (await forget(world.ledger, NOW + HOUR))["messages"] == 8
    assert asked == (
        await evidence.of_domain("send.test", since=since),
        await trials.recent(since=since),
        await used(world.sender, now=NOW + HOUR, margin=MARGIN),
    )


async def test_a_thread_stays_whole_while_any_of_it_is_young_or_awaited(world: World) -> None:
    old = NOW - 70 * DAY
    answered, due, flying, awaited, done = await world.plan(5, at=old)
    for slot in (answered, awaited, done):
        await world.send(slot)
    for slot in (answered, done):
        await world.see(slot, Placement.INBOX, old + HOUR)
    await world.claim(flying)
    answer = world.new_slot(
        1, NOW - DAY, world.seeds[0], kind=Kind.REPLY, in_reply_to=answered.id, thread_id=answered.thread_id
    )
    assert await world.ledger.slots.record(world.sender.id, new_day(NOW - DAY, target=1), [answer], now=NOW - DAY)
    assert await forget(world.ledger, NOW) == {"messages": 1}
    left = {row["slot"] for row in await exported(world.ledger, "messages")}
    assert {answered.id, due.id, flying.id, awaited.id} < left
    assert done.id not in left
    # A month later all of them have come to rest.
    await world.recover(NOW)
    await world.ledger.slots.lapse(due.id, "grace", now=NOW)
    for slot in (flying, awaited):
        await world.see(slot, Placement.MISSING, NOW)
    assert (await forget(world.ledger, NOW + MINUTE))["messages"] == 3
    (reply,) = [row["slot"] for row in await exported(world.ledger, "messages") if row["slot"] != answered.id]
    await world.ledger.slots.lapse(reply, "grace", now=NOW)
    assert (await forget(world.ledger, NOW + 70 * DAY))["messages"] == 2
    assert await exported(world.ledger, "messages") == []


async def test_the_last_word_stays_however_old_it_is(world: World) -> None:
    ledger, sender = world.ledger, world.sender
    await ledger.own.failed(sender.id, "down", now=NOW + HOUR)
    await ledger.own.none_to_read(sender.id, now=NOW + 2 * HOUR)
    await ledger.own.failed(sender.id, "down", now=NOW + 3 * HOUR)
    await ledger.own.failed(sender.id, "down", now=NOW + 4 * HOUR)
    for hour in (1, 2):
        await ledger.sightings.looked(sender.id, "", now=NOW + hour * HOUR)
        hold = NewHold(until=NOW + (2 + hour) * HOUR, reason="slow down")
        await ledger.holds.hold(sender.account_id, hold, now=NOW + hour * HOUR)
    for reason in ("first", "last"):
        await ledger.standings.append([_judgement(reason)], now=NOW)
    seed = Candidate(Suspect.SEED, "bob@one.test")
    for retired in (True, False):
        await ledger.retirements.append([Decision(candidate=seed, retired=retired, reason="")], now=NOW)
    await ledger.standings.suppress("eve@two.test", "no such user", now=NOW)
    until = NOW + 400 * DAY
    gone = await forget(ledger, until)
    assert gone == {"own_readings": 3, "looks": 1, "holds": 1, "standings": 1, "retirements": 1}
    assert await ledger.own.last_good(sender.id) == NOW + 2 * HOUR
    last = await ledger.own.last(sender.id)
    assert last is not None
    assert last.at == NOW + 4 * HOUR
    assert await ledger.holds.held_before(sender.account_id, "") == 2 * HOUR
    assert [told.reason for told in await ledger.standings.history(Subject.LANE, sender.address, "one.test")] == [
        "last"
    ]
    assert await ledger.retirements.in_force() == ()
    assert await ledger.standings.suppressed() == frozenset({"eve@two.test"})
    assert await ledger.installation.latest() == NOW + 2 * HOUR


def _judgement(reason: str) -> Judgement:
    return Judgement(
        kind=Subject.LANE,
        subject="ann@send.test",
        provider="one.test",
        standing=Standing.WATCHED,
        thin=True,
        since=NOW,
        reason=reason,
        n=1.0,
        factor=1.0,
    )


async def test_a_restores_hold_finds_the_looks_that_it_waits_for(file_world: World) -> None:
    world, ledger = file_world, file_world.ledger
    (slot,) = await world.plan(1)
    await world.send(slot)
    ledger.path.with_name("warmup.db.hw").unlink()
    assert await ledger.installation.check_restore(now=NOW + HOUR)
    for mailbox in (world.sender, world.seeds[0]):
        await ledger.sightings.looked(mailbox.id, "", now=NOW + 2 * HOUR)
    hold = await ledger.installation.hold(now=NOW + 9 * DAY)
    assert hold is not None
    assert hold.unread == 1
    await forget(ledger, NOW + 9 * DAY)
    assert await ledger.installation.hold(now=NOW + 9 * DAY) == hold


async def test_removed_accounts_keep_what_counts_and_lose_it_when_it_counts_no_more(world: World) -> None:
    slots = await world.plan(3)
    for slot in slots:
        await world.send(slot)
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW + HOUR, purge=True)
    assert await forget(world.ledger, NOW + 2 * DAY) == {}
    assert (await rows(world.ledger))["kept_uses"] == 3
    await forget(world.ledger, NOW + 4 * DAY)
    left = await rows(world.ledger)
    assert (left["kept_uses"], left["accounts"], left["mailboxes"]) == (0, 3, 3)


async def test_a_purge_takes_the_sums_along(world: World) -> None:
    await a_day(world, NOW - 70 * DAY)
    await forget(world.ledger, NOW)
    assert (await rows(world.ledger))["lane_totals"]
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW, purge=True)
    assert (await rows(world.ledger))["lane_totals"] == 0
    assert (await world.ledger.status.totals()).messages == {}


async def test_sums_go_too_in_the_end(world: World) -> None:
    await a_day(world, NOW)
    await forget(world.ledger, NOW + 390 * DAY)
    assert len(await exported(world.ledger, "daily")) == 2
    assert (await forget(world.ledger, NOW + 402 * DAY))["days"] == 1
    assert await exported(world.ledger, "daily") == []
    assert (await world.ledger.status.totals()).messages["ann@send.test", "one.test", "accepted"] == 2


async def test_the_file_uses_its_pages_again(file_world: World) -> None:
    world, ledger = file_world, file_world.ledger

    async def grown(first: int, last: int) -> int:
        for number in range(first, last, 10):
            await a_day(world, NOW + number * DAY)
            await forget(ledger, NOW + number * DAY)
        return await ledger.store.read(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar_one())

    full, later = await grown(0, 80), await grown(80, 200)
    # Sums grow by a row a lane and day; messages do not.
    assert later <= full * 1.1
    assert (await rows(ledger))["slots"] <= 7 * 8
