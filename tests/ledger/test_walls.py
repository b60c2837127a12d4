"""The limit is a wall: no account and no domain passes it in any 24 hours, however outcomes are late."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.ledger.conftest import HOUR, MARGIN, MINUTE, NOW, OK, RULES, World, new_mailbox
from warmup.ledger import Ledger
from warmup.ledger.attempts import Claimed
from warmup.ledger.cursors import Cursor
from warmup.ledger.holds import NewHold
from warmup.ledger.own import OwnMessage
from warmup.ledger.slots import Slot
from warmup.mail.answer import Answer, Deferred, Refused, Reply, Uncertain
from warmup.policy.quota import Hindrance, Lapse, Wait

T = TypeVar("T")

DAY = 24 * HOUR
REFUSED = Refused(reply=Reply(code=550))
PATIENT = replace(RULES, grace=timedelta(days=3), own_fresh=timedelta(days=9))


async def claims(world: World, slots: tuple[Slot, ...], at: datetime, **rules: object) -> list[bool]:
    """Claim each in turn at one instant; True where it went."""
    patient = replace(PATIENT, **rules)  # type: ignore[arg-type]
    answers = [await world.ledger.attempts.claim(slot.id, now=at, rules=patient, node="n") for slot in slots]
    return [isinstance(answer, Claimed) for answer in answers]


async def test_what_is_in_flight_counts(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=3)
    assert await claims(world, await world.plan(5), NOW + HOUR) == [True, True, True, False, False]


async def test_a_late_outcome_counts_from_its_outcome_and_the_margin(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=1)
    first, second = await world.plan(2)
    claimed = await world.claim(first, NOW)
    accepted_at = NOW + 2 * HOUR
    await world.end(claimed, OK, accepted_at)
    free_at = accepted_at + DAY + MARGIN
    wait = await world.ledger.attempts.claim(second.id, now=NOW + 3 * HOUR, rules=PATIENT, node="n")
    assert wait == Wait(until=free_at, reason=Hindrance.LIMIT)
    assert await claims(world, (second,), free_at - MINUTE) == [False]
    assert await claims(world, (second,), free_at) == [True]


async def test_another_name_of_its_server_does_not_empty_the_window(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=2)
    slots = await world.plan(3)
    assert await claims(world, slots, NOW + HOUR) == [True, True, False]
    moved = replace(world.sender, smtp=replace(world.sender.smtp, host="localhost"))
    assert (await ledger.mailboxes.save(moved)).account_id != world.sender.account_id
    assert await claims(world, slots[2:], NOW + 2 * HOUR) == [False]


async def test_enrolled_again_at_another_name_of_its_server_it_finds_what_it_used(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=2)
    for slot in await world.plan(2):
        await world.send(slot)
    await ledger.mailboxes.remove(world.sender.id, now=NOW + HOUR)
    new = new_mailbox("ann@send.test", daily_limit=2)
    again = await ledger.mailboxes.add(replace(new, smtp=replace(new.smtp, host="localhost")))
    assert await ledger.attempts.used(again, now=NOW + HOUR, margin=MARGIN) == 2
    assert await ledger.attempts.used_by_domain("send.test", now=NOW + HOUR, margin=MARGIN) == 2


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (Uncertain(reason="cut"), True),
        (Refused(reply=Reply(code=550)), False),
        (Deferred(reply=Reply(code=451)), False),
    ],
)
async def test_uncertain_counts_and_what_was_certainly_not_taken_does_not(
    ledger: Ledger, answer: Uncertain | Refused | Deferred, *, counts: bool
) -> None:
    world = await World.founded(ledger, daily_limit=1)
    first, second = await world.plan(2)
    await world.send(first, answer)
    assert await claims(world, (second,), NOW + MINUTE) == [not counts]


async def test_own_traffic_and_its_reserve_are_left_free(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=10)
    slots = await world.plan(10)
    own = [OwnMessage(uid=uid, at=NOW - HOUR) for uid in range(1, 4)]
    cursor = Cursor(folder="Sent", uidvalidity=7, last_uid=3)
    assert await ledger.own.record(world.sender.id, own, cursor=cursor, now=NOW) == 3
    assert await ledger.own.record(world.sender.id, own, cursor=cursor, now=NOW) == 0
    went = await claims(world, slots, NOW + HOUR, own_reserve_ratio=0.2)
    assert sum(went) == 10 - 3 - 2


async def test_messages_renumbered_by_a_new_uidvalidity_count_once(world: World) -> None:
    own = [OwnMessage(uid=5, at=NOW - HOUR)]
    await world.ledger.own.record(world.sender.id, own, cursor=Cursor(folder="S", uidvalidity=1, last_uid=5), now=NOW)
    again = [OwnMessage(uid=1, at=NOW - HOUR)]
    await world.ledger.own.record(world.sender.id, again, cursor=Cursor(folder="S", uidvalidity=2, last_uid=1), now=NOW)
    assert await world.ledger.own.count(world.sender.id, since=NOW - DAY) == 1


async def test_a_stale_or_failed_reading_of_own_traffic_holds_the_mailbox(world: World) -> None:
    slots = await world.plan(1)
    stale = NOW + 61 * MINUTE
    await world.ledger.own.failed(world.sender.id, "no route", now=stale)
    waits = await world.ledger.attempts.claim(slots[0].id, now=stale, rules=replace(RULES, grace=DAY), node="n")
    assert waits == Wait(until=None, reason=Hindrance.OWN_TRAFFIC)
    await world.read_own(stale)
    assert await claims(world, slots, stale) == [True]


async def test_the_mailboxes_of_a_domain_share_its_wall(world: World) -> None:
    other = await world.ledger.mailboxes.add(new_mailbox("zoe@send.test"))
    await world.read_own(NOW, other)
    mine, theirs = await world.plan(3), await world.plan(3, sender=other)
    went = await claims(world, mine + theirs, NOW + HOUR, domain_limit=4)
    assert went == [True, True, True, True, False, False]


async def test_an_account_held_by_its_servers_word_waits_until_then(world: World) -> None:
    (slot,) = await world.plan(1)
    until = NOW + 2 * HOUR
    await world.ledger.holds.hold(slot.account_id, NewHold(until=until, reason="550 5.4.5"), now=NOW)
    waits = await world.ledger.attempts.claim(slot.id, now=NOW, rules=PATIENT, node="n")
    assert waits == Wait(until=until, reason=Hindrance.HELD)
    assert await claims(world, (slot,), until) == [True]


async def test_a_day_sends_no_more_than_its_target_even_when_it_shrinks(world: World) -> None:
    slots = await world.plan(6)
    await world.send(slots[0])
    await world.ledger.slots.shrink(world.sender.id, NOW.date(), target=2, now=NOW, reason="halved")
    assert await claims(world, slots, NOW + HOUR) == [False, True, False, False, False, False]


async def test_a_slot_without_a_planned_lane_never_goes(world: World) -> None:
    slots = await world.plan(1, provider="elsewhere.test")
    assert await world.ledger.attempts.claim(slots[0].id, now=NOW, rules=RULES, node="n") == Lapse(
        reason=Hindrance.STANDING
    )


async def test_a_purge_keeps_the_accounts_uses_for_whoever_enrols_it_again(ledger: Ledger) -> None:
    world = await World.founded(ledger, daily_limit=3)
    first, second = await world.plan(2)
    await world.send(first)
    await world.claim(second)
    await ledger.mailboxes.remove(world.sender.id, now=NOW + MINUTE, purge=True)
    again = await ledger.mailboxes.add(new_mailbox("ann@send.test", username="Ann+tag@send.test", daily_limit=3))
    assert again.account_id == world.sender.account_id
    await world.read_own(NOW, again)
    later = NOW + HOUR
    assert await ledger.attempts.used(again, now=later, margin=MARGIN) == 2
    assert await ledger.attempts.used_by_domain("send.test", now=later, margin=MARGIN) == 2
    slots = await world.plan(3, at=later, sender=again)
    assert await claims(world, slots, later + HOUR) == [True, False, False]
    assert await ledger.attempts.used(again, now=NOW + 2 * DAY, margin=MARGIN) == 1


class Windows(RuleBasedStateMachine):
    """Claims, late outcomes, crashes and own traffic in any order; a server that counts from its own acceptance."""

    LIMIT = 2

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.now = NOW
        self.flying: list[tuple[Claimed, datetime]] = []
        self.accepted: list[tuple[datetime, datetime]] = []
        self.waiting: list[Slot] = []
        self.planned = 0
        self.uid = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def found(self) -> None:
        ledger = Ledger.open(f"sqlite:///{_template(self.folder)}", durable=False)
        self.run(ledger.installation.establish(now=NOW, token="t"))
        self.world = self.run(World.founded(ledger, daily_limit=self.LIMIT))

    @rule(n=st.integers(3, 6))
    def plan(self, n: int) -> None:
        at = NOW + timedelta(days=self.planned)
        self.planned += 1
        self.now = max(self.now, at)
        self.waiting += self.run(self.world.plan(n, at=at))

    @rule(minutes=st.sampled_from([7, 11 * 60, 23 * 60 + 30, 24 * 60 + 4]))
    def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @precondition(lambda self: self.waiting)
    @rule(n=st.integers(1, 3))
    def claim(self, n: int) -> None:
        rules = replace(PATIENT, grace=timedelta(days=90), own_fresh=timedelta(days=90))
        for slot in self.waiting[:n]:
            answer = self.run(self.world.ledger.attempts.claim(slot.id, now=self.now, rules=rules, node="n"))
            if isinstance(answer, Claimed):
                self.waiting.remove(slot)
                self.flying.append((answer, self.now))

    @precondition(lambda self: self.flying)
    @rule(pick=st.integers(0, 20), kind=st.sampled_from(["accepted", "cut", "refused"]))
    def end(self, pick: int, kind: str) -> None:
        claimed, since = self.flying.pop(pick % len(self.flying))
        answers: dict[str, Answer] = {"accepted": OK, "cut": Uncertain(reason="cut"), "refused": REFUSED}
        answer = answers[kind]
        self.run(self.world.end(claimed, answer, self.now))
        if kind != "refused":
            self.accepted.append((since, self.now))

    @rule()
    def crash(self) -> None:
        self.run(self.world.recover(self.now))
        self.accepted += [(since, self.now) for _, since in self.flying]
        self.flying = []

    @precondition(lambda self: self.has_room_by_hand())
    @rule()
    def write_by_hand(self) -> None:
        self.uid += 1
        cursor = Cursor(folder="Sent", uidvalidity=1, last_uid=self.uid)
        message = OwnMessage(uid=self.uid, at=self.now)
        self.run(self.world.ledger.own.record(self.world.sender.id, [message], cursor=cursor, now=self.now))
        self.accepted.append((self.now, self.now))

    def has_room_by_hand(self) -> bool:
        """An operator's own server would refuse what passes its limit, so only what it would take is written."""
        return self.most(self.accepted + [(since, self.now) for _, since in self.flying] + [(self.now, self.now)])

    @invariant()
    def no_window_overflows(self) -> None:
        assert self.most(self.accepted + [(since, self.now) for _, since in self.flying])

    def most(self, spans: list[tuple[datetime, datetime]]) -> bool:
        """True where no window of 24 hours can hold more than the limit, each taken anywhere between claim and end."""
        starts = {end for _, end in spans}
        return all(sum(end >= start and since < start + DAY for since, end in spans) <= self.LIMIT for start in starts)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.run(self.world.ledger.close())
        self.loop.close()
        shutil.rmtree(self.folder)


_BLANK: list[Path] = []


def _template(folder: Path) -> Path:
    if not _BLANK:
        _BLANK.append(Path(tempfile.mkdtemp()) / "blank.db")
        Ledger.open(f"sqlite:///{_BLANK[0]}", create=True).store.close_now()
    return Path(shutil.copy(_BLANK[0], folder / "warmup.db"))


# A run is dozens of transactions: the number of the profile would take minutes.
TestWindows = Windows.TestCase
TestWindows.settings = settings(settings.default, max_examples=40, stateful_step_count=40, deadline=None)


async def test_a_provider_that_takes_two_in_a_minute_gets_a_third_a_minute_later(world: World) -> None:
    slots, rules = await world.plan(3), replace(RULES, per_minute=2)
    at = slots[2].due_at
    for slot in slots[:2]:
        await world.end(await world.claim(slot, at, rules), OK, at)
    waits = await world.ledger.attempts.claim(slots[2].id, now=at, rules=rules, node="test")
    assert waits == Wait(until=at + MINUTE, reason=Hindrance.RATE)
    assert await world.claim(slots[2], at + MINUTE, rules)
