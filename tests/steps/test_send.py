"""One slot, from due to done: what is claimed, said, recorded and logged, against the sandbox's real doors.

anna's slots are put into the ledger as the tests need them; the clock stands at the first one's due instant.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update
from structlog.testing import capture_logs

from tests.scenarios.indoors import ANNA, BERT, CARL, GONE, START, Stage, indoors
from warmup.cli.assembly import assembled
from warmup.clock import Course, Leap, Leaps, WallClock
from warmup.config.settings import LimitSettings, ObserveSettings, SendSettings
from warmup.content import shipped
from warmup.ledger.attempts import AttemptWriter, Claimed, claim_one
from warmup.ledger.errors import LedgerBusy, LedgerFailed
from warmup.ledger.highwater import HighWater
from warmup.ledger.holds import NewHold
from warmup.ledger.situation import Rules
from warmup.ledger.slots import NewDay, NewLaneDay, NewSlot, Slot
from warmup.ledger.tables import lapses, slots
from warmup.mail.answer import Accepted, Deferred, Reply
from warmup.policy.fate import Kind
from warmup.policy.mailbox import Mailbox, Role, SlotId
from warmup.policy.quota import Go, Lapse, Situation, Wait, may_go
from warmup.policy.standing import Standing
from warmup.sandbox import Fault, FaultKind
from warmup.steps.circle import Circle
from warmup.steps.letter import letter
from warmup.steps.send import record, rules, send, spelled

DUE = START + timedelta(hours=3)
MINUTE = timedelta(minutes=1)
GRACE = timedelta(minutes=30)
GRAMMAR = shipped().grammars[0]
GREYLISTED = Reply(code=451, status="4.7.1", text="Greylisted, please try again in 300 seconds")
SLOW_DOWN = Reply(code=421, status="4.7.28", text="Our system has detected an unusual rate of mail")
OK = Reply(code=250, status="2.0.0", text="queued")
Logged = list[MutableMapping[str, Any]]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with indoors(tmp_path, seed="send") as stage:
        stage.settings = stage.settings.model_copy(
            update={
                "send": SendSettings(grace_seconds=GRACE.total_seconds()),
                "observe": ObserveSettings(first_seconds=90, missing_after_hours=30),
                "limits": LimitSettings(
                    margin_seconds=200, own_reserve_ratio=0.25, own_fresh_minutes=45, domain_daily=70
                ),
            }
        )
        yield stage


@asynccontextmanager
async def founded(stage: Stage) -> AsyncIterator[Circle]:
    """The program, started, with everybody enrolled, at the due instant."""
    async with stage.circle() as circle:
        await stage.found(circle)
        stage.clock.raise_to(DUE)
        yield circle


@pytest.fixture
async def circle(stage: Stage) -> AsyncIterator[Circle]:
    async with founded(stage) as circle:
        yield circle


async def planned(
    stage: Stage, circle: Circle, *recipients: str, apart: timedelta = MINUTE, thread: bool = False
) -> tuple[Slot, ...]:
    """Slots of anna's to them in turn, the first due now; each may go, and in a `thread` the later answer the first."""
    anna, many = stage.ids[ANNA], len(recipients) + 10
    lanes = tuple(
        NewLaneDay(provider=each, level=1, ceiling=many, factor=1.0, target=many, standing=Standing.SOUND)
        for each in ("two.test", "three.test")
    )
    day = NewDay(date=DUE.date(), day=1, ceiling=many, target=many, lanes=lanes)
    slots = [
        NewSlot(
            number=n + 1,
            recipient_id=stage.ids[recipient],
            provider=recipient.partition("@")[2],
            kind=Kind.NEW,
            thread_id="thread" if thread else f"thread {n}",
            # A fresh ledger numbers its rows from 1.
            in_reply_to=SlotId(1) if thread and n else None,
            due_at=DUE + n * apart,
            nonce=b"nonce",
            message_id=f"<{n + 1:032x}@one.test>",
            grammar=GRAMMAR.name,
            language=GRAMMAR.language,
            seed=f"seed {n}",
        )
        for n, recipient in enumerate(recipients)
    ]
    await circle.ledger.slots.record(anna, day, slots, now=START)
    return tuple(await stage.due(circle))


async def attempted(circle: Circle) -> list[Mapping[str, Any]]:
    return [row async for row in circle.ledger.export.attempts()]


async def claim(slot: Slot, circle: Circle) -> Claimed:
    sender = await circle.mailbox(slot.mailbox_id)
    await circle.ledger.own.none_to_read(sender.id, now=circle.clock.now())
    claimed = await circle.ledger.attempts.claim(
        slot.id, now=circle.clock.now(), rules=rules(sender, circle), node=circle.node
    )
    assert isinstance(claimed, Claimed), claimed
    return claimed


async def lapsed(circle: Circle) -> dict[SlotId, str]:
    """The slots that have lapsed, each with its reason."""

    def read(connection: Connection) -> dict[SlotId, str]:
        return {SlotId(slot): reason for slot, reason in connection.execute(select(lapses.c.slot_id, lapses.c.reason))}

    return await circle.ledger.store.read(read)


def logged(logs: Logged, event: str) -> list[dict[str, Any]]:
    """What was logged of the event, without its name."""
    return [{key: value for key, value in line.items() if key != "event"} for line in logs if line["event"] == event]


def sample(circle: Circle, name: str) -> float:
    value = circle.process.registry.get_sample_value(name)
    assert value is not None
    return value


async def test_what_was_accepted_is_recorded_logged_counted_and_watched_for(stage: Stage, circle: Circle) -> None:
    (slot,) = await planned(stage, circle, BERT)
    stage.clock.raise_to(DUE + timedelta(seconds=20))
    began = circle.clock.elapsed()
    with capture_logs() as logs:
        await send(stage.ids[ANNA], circle)
    took = circle.clock.elapsed() - began
    assert stage.sandbox.record.received == (slot.message_id,)
    (line,) = logged(logs, "attempt")
    assert line == {
        "log_level": "info",
        "slot": slot.id,
        "mailbox": stage.ids[ANNA],
        "ordinal": 1,
        "verdict": "accepted",
        "code": 250,
        "status": "2.0.0",
    }
    assert await stage.due(circle) == []
    assert sample(circle, "warmup_slot_lag_seconds_sum") == 20.0
    assert sample(circle, "warmup_slot_lag_seconds_count") == 1.0
    assert sample(circle, "warmup_smtp_session_seconds_count") == 1.0
    assert 0.0 < sample(circle, "warmup_smtp_session_seconds_sum") <= took
    # First looked for as the settings say, in its recipient's folders; given up as they say, too.
    (watched,) = await circle.ledger.sightings.awaited(stage.ids[BERT])
    assert watched.since == stage.clock.now()
    assert watched.look_at == stage.clock.now() + timedelta(seconds=90)
    assert watched.deadline_at == stage.clock.now() + timedelta(hours=30)


async def test_slots_that_are_due_together_go_in_one_session_earliest_first(stage: Stage, circle: Circle) -> None:
    slots = await planned(stage, circle, BERT, CARL, BERT)
    stage.clock.raise_to(slots[-1].due_at)
    await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == tuple(slot.message_id for slot in slots)
    assert sample(circle, "warmup_smtp_session_seconds_count") == 1.0
    assert sample(circle, "warmup_slot_lag_seconds_sum") == 180.0


async def test_a_slot_goes_up_to_its_grace_and_lapses_after_it(stage: Stage, circle: Circle) -> None:
    late, last = await planned(stage, circle, BERT, CARL)
    stage.clock.raise_to(last.due_at + GRACE)
    with capture_logs() as logs:
        await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == (last.message_id,)
    assert logged(logs, "lapsed") == [
        {"log_level": "info", "slot": late.id, "mailbox": stage.ids[ANNA], "reason": "grace"}
    ]
    assert await lapsed(circle) == {late.id: "grace"}


async def test_nobody_knocks_for_what_has_lapsed(stage: Stage, circle: Circle) -> None:
    (slot,) = await planned(stage, circle, BERT)
    stage.clock.raise_to(slot.due_at + GRACE + MINUTE)
    await send(stage.ids[ANNA], circle)
    assert await stage.due(circle) == []
    assert sample(circle, "warmup_smtp_session_seconds_count") == 0.0


async def test_a_dry_run_sends_nothing_and_leaves_what_is_due(stage: Stage, circle: Circle) -> None:
    slots = await planned(stage, circle, BERT)
    async with assembled(stage.settings, {}, clock=stage.clock, dry_run=True) as dry:
        await send(stage.ids[ANNA], dry)
    assert not stage.sandbox.record.received
    assert tuple(await stage.due(circle)) == slots


async def test_a_deferred_message_goes_once_more_and_is_the_same(stage: Stage, circle: Circle) -> None:
    (slot,) = await planned(stage, circle, BERT)
    stage.sandbox.inject(Fault(kind=FaultKind.REFUSE, recipient=BERT, reply=GREYLISTED))
    with capture_logs() as logs:
        await send(stage.ids[ANNA], circle)
        again = await circle.ledger.slots.next_due()
        assert again is not None
        assert DUE + timedelta(seconds=300) <= again <= DUE + GRACE
        stage.clock.raise_to(again)
        await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == (slot.message_id,)
    lines = [(line["ordinal"], line["verdict"], line["code"], line["status"]) for line in logged(logs, "attempt")]
    assert lines == [(1, "deferred", 451, "4.7.1"), (2, "accepted", 250, "2.0.0")]
    assert [row["outcome"] for row in await attempted(circle)] == ["deferred", "accepted"]


async def test_waits_of_one_slot_differ_from_those_of_the_next(stage: Stage, circle: Circle) -> None:
    slots = await planned(stage, circle, BERT, CARL, apart=timedelta())
    stage.sandbox.inject(Fault(kind=FaultKind.DEFER, times=2))
    await send(stage.ids[ANNA], circle)
    first = await circle.ledger.slots.next_due()
    assert first is not None
    stage.clock.raise_to(first)
    assert len((await circle.ledger.turns.to_send(stage.ids[ANNA], first)).due) < len(slots)


async def test_a_refused_message_is_not_due_again_and_the_next_one_goes(stage: Stage, circle: Circle) -> None:
    refused, taken = await planned(stage, circle, BERT, CARL, apart=timedelta())
    stage.sandbox.inject(Fault(kind=FaultKind.REFUSE, recipient=BERT, reply=GONE))
    with capture_logs() as logs:
        await send(stage.ids[ANNA], circle)
    lines = [(line["slot"], line["verdict"], line["code"], line["status"]) for line in logged(logs, "attempt")]
    assert lines == [(refused.id, "refused", 550, "5.1.1"), (taken.id, "accepted", 250, "2.0.0")]
    assert await stage.due(circle) == []


async def test_an_uncertain_message_ends_the_session_and_never_goes_again(stage: Stage, circle: Circle) -> None:
    lost, waiting = await planned(stage, circle, BERT, CARL, apart=timedelta())
    stage.sandbox.inject(Fault(kind=FaultKind.LOSE_AFTER_DOT, recipient=BERT))
    with capture_logs() as logs:
        await send(stage.ids[ANNA], circle)
    (line,) = logged(logs, "attempt")
    assert (line["slot"], line["verdict"]) == (lost.id, "uncertain")
    assert line["reason"]
    assert await stage.due(circle) == [waiting]
    await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == (waiting.message_id,)


async def test_what_breaks_before_the_dot_is_said_with_its_reason_and_due_again(stage: Stage, circle: Circle) -> None:
    (slot,) = await planned(stage, circle, BERT)
    stage.sandbox.inject(Fault(kind=FaultKind.CUT_IN_DATA, recipient=BERT))
    with capture_logs() as logs:
        await send(stage.ids[ANNA], circle)
    (line,) = logged(logs, "attempt")
    assert line["verdict"] in {"deferred", "uncertain"}
    assert line["reason"]
    assert "code" not in line
    assert (await stage.due(circle) == [slot]) is (line["verdict"] == "deferred")


async def test_one_lane_that_is_held_waits_and_the_other_goes(stage: Stage, circle: Circle) -> None:
    held, free = await planned(stage, circle, BERT, CARL, apart=timedelta())
    until = DUE + 5 * MINUTE
    hold = NewHold(until=until, reason="too much", provider="two.test")
    await circle.ledger.holds.hold(held.account_id, hold, now=DUE)
    with capture_logs() as logs:
        await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == (free.message_id,)
    assert logged(logs, "waits") == [
        {"log_level": "debug", "slot": held.id, "mailbox": stage.ids[ANNA], "reason": "held", "until": until}
    ]
    assert await stage.due(circle) == [held]


async def test_a_slot_to_a_suppressed_address_lapses_and_the_next_goes(stage: Stage, circle: Circle) -> None:
    gone, free = await planned(stage, circle, BERT, CARL, apart=timedelta())
    await circle.ledger.standings.suppress(BERT, "550 5.1.1", now=DUE)
    with capture_logs() as logs:
        await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == (free.message_id,)
    assert logged(logs, "lapsed") == [
        {"log_level": "info", "slot": gone.id, "mailbox": stage.ids[ANNA], "reason": "suppressed"}
    ]
    assert await lapsed(circle) == {gone.id: "suppressed"}


async def test_a_refused_login_ends_it_and_nobody_knocks_again_at_once(stage: Stage) -> None:
    async with stage.circle() as circle:
        await stage.enrol(circle, ANNA, Role.SENDER, password="wrong")
        await stage.enrol(circle, BERT, Role.SEED)
        stage.clock.raise_to(DUE)
        slots = await planned(stage, circle, BERT)
        await send(stage.ids[ANNA], circle)
        await send(stage.ids[ANNA], circle)
        assert stage.sandbox.record.refused_logins[ANNA] == 1
        problem = (await circle.mailbox(stage.ids[ANNA])).problem
        assert problem is not None
        assert problem.startswith("smtp: ")
        assert tuple(await stage.due(circle)) == slots
        assert await attempted(circle) == []


async def test_a_door_that_opens_ends_its_problem_and_no_other(stage: Stage, circle: Circle) -> None:
    await planned(stage, circle, BERT, CARL)
    anna = stage.ids[ANNA]
    for problem, left in (("smtp: no route", None), ("imap: no route", "imap: no route")):
        await circle.ledger.mailboxes.note_problem(anna, problem, now=DUE)
        await send(anna, circle)
        assert (await circle.mailbox(anna)).problem == left
        stage.clock.raise_to(DUE + MINUTE)
    assert len(stage.sandbox.record.received) == 2


async def test_the_own_traffic_of_a_mailbox_is_read_before_it_sends_and_not_while_it_is_paused(
    stage: Stage, circle: Circle
) -> None:
    slots, anna = await planned(stage, circle, BERT), stage.ids[ANNA]
    await circle.ledger.mailboxes.pause([anna])
    await send(anna, circle)
    assert await circle.ledger.own.last_good(anna) is None
    assert tuple(await stage.due(circle)) == slots
    await circle.ledger.mailboxes.resume([anna])
    await send(anna, circle)
    assert await circle.ledger.own.last_good(anna) == DUE
    assert len(stage.sandbox.record.received) == 1


async def test_a_narrow_way_that_is_taken_is_left_for_another_time(stage: Stage, circle: Circle) -> None:
    (slot,) = await planned(stage, circle, BERT)
    host, elapsed = stage.sandbox.doors(ANNA).host, circle.clock.elapsed()
    circle.narrow.spare(host, elapsed)
    with circle.narrow.way(host, elapsed) as first:
        assert first
        await send(stage.ids[ANNA], circle)
        assert await stage.due(circle) == [slot]
        assert sample(circle, "warmup_smtp_session_seconds_count") == 0.0
    await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == (slot.message_id,)


async def test_a_session_is_kept_for_the_next_slot_unless_its_server_is_spared(stage: Stage, circle: Circle) -> None:
    await planned(stage, circle, BERT, CARL)
    anna = await circle.mailbox(stage.ids[ANNA])
    async with circle.doors.smtp(anna) as kept:
        pass
    await send(anna.id, circle)
    async with circle.doors.smtp(anna) as session:
        assert session is kept
    circle.narrow.spare(stage.sandbox.doors(ANNA).host, circle.clock.elapsed())
    stage.clock.raise_to(DUE + MINUTE)
    await send(anna.id, circle)
    assert len(stage.sandbox.record.received) == 2
    assert not kept.usable


async def test_a_server_that_hangs_up_hears_nothing_more_before_the_next_tick(stage: Stage, circle: Circle) -> None:
    slowed, free = await planned(stage, circle, BERT, CARL, apart=timedelta())
    stage.sandbox.inject(Fault(kind=FaultKind.REFUSE, recipient=BERT, reply=SLOW_DOWN))
    await send(stage.ids[ANNA], circle)
    assert await circle.ledger.holds.held_before(slowed.account_id, "two.test", server="127.0.0.1") is not None
    assert not stage.sandbox.record.received
    await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == (free.message_id,)


async def test_a_login_that_is_refused_at_the_message_ends_the_session(stage: Stage, circle: Circle) -> None:
    _, waiting = await planned(stage, circle, BERT, CARL, apart=timedelta())
    refusal = Reply(code=535, status="5.7.8", text="Username and password not accepted")
    stage.sandbox.inject(Fault(kind=FaultKind.REFUSE, recipient=BERT, reply=refusal))
    await send(stage.ids[ANNA], circle)
    assert not stage.sandbox.record.received
    assert waiting in await stage.due(circle)


class Disk:
    """A guard of every write: the next `sound` go through, then `broken` do not."""

    def __init__(self) -> None:
        self.sound, self.broken = 0, 0

    def __call__(self, connection: Connection) -> bool:
        if self.sound:
            self.sound -= 1
        elif self.broken:
            self.broken -= 1
            self.break_down(connection)
        return False

    def break_down(self, connection: Connection) -> None:
        raise LedgerFailed("no space left")


class Counting(Disk):
    """A disk that takes everything, and does something `before` the write of a number."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.before: dict[int, Callable[[], None]] = {}

    def __call__(self, connection: Connection) -> bool:
        self.writes += 1
        if self.writes in self.before:
            self.before[self.writes]()
        return super().__call__(connection)


class LatePromise(Disk):
    """A disk that took the claim, and whose word for it was lost."""

    slot: Slot
    sender: Mailbox
    circle: Circle

    def break_down(self, connection: Connection) -> None:
        here, ours = self.circle, rules(self.sender, self.circle)
        claimed = claim_one(connection, self.slot.id, now=here.clock.now(), rules=ours, node=here.node, judge=may_go)
        assert isinstance(claimed, tuple), claimed
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        raise LedgerFailed("the answer was lost")


@asynccontextmanager
async def guarded(stage: Stage, disk: Disk) -> AsyncIterator[Circle]:
    """The program over that disk, with everybody enrolled and anna's own traffic read."""
    daemon = stage.settings.daemon.model_copy(update={"tick_seconds": 0.001})
    settings = stage.settings.model_copy(update={"daemon": daemon})
    async with assembled(settings, {}, clock=stage.clock, guard=disk) as circle:
        await stage.found(circle)
        stage.clock.raise_to(DUE)
        await circle.ledger.own.none_to_read(stage.ids[ANNA], now=DUE)
        yield circle


async def test_a_claim_that_the_disk_does_not_take_sends_nothing_and_ends_the_session(stage: Stage) -> None:
    disk = Disk()
    async with guarded(stage, disk) as circle:
        slots = await planned(stage, circle, BERT, CARL, apart=timedelta())
        disk.broken = 3
        with capture_logs() as logs:
            await send(stage.ids[ANNA], circle)
        unknown = {"log_level": "debug", "slot": slots[0].id, "error": "no space left"}
        assert logged(logs, "nobody knows yet whether it was claimed") == [unknown, unknown]
        assert not stage.sandbox.record.received
        assert await attempted(circle) == []
        await send(stage.ids[ANNA], circle)
        assert stage.sandbox.record.received == tuple(slot.message_id for slot in slots)


async def test_a_claim_that_stood_although_it_failed_is_given_back(stage: Stage) -> None:
    disk = LatePromise()
    async with guarded(stage, disk) as circle:
        slot, waiting = await planned(stage, circle, BERT, CARL, apart=timedelta())
        disk.slot, disk.circle, disk.sender = slot, circle, await circle.mailbox(stage.ids[ANNA])
        disk.broken = 1
        with capture_logs() as logs:
            await send(stage.ids[ANNA], circle)
        (line,) = logged(logs, "attempt")
        assert (line["slot"], line["ordinal"], line["verdict"]) == (slot.id, 1, "deferred")
        assert line["reason"] == "the answer was lost"
        assert not stage.sandbox.record.received
        assert await stage.due(circle) == [waiting, slot]
        (attempt,) = await attempted(circle)
        assert attempt["outcome"] == "deferred"


async def test_an_attempt_without_its_mark_is_given_back_and_ends_the_session(stage: Stage, circle: Circle) -> None:
    slot, waiting = await planned(stage, circle, BERT, CARL, apart=timedelta())
    mark = HighWater(circle.ledger.path).path
    mark.mkdir()
    with capture_logs() as logs:
        await send(stage.ids[ANNA], circle)
    (line,) = logged(logs, "attempt")
    assert (line["slot"], line["verdict"]) == (slot.id, "deferred")
    assert str(mark) in line["reason"]
    assert not stage.sandbox.record.received
    assert await stage.due(circle) == [waiting, slot]
    mark.rmdir()
    await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == (waiting.message_id,)


async def test_an_outcome_is_recorded_as_soon_as_the_disk_takes_it_and_the_next_goes_then(stage: Stage) -> None:
    disk = Disk()
    async with guarded(stage, disk) as circle:
        slots = await planned(stage, circle, BERT, CARL, apart=timedelta())
        disk.sound, disk.broken = 1, 2
        with capture_logs() as logs:
            await send(stage.ids[ANNA], circle)
        late = {"log_level": "debug", "slot": slots[0].id, "mailbox": stage.ids[ANNA], "error": "no space left"}
        assert logged(logs, "outcome not recorded yet") == [late, late]
        assert stage.sandbox.record.received == tuple(slot.message_id for slot in slots)
        assert [row["outcome"] for row in await attempted(circle)] == ["accepted", "accepted"]


async def test_an_acceptance_and_the_claim_behind_it_are_one_commit(stage: Stage) -> None:
    disk = Counting()
    async with guarded(stage, disk) as circle:
        slots = await planned(stage, circle, BERT, CARL, BERT, apart=timedelta())
        disk.writes = 0
        await send(stage.ids[ANNA], circle)
        assert stage.sandbox.record.received == tuple(slot.message_id for slot in slots)
        # A claim, twice an outcome with a claim behind it, and an outcome.
        assert disk.writes == 4
        assert [row["outcome"] for row in await attempted(circle)] == ["accepted"] * 3


async def test_what_cannot_be_composed_is_not_claimed_and_takes_no_outcome_along(stage: Stage, circle: Circle) -> None:
    first, second, third = await planned(stage, circle, BERT, CARL, BERT, apart=timedelta())

    def forget_the_grammar(connection: Connection) -> None:
        connection.execute(update(slots).where(slots.c.id == second.id).values(grammar="gone"))

    await circle.ledger.store.write(forget_the_grammar)
    with pytest.raises(LookupError, match="gone"):
        await send(stage.ids[ANNA], circle)
    assert stage.sandbox.record.received == (first.message_id,)
    assert [(row["slot"], row["outcome"]) for row in await attempted(circle)] == [(first.id, "accepted")]
    assert [slot.id for slot in await stage.due(circle)] == [second.id, third.id]


async def test_a_claim_that_fails_in_a_way_nobody_foresaw_takes_no_outcome_along(
    stage: Stage, circle: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await planned(stage, circle, BERT, CARL, apart=timedelta())

    def judge(situation: Situation) -> Go | Wait | Lapse:
        if situation.day_sent:
            raise ValueError("never heard of it")
        return may_go(situation)

    # The claim's judge is a default: it is looked up where the ledger was made.
    for asking in (AttemptWriter.claim, AttemptWriter.outcome_and_claim):
        assert asking.__kwdefaults__
        monkeypatch.setitem(asking.__kwdefaults__, "judge", judge)
    with pytest.raises(ValueError, match="never heard of it"):
        await send(stage.ids[ANNA], circle)
    assert [(row["slot"], row["outcome"]) for row in await attempted(circle)] == [(first.id, "accepted")]
    assert await stage.due(circle) == [second]


@pytest.mark.parametrize("write", [1, 2], ids=["the first", "one behind an acceptance"])
async def test_who_is_cancelled_while_it_claims_gives_the_claim_back(stage: Stage, write: int) -> None:
    disk = Counting()
    async with guarded(stage, disk) as circle:
        slots = await planned(stage, circle, BERT, CARL, apart=timedelta())
        sending = asyncio.create_task(send(stage.ids[ANNA], circle))
        loop, is_cancelled = asyncio.get_running_loop(), threading.Event()

        def cancel() -> None:
            sending.cancel()
            is_cancelled.set()

        def be_told_to_stop() -> None:
            loop.call_soon_threadsafe(cancel)
            assert is_cancelled.wait(30)

        disk.writes, disk.before = 0, {write: be_told_to_stop}
        with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
            await sending
        said = [(row["outcome"], row["reply"]) for row in await attempted(circle)]
        given_back = ("deferred", "the program was told to stop")
        assert said == [*(("accepted", row[1]) for row in said[: write - 1]), given_back]
        assert [line["verdict"] for line in logged(logs, "attempt")][-1:] == ["deferred"]
        assert stage.sandbox.record.received == tuple(slot.message_id for slot in slots[: write - 1])


async def test_who_is_cancelled_stops_though_another_has_the_ledger_by_then(stage: Stage) -> None:
    disk = Counting()
    async with guarded(stage, disk) as circle:
        await planned(stage, circle, BERT, CARL, apart=timedelta())
        sending = asyncio.create_task(send(stage.ids[ANNA], circle))
        loop, is_cancelled = asyncio.get_running_loop(), threading.Event()

        def cancel() -> None:
            sending.cancel()
            is_cancelled.set()

        def be_told_to_stop() -> None:
            loop.call_soon_threadsafe(cancel)
            assert is_cancelled.wait(30)

        def lose_the_ledger() -> None:
            raise LedgerBusy("another daemon has it")

        disk.writes, disk.before = 0, {1: be_told_to_stop, 2: lose_the_ledger}
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert disk.writes == 2
        assert stage.sandbox.record.received == ()


async def test_a_claim_behind_an_acceptance_that_stood_although_it_failed_is_given_back(stage: Stage) -> None:
    disk = LatePromise()
    async with guarded(stage, disk) as circle:
        first, second, third = await planned(stage, circle, BERT, CARL, BERT, apart=timedelta())
        disk.slot, disk.circle, disk.sender = second, circle, await circle.mailbox(stage.ids[ANNA])
        disk.sound, disk.broken = 1, 1
        with capture_logs() as logs:
            await send(stage.ids[ANNA], circle)
        ended = [(line["slot"], line["verdict"]) for line in logged(logs, "attempt")]
        assert ended == [(first.id, "accepted"), (second.id, "deferred")]
        assert stage.sandbox.record.received == (first.message_id,)
        assert [row["outcome"] for row in await attempted(circle)] == ["accepted", "deferred"]
        assert third in await stage.due(circle)


async def test_a_claim_behind_an_acceptance_without_its_mark_is_given_back_and_ends_the_session(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Counting()
    async with guarded(stage, disk) as circle:
        first, second, third = await planned(stage, circle, BERT, CARL, BERT, apart=timedelta())

        def fill_the_disk() -> None:
            monkeypatch.setattr(os, "pwrite", lambda *_: 0)

        disk.writes, disk.before = 0, {2: fill_the_disk}
        with capture_logs() as logs:
            await send(stage.ids[ANNA], circle)
        ended = [(line["slot"], line["verdict"]) for line in logged(logs, "attempt")]
        assert ended == [(first.id, "accepted"), (second.id, "deferred")]
        assert "No space left on device" in logged(logs, "attempt")[1]["reason"]
        assert stage.sandbox.record.received == (first.message_id,)
        assert third in await stage.due(circle)


async def test_what_is_not_due_yet_behind_an_acceptance_waits_and_the_one_after_it_goes(stage: Stage) -> None:
    disk = Counting()
    async with guarded(stage, disk) as circle:
        first, held, third = await planned(stage, circle, BERT, CARL, BERT, apart=timedelta())
        hold = NewHold(until=DUE + 5 * MINUTE, reason="slow down", provider="three.test")
        await circle.ledger.holds.hold(held.account_id, hold, now=DUE)
        disk.writes = 0
        await send(stage.ids[ANNA], circle)
        assert stage.sandbox.record.received == (first.message_id, third.message_id)
        assert await stage.due(circle) == [held]
        # The answer behind the first is a wait: the third is claimed for itself.
        assert disk.writes == 4


@pytest.mark.parametrize(("kind", "again"), [(Kind.NEW, True), (Kind.TEST, False)])
async def test_what_somebody_waits_for_is_not_tried_again(
    stage: Stage, circle: Circle, kind: Kind, again: bool
) -> None:
    (slot,) = await planned(stage, circle, BERT)
    anna = await circle.mailbox(stage.ids[ANNA])
    claimed = await claim(slot, circle)
    await record(replace(claimed, slot=replace(slot, kind=kind)), anna, Deferred(reply=None, reason="away"), circle)
    assert bool(await stage.due(circle)) is again


async def test_a_clock_behind_the_due_instant_counts_as_on_time(stage: Stage, circle: Circle) -> None:
    (slot,) = await planned(stage, circle, BERT)
    claimed = await claim(slot, circle)
    early = replace(claimed, slot=replace(slot, due_at=slot.due_at + MINUTE))
    await record(early, await circle.mailbox(stage.ids[ANNA]), Accepted(reply=OK), circle)
    assert sample(circle, "warmup_slot_lag_seconds_sum") == 0.0


async def test_an_answer_names_all_that_it_answers_and_keeps_to_the_first_subject(stage: Stage, circle: Circle) -> None:
    anna, bert = [await circle.mailbox(stage.ids[each]) for each in (ANNA, BERT)]
    opener, answer, other = await planned(stage, circle, BERT, BERT, CARL, apart=timedelta(), thread=True)
    for slot in (opener, answer, other):
        await record(await claim(slot, circle), anna, Accepted(reply=OK), circle)
    # The third is of the thread too, and nothing that the last answers.
    last = replace(
        opener,
        id=SlotId(other.id + 1),
        mailbox_id=bert.id,
        recipient_id=anna.id,
        kind=Kind.REPLY,
        in_reply_to=answer.id,
        message_id=f"<{'b' * 32}@two.test>",
        seed="last",
    )
    content = await spelled(last, bert, anna, circle)

    said = message_from_bytes(content, policy=policy.default)
    first = message_from_bytes(await spelled(opener, anna, bert, circle), policy=policy.default)
    assert (first["In-Reply-To"], first["References"]) == (None, None)
    assert said["In-Reply-To"] == answer.message_id
    assert said["References"].split() == [opener.message_id, answer.message_id]
    assert said["Subject"] == f"Re: {first['Subject']}"
    assert (said["From"], said["To"]) == (f"Bert <{BERT}>", f"Anna <{ANNA}>")
    assert content == letter(
        last,
        (await circle.ledger.slots.thread(opener.thread_id))[:2],
        sender=bert,
        recipient=anna,
        opener_names=("Anna", "Bert"),
        grammars=circle.grammars,
        header=circle.settings.identity.header,
    )


async def test_a_claim_goes_by_the_settings_the_provider_and_the_clock(stage: Stage, circle: Circle) -> None:
    clock = WallClock()
    clock.resume(
        Course(boot="", speed=1.0, lead=0.0, leaps=Leaps((Leap(at=clock.now() - MINUTE, by=timedelta(hours=6)),)))
    )
    swift = replace(circle.providers.by_name["custom"], per_minute=7)
    asked = replace(circle, clock=clock, providers=replace(circle.providers, by_name={"custom": swift}))
    assert rules(await circle.mailbox(stage.ids[ANNA]), asked) == Rules(
        grace=GRACE,
        margin=timedelta(seconds=200),
        own_reserve_ratio=0.25,
        own_fresh=timedelta(minutes=45),
        domain_limit=70,
        per_minute=7,
        leaps=clock.leaps,
    )
    assert clock.leaps.known
