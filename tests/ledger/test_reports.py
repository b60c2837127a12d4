"""What came home is kept once, and what follows from it is in the same transaction."""

from dataclasses import replace
from datetime import timedelta

from tests.ledger.conftest import HOUR, MINUTE, NOW, RULES, World, new_day, new_mailbox
from warmup.ledger import schema
from warmup.ledger.attempts import Claimed
from warmup.ledger.engines import Hand, engine_of
from warmup.ledger.enrolled import account_key
from warmup.ledger.holds import NewHold
from warmup.ledger.reports import NewReport
from warmup.ledger.sightings import NewSighting
from warmup.ledger.slots import Slot
from warmup.mail.answer import Refused, Reply
from warmup.mail.report import Kind
from warmup.policy.attention import LISTEN_EVERY, LISTEN_FIRST, LISTEN_FOR
from warmup.policy.authentication import Method, Share
from warmup.policy.fate import Kind as SlotKind
from warmup.policy.fate import Placement
from warmup.policy.mailbox import Protocol
from warmup.policy.quota import Hindrance, Lapse, Wait

DAY = timedelta(days=1)
GONE = Reply(code=550, status="5.1.1", text="no such user")
SMTP, IMAP = Protocol.SMTP, Protocol.IMAP


def report(slot: Slot, kind: Kind = Kind.BOUNCE, *, action: str = "failed", uid: int = 1) -> NewReport:
    return NewReport(slot_id=slot.id, kind=kind, action=action, reply=GONE, folder="INBOX", uidvalidity=1, uid=uid)


async def test_a_report_is_news_once_wherever_it_lies(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    bounce = replace(report(slot), suppress="550 5.1.1 no such user")
    record = world.ledger.reports.record
    assert await record(world.sender.id, [bounce], now=NOW + HOUR) == (bounce,)
    assert await world.ledger.standings.suppressed() == {"bob@one.test"}
    await world.ledger.standings.lift("bob@one.test")
    assert await record(world.sender.id, [replace(bounce, uidvalidity=2, uid=9)], now=NOW + 2 * HOUR) == ()
    assert await world.ledger.standings.suppressed() == frozenset()
    delayed = report(slot, action="delayed", uid=2)
    assert await record(world.sender.id, [delayed], now=NOW + HOUR) == (delayed,)
    totals = await world.ledger.status.totals()
    assert totals.bounces == {("one.test", GONE, "failed"): 1}


async def test_nothing_is_reported_of_what_was_never_tried_or_is_anothers(world: World) -> None:
    sent, waiting = await world.plan(2)
    await world.send(sent)
    other = await world.ledger.mailboxes.add(new_mailbox("amy@send.test"))
    assert await world.ledger.reports.record(world.sender.id, [report(waiting)], now=NOW + HOUR) == ()
    assert await world.ledger.reports.record(other.id, [report(sent)], now=NOW + HOUR) == ()


async def test_a_message_that_was_seen_is_not_undone(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.see(slot, Placement.INBOX, NOW + HOUR)
    hold = NewHold(until=NOW + DAY, reason="said so")
    doubtful = replace(report(slot), suppress="gone", hold=hold)
    assert await world.ledger.reports.record(world.sender.id, [doubtful], now=NOW + HOUR) == (doubtful,)
    assert await world.ledger.standings.suppressed() == frozenset()
    assert await world.ledger.holds.held_before(world.sender.account_id, "") is None
    known = await world.ledger.evidence.of(world.sender.id, since=NOW - DAY)
    assert (len(known.findings), known.heard) == (1, ())


async def test_what_bounced_is_heard_and_not_missing_besides(world: World) -> None:
    bounced, lost = await world.plan(2)
    for slot in (bounced, lost):
        await world.send(slot)
        await world.see(slot, Placement.MISSING, NOW + DAY)
    await world.ledger.reports.record(world.sender.id, [report(bounced)], now=NOW + DAY)
    known = await world.ledger.evidence.of(world.sender.id, since=NOW - DAY)
    assert [finding.slot_id for finding in known.findings] == [lost.id]
    assert [(heard.slot_id, heard.reply) for heard in known.heard] == [(bounced.id, GONE)]
    tried = await world.ledger.trials.recent(since=NOW - DAY)
    assert [one.placement for one in tried] == [Placement.MISSING], "attribution crosses the lost one alone"
    assert {fresh.mailbox_id for fresh in await world.ledger.standings.due(now=NOW, every=DAY)} == {world.sender.id}


async def test_an_answer_by_others_lets_the_planned_one_lapse(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.see(slot, Placement.INBOX, NOW + HOUR)
    bob = world.seeds[0]
    await world.read_own(NOW, bob)
    day = replace(world.new_slot(1, NOW + 2 * HOUR, world.sender), kind=SlotKind.REPLY, in_reply_to=slot.id)
    await world.ledger.slots.record(bob.id, new_day(NOW, target=1), [day], now=NOW)
    until = NOW + DAY
    answer = report(slot, Kind.REPLY, action="")
    assert await world.ledger.reports.record(world.sender.id, [answer], now=NOW + HOUR) == (answer,)
    assert (await world.ledger.turns.to_send(bob.id, until)).due == ()
    assert (await world.ledger.status.totals()).replies == {"ann@send.test": 1}


async def test_a_lane_is_held_alone_and_an_account_as_a_whole(world: World) -> None:
    to_bob, to_eve, again = await world.plan(3)
    attempts, holds, account = world.ledger.attempts, world.ledger.holds, world.sender.account_id
    await holds.hold(account, NewHold(until=NOW + 10 * MINUTE, reason="rate", provider="one.test"), now=NOW)
    answer = await attempts.claim(to_bob.id, now=to_bob.due_at, rules=RULES, node="n")
    assert answer == Wait(until=NOW + 10 * MINUTE, reason=Hindrance.HELD)
    await world.send(to_eve)
    await holds.hold(account, NewHold(until=NOW + DAY, reason="limit"), now=NOW + MINUTE)
    answer = await attempts.claim(again.id, now=again.due_at, rules=RULES, node="n")
    assert answer == Lapse(reason=Hindrance.HELD)


async def test_a_domain_or_a_server_is_held_with_all_its_mailboxes(world: World) -> None:
    sibling = await world.ledger.mailboxes.add(new_mailbox("zoe@send.test"))
    stranger = await world.ledger.mailboxes.add(new_mailbox("kim@other.test"))
    for one in (sibling, stranger):
        await world.read_own(NOW, one)
    mine, theirs, foreign = [await world.plan(3, sender=one) for one in (world.sender, sibling, stranger)]
    attempts, holds, told = world.ledger.attempts, world.ledger.holds, world.sender.account_id

    async def may_go(slot: Slot) -> bool:
        return isinstance(await attempts.claim(slot.id, now=slot.due_at, rules=RULES, node="n"), Claimed)

    await holds.hold(told, NewHold(until=NOW + DAY, reason="5.7.705", domain="send.test"), now=NOW)
    assert [await may_go(slots[0]) for slots in (mine, theirs, foreign)] == [False, False, True]
    server, _ = account_key(stranger.smtp.host, stranger.username)
    listed = NewHold(until=NOW + DAY, reason="[BL21]", provider="two.test", server=server)
    await holds.hold(told, listed, now=NOW)
    # The second of three goes to two.test, the third to one.test.
    assert [await may_go(slot) for slot in foreign[1:]] == [False, True]
    before = holds.held_before
    assert await before(sibling.account_id, "", domain="send.test") == DAY
    assert await before(sibling.account_id, "two.test", server=server) == DAY
    assert await before(told, "") is None
    fleet = {one.mailbox.address: {held.of for held in one.holds} for one in await world.ledger.status.fleet(now=NOW)}
    assert fleet["zoe@send.test"] == {"send.test", server}
    assert fleet["kim@other.test"] == {server}


async def test_a_hold_counts_as_the_last_until_something_is_accepted_there(world: World) -> None:
    to_bob, to_eve, again = await world.plan(3)
    holds, account = world.ledger.holds, world.sender.account_id
    await holds.hold(account, NewHold(until=NOW + 20 * MINUTE, reason="rate", provider="one.test"), now=NOW - HOUR)
    assert await holds.held_before(account, "one.test") == 80 * MINUTE
    assert await holds.held_before(account, "two.test") is None
    await world.send(to_eve)
    await world.send(again, Refused(reply=GONE), at=NOW + 21 * MINUTE)
    assert await holds.held_before(account, "one.test") == 80 * MINUTE
    await world.send(to_bob, at=NOW + 22 * MINUTE)
    assert await holds.held_before(account, "one.test") is None


async def test_a_suppressed_recipient_is_not_written_to_until_it_is_lifted(world: World) -> None:
    first, _, third = await world.plan(3)
    await world.ledger.standings.suppress("BOB@one.test", "550 5.1.1", now=NOW)
    claim = world.ledger.attempts.claim
    assert await claim(first.id, now=first.due_at, rules=RULES, node="n") == Lapse(reason=Hindrance.SUPPRESSED)
    fleet = {one.mailbox.address: one.suppressed for one in await world.ledger.status.fleet(now=NOW)}
    assert fleet == {"ann@send.test": None, "bob@one.test": "550 5.1.1", "eve@two.test": None}
    assert await world.ledger.standings.lift("bob@one.test")
    assert not await world.ledger.standings.lift("bob@one.test")
    await world.claim(third)


async def test_a_senders_inbox_is_listened_to_while_a_report_may_come(world: World) -> None:
    (slot,) = await world.plan(1)
    due, looked = world.ledger.sightings.due, world.ledger.sightings.looked
    ann = world.sender.id
    await world.send(slot)
    await world.see(slot, Placement.INBOX, NOW)
    assert await due(NOW + LISTEN_FIRST - MINUTE) == ()
    assert await due(NOW + LISTEN_FIRST) == (ann,)
    await looked(ann, "", now=NOW + LISTEN_FIRST)
    assert await due(NOW + LISTEN_FIRST + LISTEN_EVERY - MINUTE) == ()
    assert await due(NOW + LISTEN_FIRST + LISTEN_EVERY) == (ann,)
    await looked(ann, "", now=NOW + 2 * HOUR, error="no route")
    assert await due(NOW + 3 * HOUR) == (ann,)
    await looked(ann, "", now=NOW + LISTEN_FOR + MINUTE)
    assert await due(NOW + 99 * DAY) == ()


async def test_what_a_receiver_vouched_for_is_kept_with_the_sighting(world: World) -> None:
    first, second, third = await world.plan(3)
    for slot, dkim in ((first, "pass"), (third, "fail")):
        await world.send(slot)
        vouched = {Method.SPF: "pass", Method.DKIM: dkim}
        seen = NewSighting(slot_id=slot.id, placement=Placement.INBOX, vouched=vouched)
        await world.ledger.sightings.record(slot.recipient_id, [seen], now=NOW + HOUR)
    await world.send(second)
    await world.see(second, Placement.INBOX, NOW + HOUR)
    known = await world.ledger.evidence.of(world.sender.id, since=NOW - DAY)
    lane = (world.sender.id, "one.test")
    assert {key: [each.results[Method.DKIM] for each in said] for key, said in known.vouched.items()} == {
        lane: ["pass", "fail"]
    }
    fleet = {one.mailbox.address: one.authentication for one in await world.ledger.status.fleet(now=NOW + HOUR)}
    assert fleet["ann@send.test"] == {"one.test": {Method.SPF: Share(2, 2), Method.DKIM: Share(1, 2)}}
    assert fleet["bob@one.test"] == {}


async def test_refused_logins_are_kept_until_the_door_opens_or_the_password_is_another(world: World) -> None:
    logins, ann = world.ledger.logins, world.sender.id
    assert await logins.refused(ann, SMTP, now=NOW) == {SMTP: 1}
    assert await logins.refused(ann, SMTP, now=NOW) == {SMTP: 2}
    assert await logins.refused(ann, IMAP, now=NOW) == {SMTP: 2, IMAP: 1}
    await logins.forget(ann, IMAP)
    assert await logins.refusals(ann) == {SMTP: 2}
    await logins.forget(ann)
    assert await logins.refusals(ann) == {}


async def test_a_purge_takes_all_of_it_along(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.ledger.reports.record(world.sender.id, [report(slot)], now=NOW + HOUR)
    seen = NewSighting(slot_id=slot.id, placement=Placement.INBOX, vouched={Method.SPF: "pass"})
    await world.ledger.sightings.record(slot.recipient_id, [seen], now=NOW + HOUR)
    await world.ledger.logins.refused(world.sender.id, SMTP, now=NOW)
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW + HOUR, purge=True)
    tables = ("reports", "authentications", "listens", "login_refusals")
    left = {table: (await world.rows(f"SELECT count(*) FROM {table}"))[0][0] for table in tables}
    assert left == dict.fromkeys(tables, 0)
    assert schema.inspect(world.url) == ()


async def test_a_ledger_of_before_is_brought_up_and_goes_down_again_with_its_holds(world: World) -> None:
    hold = world.ledger.holds.hold
    await hold(world.sender.account_id, NewHold(until=NOW + DAY, reason="limit"), now=NOW)
    await hold(world.sender.account_id, NewHold(until=NOW + DAY, reason="rate", provider="one.test"), now=NOW)
    await world.ledger.close()
    schema.downgrade(world.url, "0001")
    assert _holds(world) == ["limit"]
    schema.upgrade(world.url)
    assert _holds(world) == ["limit"]
    assert schema.inspect(world.url) == ()


def _holds(world: World) -> list[str]:
    engine = engine_of(world.ledger.database, Hand.READER)
    with engine.begin() as connection:
        found = connection.exec_driver_sql("SELECT reason FROM holds ORDER BY id").scalars().all()
    engine.dispose()
    return list(found)
