"""The daemon's own doors, put together as `run` does: one renewal for both, what is rotated is in the ledger first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.cli.conftest import Desk
from tests.oauth.test_sign_in import add, by_browser, kept
from tests.oauth.world import World
from warmup.cli.assembly import assembled
from warmup.config import load
from warmup.mail.answer import Accepted
from warmup.steps.circle import Circle
from warmup.wire.errors import GrantRefused, Why
from warmup.wire.smtp import Envelope

LETTER = Envelope(sender="ann@mail.test", recipient="bob@mail.test", content=b"Subject: x\r\n\r\nhello\r\n")


@asynccontextmanager
async def circle_of(desk: Desk, **environ: str) -> AsyncIterator[Circle]:
    surroundings = {**desk.environ, **environ}
    settings = load(desk.folder / "config.toml", surroundings).settings
    async with assembled(settings, surroundings) as circle:
        yield circle


@pytest.fixture
def enrolled(desk: Desk, world: World) -> Desk:
    """A folder with one mailbox, signed in at an authority that rotates."""
    world.authority.rotates = True
    assert by_browser(desk, world, *add(world, "google")).code == 0
    return desk


async def test_both_doors_share_one_renewal_and_the_ledger_has_what_was_rotated(enrolled: Desk, world: World) -> None:
    before = kept(enrolled)
    async with circle_of(enrolled) as circle:
        ann = await circle.ledger.mailboxes.get(world.user)

        async def look() -> list[str]:
            async with circle.doors.imap(ann) as session:
                return [folder.name for folder in await session.folders()]

        async def send() -> object:
            async with circle.doors.smtp(ann) as session:
                return await session.submit(LETTER)

        folders, answer = await asyncio.gather(look(), send())
    assert "Junk" in folders
    assert isinstance(answer, Accepted)
    assert world.authority.renewals == 1
    assert kept(enrolled) != before
    assert enrolled.warmup("mailbox", "check", world.user).code == 0


async def test_a_sign_in_meanwhile_is_used_without_a_restart(enrolled: Desk, world: World) -> None:
    async with circle_of(enrolled) as circle:
        ann = await circle.ledger.mailboxes.get(world.user)
        async with circle.doors.smtp(ann):
            pass
        await circle.doors.forget(ann.id)
        world.authority.revoke()
        ended = await asyncio.to_thread(by_browser, enrolled, world, "oauth", "login", world.user)
        assert ended.code == 0, ended
        async with circle.doors.smtp(ann) as session:
            assert isinstance(await session.submit(LETTER), Accepted)


async def test_a_lost_grant_shuts_the_door_and_says_why(enrolled: Desk, world: World) -> None:
    async with circle_of(enrolled) as circle:
        ann = await circle.ledger.mailboxes.get(world.user)
        world.authority.revoke()
        for door in (circle.doors.smtp, circle.doors.imap):
            with pytest.raises(GrantRefused) as caught:
                async with door(ann):
                    pass
            assert caught.value.why is Why.LOST
            assert f"warmup oauth login {world.user}" in caught.value.hint


async def test_a_client_taken_out_of_the_configuration_shuts_the_door_and_not_the_daemon(
    enrolled: Desk, world: World
) -> None:
    async with circle_of(enrolled, WARMUP__OAUTH__GOOGLE__CLIENT_ID="") as circle:
        ann = await circle.ledger.mailboxes.get(world.user)
        with pytest.raises(GrantRefused, match=r"oauth\.google\.client_id is not set") as caught:
            async with circle.doors.smtp(ann):
                pass
        assert caught.value.why is Why.CLIENT


async def test_no_login_is_kept_on_disk_but_sealed(enrolled: Desk, world: World) -> None:
    async with circle_of(enrolled) as circle, circle.doors.smtp(await circle.ledger.mailboxes.get(world.user)):
        pass
    disk = on_disk(enrolled)
    assert world.authority.issued
    assert not [secret for secret in world.authority.issued if secret.encode() in disk]


def on_disk(desk: Desk) -> bytes:
    """The ledger's files, as bytes."""
    return b"".join(path.read_bytes() for path in desk.folder.glob("warmup.db*") if path.is_file())
