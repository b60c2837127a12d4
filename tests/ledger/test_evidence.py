"""What the judge is given, what it writes, and which mailboxes it is asked about."""

from dataclasses import replace
from datetime import timedelta

from tests.ledger.conftest import HOUR, MINUTE, NOW, RULES, World, new_mailbox
from warmup.ledger.sightings import Stage
from warmup.ledger.standings import Fresh, Judgement, Subject
from warmup.mail.answer import Deferred, Refused, Reply, Uncertain
from warmup.policy.fate import Outcome, Placement
from warmup.policy.mailbox import Role
from warmup.policy.quota import Hindrance, Lapse
from warmup.policy.standing import Standing

DAY = timedelta(days=1)
SPAM = Reply(code=550, status="5.7.1", text="looks like spam")


def judgement(world: World, standing: Standing, factor: float, provider: str | None = "one.test") -> Judgement:
    return Judgement(
        kind=Subject.LANE if provider else Subject.MAILBOX,
        subject=world.sender.address,
        mailbox_id=world.sender.id,
        provider=provider,
        standing=standing,
        thin=False,
        since=NOW,
        reason="said so",
        n=12.0,
        inbox_ratio=2 / 3,
        lower_ratio=0.3,
        upper_ratio=0.9,
        factor=factor,
    )


async def test_findings_say_where_each_message_landed_in_the_end(world: World) -> None:
    control = await world.ledger.mailboxes.add(new_mailbox("con@one.test", role=Role.CONTROL))
    world.seeds = (*world.seeds, control)
    slots = await world.plan(6)
    for slot in slots[:5]:
        await world.send(slot)
    await world.send(slots[5], Uncertain(reason="cut"))
    await world.see(slots[0], Placement.INBOX, NOW + HOUR)
    await world.see(slots[0], Placement.SPAM, NOW + 12 * HOUR, stage=Stage.SECOND)
    await world.see(slots[1], Placement.MISSING, NOW + DAY)
    await world.see(slots[2], Placement.INBOX, NOW + HOUR)
    await world.see(slots[3], Placement.UNOBSERVED, NOW + 2 * DAY)
    await world.see(slots[5], Placement.MISSING, NOW + DAY)

    known = await world.ledger.evidence.of(world.sender.id, since=NOW - DAY)
    found = {finding.slot_id: (finding.placement, finding.control) for finding in known.findings}
    assert found == {
        slots[0].id: (Placement.SPAM, False),
        slots[1].id: (Placement.MISSING, False),
        slots[2].id: (Placement.INBOX, True),
    }
    assert known.taken == {"one.test": 3, "two.test": 2}
    assert known.findings[0].sent_at == slots[0].due_at
    assert (await world.ledger.evidence.of(world.sender.id, since=slots[1].due_at)).findings == known.findings[2:]


async def test_rebuffs_are_what_servers_replied(world: World) -> None:
    first, second, third = await world.plan(3)
    await world.send(first, Refused(reply=SPAM))
    await world.send(second, Deferred(reply=None, reason="connection lost"))
    await world.send(third)
    known = await world.ledger.evidence.of_domain("send.test", since=NOW - DAY)
    assert [(rebuff.outcome, rebuff.reply, rebuff.provider) for rebuff in known.rebuffs] == [
        (Outcome.REFUSED, SPAM, "one.test"),
        (Outcome.DEFERRED, None, "two.test"),
    ]
    assert (await world.ledger.evidence.of_domain("other.test", since=NOW - DAY)).rebuffs == ()


async def test_a_mailbox_is_judged_again_when_evidence_comes_or_time_passes(world: World) -> None:
    first, second = await world.plan(2)
    standings, who = world.ledger.standings, world.sender.id
    due = standings.due
    await world.send(first)
    await world.send(second)
    assert await due(now=NOW, every=DAY) == ()
    await world.see(first, Placement.INBOX, NOW + HOUR)
    assert await due(now=NOW, every=DAY) == (Fresh(mailbox_id=who, marks=1),)
    marks = await standings.marks(who)
    await world.see(second, Placement.INBOX, NOW + HOUR)
    await standings.judged(who, marks=marks, now=NOW + HOUR)
    assert await due(now=NOW + HOUR, every=DAY) == (Fresh(mailbox_id=who, marks=1),)
    await standings.judged(who, marks=1, now=NOW + HOUR)
    assert await due(now=NOW + 25 * HOUR - MINUTE, every=DAY) == ()
    assert await due(now=NOW + 25 * HOUR, every=DAY) == (Fresh(mailbox_id=who, marks=0),)


async def test_a_judgement_that_repeats_the_last_adds_no_row(world: World) -> None:
    standings = world.ledger.standings
    said = judgement(world, Standing.WATCHED, 1.0)
    assert await standings.append([said], now=NOW) == 1
    assert await standings.append([replace(said, inbox_ratio=2 / 3 + 1e-9)], now=NOW + HOUR) == 0
    slowed = replace(said, standing=Standing.SLOWED, factor=0.5)
    assert await standings.append([slowed], now=NOW + HOUR) == 1
    history = await standings.history(Subject.LANE, world.sender.address, "one.test")
    assert [old.standing for old in history] == [Standing.WATCHED, Standing.SLOWED]
    assert (await standings.of(world.sender.id)).lanes["one.test"].standing is Standing.SLOWED
    assert (await standings.of(world.sender.id)).mailbox is None


async def test_a_lane_halted_since_it_was_planned_sends_nothing_more(world: World) -> None:
    to_bob, to_eve = await world.plan(2)
    await world.ledger.standings.append([judgement(world, Standing.HALTED, 0.0)], now=NOW)
    answer = await world.ledger.attempts.claim(to_bob.id, now=to_bob.due_at, rules=RULES, node="n")
    assert answer == Lapse(reason=Hindrance.STANDING)
    await world.claim(to_eve)


async def test_a_suppressed_address_is_suppressed_in_any_case(world: World) -> None:
    assert await world.ledger.standings.suppress("Gone@One.Test", "no such user", now=NOW)
    assert not await world.ledger.standings.suppress("gone@one.test", "again", now=NOW)
    assert await world.ledger.standings.suppressed() == {"gone@one.test"}
