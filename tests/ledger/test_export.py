"""What goes out: the shapes of the contract, page by page, and the same sums wherever one looks."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from tests.ledger.conftest import HOUR, MINUTE, NOW, OK, World, new_day
from warmup.ledger import export
from warmup.ledger.cursors import Cursor
from warmup.ledger.engagements import Result
from warmup.ledger.own import OwnMessage
from warmup.ledger.sightings import Stage
from warmup.ledger.standings import Judgement, Subject
from warmup.mail.answer import Deferred, Refused, Reply, Uncertain
from warmup.policy.fate import Action, Kind, Placement
from warmup.policy.standing import Standing

DAY = timedelta(days=1)
BUSY = Reply(code=451, status="4.7.1", text="try later")


async def all_of(rows: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [row async for row in rows]
    json.dumps(found)
    return found


async def eventful(world: World) -> None:
    """A day on which everything happens once."""
    slots = await world.plan(10, target=10)
    await world.send(slots[0])
    await world.see(slots[0], Placement.INBOX, NOW + HOUR, folder="INBOX")
    await world.see(slots[0], Placement.SPAM, NOW + 12 * HOUR, stage=Stage.SECOND, folder="Junk")
    await world.end(await world.claim(slots[1]), Deferred(reply=BUSY), slots[1].due_at, slots[1].due_at + MINUTE)
    await world.send(slots[1], OK, slots[1].due_at + 5 * MINUTE)
    await world.see(slots[1], Placement.MISSING, NOW + DAY)
    await world.send(slots[2], Refused(reply=Reply(code=550, status="5.7.1", text="no")))
    await world.send(slots[3], Uncertain(reason="cut"))
    await world.see(slots[3], Placement.SPAM, NOW + HOUR)
    await world.send(slots[4], Uncertain(reason="cut"))
    await world.see(slots[4], Placement.MISSING, NOW + DAY)
    await world.end(await world.claim(slots[5]), Deferred(reply=BUSY), slots[5].due_at)
    await world.ledger.slots.lapse(slots[6].id, "grace", now=NOW + HOUR)
    await world.claim(slots[7])
    await world.send(slots[8])
    await world.see(slots[8], Placement.MISSING, NOW + DAY)
    await world.see(slots[8], Placement.INBOX, NOW + 2 * DAY, stage=Stage.SECOND)


async def test_messages_say_what_is_believed_of_every_slot(world: World) -> None:
    await eventful(world)
    rows = await all_of(world.ledger.export.messages())
    said = [(row["outcome"], row["outcome_source"], row["placement"], row["reclassified"]) for row in rows]
    assert said == [
        ("accepted", "smtp", "inbox", "spam"),
        ("accepted", "smtp", "missing", None),
        ("refused", "smtp", None, None),
        ("accepted", "sighting", "spam", None),
        ("uncertain", "smtp", "missing", None),
        ("deferred", "smtp", None, None),
        ("lapsed", None, None, None),
        ("in_flight", None, None, None),
        ("accepted", "smtp", "inbox", None),
        ("planned", None, None, None),
    ]
    assert rows[0] == {
        "slot": 1,
        "mailbox": "ann@send.test",
        "account": "127.0.0.1/ann@send.test",
        "recipient": "bob@one.test",
        "provider": "one.test",
        "kind": "new",
        "thread": "thread-1",
        "in_reply_to": None,
        "message_id": "<1@send.test>",
        "date": "2026-03-02",
        "due_at": "2026-03-02T09:00:00.000000Z",
        "attempts": 1,
        "claimed_at": "2026-03-02T09:00:00.000000Z",
        "outcome_at": "2026-03-02T09:00:00.000000Z",
        "outcome": "accepted",
        "outcome_source": "smtp",
        "reply_code": 250,
        "status": "2.0.0",
        "reply": "queued",
        "placement": "inbox",
        "reclassified": "spam",
        "sighted_at": "2026-03-02T10:00:00.000000Z",
        "folder": "INBOX",
        "engaged": [],
    }
    assert rows[1]["attempts"] == 2


async def test_attempts_are_told_one_by_one(world: World) -> None:
    await eventful(world)
    rows = await all_of(world.ledger.export.attempts())
    assert [row["outcome"] for row in rows if row["slot"] == 2] == ["deferred", "accepted"]
    assert [row["ordinal"] for row in rows if row["slot"] == 2] == [1, 2]
    (flying,) = [row for row in rows if row["slot"] == 8]
    assert (flying["outcome"], flying["outcome_at"], flying["source"]) == ("in_flight", None, None)
    assert set(flying) == {
        "slot", "ordinal", "claimed_at", "outcome_at", "outcome", "source", "reply_code", "status", "reply", "node",
    }  # fmt: skip


async def test_daily_counts_agree_with_messages_and_with_the_totals(world: World) -> None:
    await eventful(world)
    own = [OwnMessage(uid=1, at=NOW), OwnMessage(uid=2, at=NOW - DAY)]
    await world.ledger.own.record(world.sender.id, own, cursor=Cursor(folder="S", uidvalidity=1, last_uid=2), now=NOW)
    messages = await all_of(world.ledger.export.messages())
    daily = await all_of(world.ledger.export.daily())
    for row in daily:
        mine = [message for message in messages if message["provider"] == row["provider"]]
        sent = [message for message in mine if message["outcome"] == "accepted"]
        landed = Counter(message["placement"] for message in sent)
        assert row["sent"] == len(sent)
        assert [row[word] for word in ("inbox", "spam", "missing")] == [
            landed[word] for word in ("inbox", "spam", "missing")
        ]
        assert (row["own"], row["day"], row["ceiling"], row["target"]) == (1, 1, 10, 10)
    assert [(row["mailbox"], row["provider"], row["date"]) for row in daily] == [
        ("ann@send.test", "one.test", "2026-03-02"),
        ("ann@send.test", "two.test", "2026-03-02"),
    ]

    totals = await world.ledger.status.totals()
    ended = [row for row in messages if row["outcome"] not in ("planned", "in_flight")]
    assert totals.messages == Counter((row["mailbox"], row["provider"], row["outcome"]) for row in ended)
    placed = [row for row in messages if row["placement"] and row["outcome"] == "accepted"]
    assert totals.placements == Counter((row["mailbox"], row["provider"], row["placement"]) for row in placed)
    assert totals.rebuffs == {("one.test", Reply(code=550, status="5.7.1", text="no")): 1}


async def test_a_slot_that_waits_for_its_retry_is_no_total_yet(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.end(await world.claim(slot), Deferred(reply=BUSY), NOW, NOW + 10 * MINUTE)
    assert (await world.ledger.status.totals()).messages == {}
    await world.ledger.slots.lapse(slot.id, "grace", now=NOW + HOUR)
    assert (await world.ledger.status.totals()).messages == {("ann@send.test", "one.test", "lapsed"): 1}


async def test_bounds_hold_their_beginning_and_not_their_end(world: World) -> None:
    slots = await world.plan(3)
    for slot in slots:
        await world.send(slot)
        await world.see(slot, Placement.INBOX, slot.due_at)
    since, until = slots[1].due_at, slots[2].due_at
    for rows in (world.ledger.export.messages, world.ledger.export.attempts, world.ledger.export.placements):
        assert [row["slot"] for row in await all_of(rows(since=since, until=until))] == [slots[1].id]
    assert await all_of(world.ledger.export.daily(until=NOW)) == []
    assert len(await all_of(world.ledger.export.daily(since=NOW))) == 2


async def test_an_export_of_many_pages_has_every_row_once(world: World) -> None:
    n = export.PAGE * 2 + 7
    await world.plan(n)
    rows = await all_of(world.ledger.export.messages())
    assert [row["slot"] for row in rows] == list(range(1, n + 1))


async def test_replies_name_what_they_answer_and_count_for_whom_they_answer(world: World) -> None:
    (slot,) = await world.plan(1)
    bob = world.seeds[0]
    await world.send(slot)
    await world.see(slot, Placement.SPAM, NOW + HOUR, folder="Junk", uid=3, uidvalidity=1)
    answer = world.new_slot(
        1, NOW + HOUR, world.sender, kind=Kind.REPLY, in_reply_to=slot.id, thread_id=slot.thread_id, provider="one.test"
    )
    await world.ledger.slots.record(bob.id, new_day(NOW, target=1), [answer], now=NOW)
    await world.read_own(NOW + HOUR, bob)
    (waiting,) = (await world.ledger.turns.to_send(bob.id, NOW + HOUR)).due
    await world.send(waiting)
    await world.see(waiting, Placement.INBOX, NOW + 2 * HOUR)
    rescue = await world.ledger.engagements.intend(slot.id, Action.RESCUE, mailbox_id=bob.id, now=NOW + HOUR)
    assert rescue is not None
    await world.ledger.engagements.end(rescue, Result.DONE, now=NOW + HOUR)

    rows = await all_of(world.ledger.export.messages())
    assert (rows[1]["kind"], rows[1]["in_reply_to"], rows[1]["thread"]) == ("reply", slot.message_id, slot.thread_id)
    assert rows[0]["engaged"] == ["rescue"]
    totals = await world.ledger.status.totals()
    assert (totals.replies, totals.rescues) == ({"ann@send.test": 1}, {"ann@send.test": 1})


async def test_standings_are_told_as_they_were_judged(world: World) -> None:
    judged = Judgement(
        kind=Subject.DOMAIN, subject="send.test", standing=Standing.WATCHED, thin=True, since=NOW, reason="few", n=3.0,
        factor=1.0,
    )  # fmt: skip
    await world.ledger.standings.append([judged], now=NOW)
    (row,) = await all_of(world.ledger.export.standings())
    assert (row["subject_kind"], row["subject"], row["provider"], row["standing"]) == (
        "domain", "send.test", None, "watched",
    )  # fmt: skip
    assert (row["since"], row["thin"], row["inbox_ratio"]) == ("2026-03-02T09:00:00.000000Z", True, None)


async def test_the_fleet_is_shown_as_it_stands_today(world: World) -> None:
    await eventful(world)
    own = [OwnMessage(uid=1, at=NOW - HOUR)]
    await world.ledger.own.record(world.sender.id, own, cursor=Cursor(folder="S", uidvalidity=1, last_uid=2), now=NOW)
    lane = Judgement(
        kind=Subject.LANE, subject="ann@send.test", mailbox_id=world.sender.id, provider="one.test",
        standing=Standing.SLOWED, thin=False, since=NOW, reason="spam", n=9.0, factor=0.5,
    )  # fmt: skip
    await world.ledger.standings.append([lane], now=NOW)
    ann, bob, _eve = await world.ledger.status.fleet(now=NOW + HOUR)
    assert (ann.mailbox, ann.account, ann.day) == (world.sender, "127.0.0.1/ann@send.test", 1)
    assert (ann.target_today, ann.sent_today, ann.own_24h) == (10, 4, 1)
    # Accepted three, uncertain two, in flight one.
    assert ann.sent_24h == 6
    assert (ann.standing, ann.judged.lanes["one.test"].n) == (Standing.SLOWED, 9.0)
    assert (bob.day, bob.target_today, bob.sent_today, bob.standing) == (0, 0, 0, None)
    tomorrow = (await world.ledger.status.fleet(now=NOW + 2 * DAY))[0]
    assert (tomorrow.target_today, tomorrow.sent_today, tomorrow.sent_24h, tomorrow.day) == (0, 0, 1, 1)
