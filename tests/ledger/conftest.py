"""A ledger of its own for every test, copied from one that was migrated once, and a small fleet to fill it with."""

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.postgres import Server
from warmup.ledger import Ledger, schema
from warmup.ledger.attempts import Claimed
from warmup.ledger.enrolled import NewMailbox
from warmup.ledger.sightings import NewSighting
from warmup.ledger.situation import Rules
from warmup.ledger.slots import NewDay, NewLaneDay, NewSlot, Slot
from warmup.mail.answer import Accepted, Answer, Reply
from warmup.policy.fate import Kind, Placement
from warmup.policy.mailbox import Endpoint, Mailbox, MailboxId, Security
from warmup.policy.standing import Standing

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MARGIN = timedelta(minutes=5)
RULES = Rules(grace=timedelta(minutes=30), margin=MARGIN, own_reserve_ratio=0.0, paced=False)
OK = Accepted(reply=Reply(code=250, status="2.0.0", text="queued"))


def new_mailbox(address: str, **changes: Any) -> NewMailbox:
    """A verified mailbox on loopback; its provider is its domain."""
    door = Endpoint(host="127.0.0.1", port=1025, security=Security.NONE)
    fields: dict[str, Any] = {
        "address": address,
        "provider": "custom",
        "receiver": address.rpartition("@")[2],
        "ramp": "standard",
        "daily_limit": 50,
        "smtp": door,
        "imap": door,
        "username": address,
        "enrolled_at": NOW,
        "verified_at": NOW,
    }
    return NewMailbox(**{**fields, **changes})


@dataclass(slots=True)
class World:
    """One sender, two seeds at two providers, and the verbs of a day."""

    ledger: Ledger
    sender: Mailbox
    seeds: tuple[Mailbox, ...]
    numbers: int = 0

    @classmethod
    async def founded(cls, ledger: Ledger, **changes: Any) -> "World":
        """Enrol them, with `changes` to the sender; its own traffic is read."""
        sender = await ledger.mailboxes.add(new_mailbox("ann@send.test", **changes))
        seeds = tuple([await ledger.mailboxes.add(new_mailbox(a)) for a in ("bob@one.test", "eve@two.test")])
        world = cls(ledger=ledger, sender=sender, seeds=seeds)
        await world.read_own(NOW)
        return world

    @property
    def url(self) -> str:
        """Where its ledger is."""
        return self.ledger.database.url.render_as_string(hide_password=False)

    def reopened(self) -> Ledger:
        """Its ledger, opened once more."""
        return Ledger.open(self.url, beside=self.ledger.path)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the tables themselves hold."""

        def read(connection: Connection) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

        return await self.ledger.store.read(read)

    async def read_own(self, at: datetime, sender: Mailbox | None = None) -> None:
        """A good reading of the sender's own traffic."""
        await self.ledger.own.none_to_read((sender or self.sender).id, now=at)

    def new_slot(self, number: int, due_at: datetime, recipient: Mailbox, **changes: Any) -> NewSlot:
        """A slot of its own identity."""
        self.numbers += 1
        fields: dict[str, Any] = {
            "number": number,
            "recipient_id": recipient.id,
            "provider": recipient.receiver,
            "kind": Kind.NEW,
            "thread_id": f"thread-{self.numbers}",
            "due_at": due_at,
            "nonce": b"nonce",
            "message_id": f"<{self.numbers}@send.test>",
            "grammar": "en-garden",
            "language": "en",
            "seed": str(self.numbers),
        }
        return NewSlot(**{**fields, **changes})

    async def plan(
        self, n: int, *, at: datetime = NOW, sender: Mailbox | None = None, **changes: Any
    ) -> tuple[Slot, ...]:
        """Plan `n` slots a minute apart from `at` on, to the seeds in turn; those recorded."""
        sender = sender or self.sender
        day = new_day(at, target=changes.pop("target", n))
        slots = [self.new_slot(i + 1, at + i * MINUTE, self.seeds[i % len(self.seeds)], **changes) for i in range(n)]
        await self.ledger.slots.record(sender.id, day, slots, now=at)
        due = (await self.ledger.turns.to_send(sender.id, at + n * MINUTE)).due
        return tuple(slot for slot in due if slot.date == day.date)

    async def claim(self, slot: Slot, at: datetime | None = None, rules: Rules = RULES) -> Claimed:
        """Claim a slot that may go."""
        answer = await self.ledger.attempts.claim(slot.id, now=at or slot.due_at, rules=rules, node="test")
        assert isinstance(answer, Claimed), answer
        return answer

    async def end(self, claimed: Claimed, answer: Answer, at: datetime, retry_at: datetime | None = None) -> bool:
        """Record an outcome; it is looked for a minute later and missing a day later."""
        return await self.ledger.attempts.outcome(
            claimed.id, answer, now=at, retry_at=retry_at, look_at=at + MINUTE, deadline_at=at + 24 * HOUR
        )

    async def send(self, slot: Slot, answer: Answer = OK, at: datetime | None = None) -> Claimed:
        """Claim a slot and record its outcome at the same instant."""
        claimed = await self.claim(slot, at)
        await self.end(claimed, answer, at or slot.due_at)
        return claimed

    async def see(self, slot: Slot, placement: Placement, at: datetime, **changes: Any) -> bool:
        """Record a sighting; False where it is no news."""
        new = await self.ledger.sightings.record(
            slot.recipient_id, [NewSighting(slot_id=slot.id, placement=placement, **changes)], now=at
        )
        return slot.id in new

    async def recover(self, at: datetime) -> int:
        """What a start does after a crash; the number closed."""
        return len(await self.ledger.attempts.recover(now=at, look_at=at + MINUTE, deadline_at=at + 24 * HOUR))


def new_day(at: datetime, *, target: int, day: int = 1, standing: Standing = Standing.SOUND) -> NewDay:
    """A planned date whose lanes have room for all of it."""
    lanes = tuple(
        NewLaneDay(provider=name, level=day, ceiling=target, factor=1.0, target=target, standing=standing)
        for name in ("one.test", "two.test")
    )
    return NewDay(date=at.date(), day=day, ceiling=target, target=target, lanes=lanes)


def nobody() -> MailboxId:
    """An id that was never given."""
    return MailboxId(10_000)


@pytest.fixture(scope="session")
def blank_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated ledger without any row; copied, never written."""
    path = tmp_path_factory.mktemp("blank") / "warmup.db"
    ledger = Ledger.open(f"sqlite:///{path}", create=True)
    ledger.store.close_now()
    return path


@pytest.fixture
def place(blank_ledger: Path, tmp_path: Path) -> Path:
    """The file of a fresh ledger."""
    path = tmp_path / "warmup.db"
    shutil.copy(blank_ledger, path)
    return path


@pytest.fixture(scope="session")
def blank_database(postgres: Server) -> str:
    """The name of a migrated database without any row; copied, never written."""
    name = postgres.database()
    schema.upgrade(postgres.url(name))
    return name


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.lab)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a fresh ledger is: on each of the databases there are."""
    if request.param == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('place')}"
        return
    server: Server = request.getfixturevalue("postgres")
    name = server.database(template=request.getfixturevalue("blank_database"))
    yield server.url(name)
    server.drop(name)


@pytest.fixture
async def file_world(place: Path) -> AsyncIterator[World]:
    """A world in a file, where the file is what is tested."""
    opened = Ledger.open(f"sqlite:///{place}")
    await opened.installation.establish(now=NOW, token="test")
    world = await World.founded(opened)
    yield world
    await world.ledger.close()


@pytest.fixture
async def ledger(url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    """An established ledger without mailboxes."""
    opened = Ledger.open(url, beside=tmp_path / "warmup.db")
    await opened.installation.establish(now=NOW, token="test")
    yield opened
    await opened.close()


@pytest.fixture
async def world(ledger: Ledger) -> World:
    """A ledger with a sender and two seeds."""
    return await World.founded(ledger)
