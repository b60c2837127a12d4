"""A seed that spams everybody is left out of the dates planned next, and of nothing that is planned already."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.ledger.conftest import MINUTE, NOW, World, new_day, new_mailbox
from warmup.cli.glance import Glance
from warmup.clock import HoldingClock, WallClock
from warmup.config import Settings
from warmup.content import shipped
from warmup.ledger import Ledger
from warmup.ledger.slots import Slot
from warmup.policy.attribution import WINDOW, Suspect
from warmup.policy.fate import Placement
from warmup.policy.mailbox import Mailbox
from warmup.policy.pairing import SEED_DAILY
from warmup.policy.retirement import Candidate
from warmup.policy.window import date_of
from warmup.steps.circle import Circle
from warmup.steps.insight import insight
from warmup.steps.plan import plan_day
from warmup.steps.retire import retire
from warmup.steps.view import view_of

DAY = timedelta(days=1)
BAD = "seed0@one.test"
SENDERS = ("ann@send.test", "joe@send.test", "kim@mail.test", "lee@mail.test")
GRAMMARS = tuple(grammar.name for grammar in shipped().grammars)


class Fleet:
    """Four senders of two domains, five seeds at either of two receivers, and a clock that is told."""

    def __init__(self, world: World, senders: list[Mailbox], seeds: list[Mailbox]) -> None:
        self.world, self.senders, self.seeds = world, senders, seeds
        self.clock = HoldingClock(start=world.sender.enrolled_at, seed="retire")
        self.texts: Iterator[int] = iter(range(10**6))

    @classmethod
    async def founded(cls, ledger: Ledger) -> "Fleet":
        world = await World.founded(ledger)
        others = [await ledger.mailboxes.add(new_mailbox(address)) for address in SENDERS[1:]]
        addresses = [f"seed{n}@{receiver}" for receiver in ("one.test", "two.test") for n in range(4)]
        seeds = [await ledger.mailboxes.add(new_mailbox(address)) for address in addresses]
        return cls(world, [world.sender, *others], seeds)

    def circle(self) -> Circle:
        seen = Glance(settings=Settings(), ledger=self.world.ledger, clock=WallClock())
        return replace(seen.circle(), clock=self.clock, grammars=shipped(), key=b"k" * 32, node="test")

    async def live(self, days: int) -> None:
        """Everybody writes to every seed once a day; what goes to the bad one is spam."""
        for _ in range(days):
            at = self.clock.now()
            for sender in self.senders:
                await self.world.read_own(at, sender)
                for slot in await self.planned(sender):
                    await self.world.send(slot)
                    spam = slot.recipient_id == self.seed(BAD).id
                    await self.world.see(slot, Placement.SPAM if spam else Placement.INBOX, slot.due_at + MINUTE)
            self.clock.raise_to(at + DAY)

    async def planned(self, sender: Mailbox) -> tuple[Slot, ...]:
        at = self.clock.now()
        slots = [
            self.world.new_slot(n + 1, at + n * MINUTE, seed, grammar=GRAMMARS[next(self.texts) % len(GRAMMARS)])
            for n, seed in enumerate(self.seeds)
        ]
        await self.world.ledger.slots.record(sender.id, new_day(at, target=len(slots)), slots, now=at)
        return (await self.world.ledger.turns.to_send(sender.id, at + DAY / 2)).due

    def seed(self, address: str) -> Mailbox:
        return next(seed for seed in self.seeds if seed.address == address)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """A ledger of its own, with everybody enrolled and nothing sent yet."""
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'warmup.db'}", create=True, durable=False)
    await ledger.installation.establish(now=NOW, token="test")
    yield await Fleet.founded(ledger)
    await ledger.close()


async def test_it_is_retired_and_left_out_from_the_next_date_on(fleet: Fleet) -> None:
    await fleet.live(2)
    circle, ledger = fleet.circle(), fleet.world.ledger
    today = date_of(circle.clock.now(), fleet.senders[0].zone)
    room = {lane.provider: lane.seeds for lane in (await view_of(fleet.senders[0], today, circle)).lanes}
    await plan_day(fleet.senders[0], today, circle)
    before = (await ledger.turns.to_send(fleet.senders[0].id, circle.clock.now() + DAY)).due

    await retire(circle)
    await retire(circle)

    (retired,) = await ledger.retirements.in_force()
    assert retired.candidate == Candidate(Suspect.SEED, BAD)
    assert retired.reason.startswith("8 of 8 went wrong")
    # What is planned stays, and so does the room of a date that had begun.
    assert (await ledger.turns.to_send(fleet.senders[0].id, circle.clock.now() + DAY)).due == before
    assert {lane.provider: lane.seeds for lane in (await view_of(fleet.senders[0], today, circle)).lanes} == room
    fleet.clock.raise_to(fleet.clock.now() + DAY)
    tomorrow = today + DAY
    lanes = {lane.provider: lane.seeds for lane in (await view_of(fleet.senders[0], tomorrow, circle)).lanes}
    assert lanes == {**room, "one.test": room["one.test"] - SEED_DAILY}
    for sender in fleet.senders:
        await plan_day(sender, tomorrow, circle)
        slots = (await ledger.turns.to_send(sender.id, circle.clock.now() + DAY)).due
        assert slots
        assert fleet.seed(BAD).id not in {slot.recipient_id for slot in slots if slot.date == tomorrow}


async def test_it_comes_back_when_all_is_forgotten(fleet: Fleet) -> None:
    await fleet.live(2)
    await retire(fleet.circle())
    assert await fleet.world.ledger.retirements.in_force()
    fleet.clock.raise_to(fleet.clock.now() + WINDOW + 3 * DAY)
    await retire(fleet.circle())
    assert await fleet.world.ledger.retirements.in_force() == ()


async def test_the_report_blames_the_seed_and_says_what_to_do(fleet: Fleet) -> None:
    await fleet.live(2)
    await retire(fleet.circle())
    seen = await insight(fleet.senders[1], fleet.circle(), days=14)
    (cause,) = seen.causes
    assert (cause.suspect, cause.name, cause.wrong, cause.messages) == (Suspect.SEED, (BAD,), 8, 8)
    assert f"look at the filters of {BAD}, or remove it: it puts everybody's mail away" in seen.advice
    assert [one.candidate.name for one in seen.retired] == [BAD]


async def test_an_answer_says_its_threads_grammar(fleet: Fleet) -> None:
    """What a slot records is what it is written with: an answer goes on with the opener's text."""
    await fleet.live(1)
    circle, ledger = fleet.circle(), fleet.world.ledger
    seed = fleet.seeds[1]
    await plan_day(seed, date_of(circle.clock.now(), seed.zone), circle)
    slots = (await ledger.turns.to_send(seed.id, circle.clock.now() + DAY)).due
    answers = [slot for slot in slots if slot.in_reply_to is not None]
    assert answers
    for answer in answers:
        assert answer.in_reply_to is not None
        opener = await ledger.slots.get(answer.in_reply_to)
        assert (answer.grammar, answer.language) == (opener.grammar, "en")
