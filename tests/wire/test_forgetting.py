"""A login is in this process for as long as its sessions are open, and nothing holds on to it afterwards."""

import asyncio
import gc
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.scenarios.house import Row, Town
from warmup.policy.mailbox import AccountId, Endpoint, Mailbox, MailboxId, Protocol, Role, Security, State
from warmup.vault import Vault, new_key
from warmup.wire.doors import Doors
from warmup.wire.login import Login
from warmup.wire.network import Network


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A mail world in a process of its own: what it knows of passwords is not in ours."""
    with ExitStack() as stack:
        town = Town.open(tmp_path / "town", "--start", datetime.now(UTC).isoformat(), "--accounts", "1", "--seed", "x")
        stack.callback(town.close)
        yield town


def mailbox_of(account: Row) -> Mailbox:
    host = account["host"]
    return Mailbox(
        id=MailboxId(1),
        account_id=AccountId(1),
        address=account["address"],
        provider="custom",
        receiver="custom",
        role=Role.BOTH,
        state=State.ACTIVE,
        ramp="standard",
        target=None,
        daily_limit=100,
        timezone="UTC",
        smtp=Endpoint(host=host, port=account["smtp_port"], security=Security.STARTTLS),
        imap=Endpoint(host=host, port=account["imaps_port"], security=Security.TLS),
        username=account["username"],
        enrolled_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def reachable() -> Iterator[object]:
    """Every object that anything alive refers to: what was freed is not among them."""
    gc.collect()
    seen: set[int] = set()
    waiting: list[object] = [*gc.get_objects()]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or one is waiting or one is seen:
            continue
        seen.add(id(one))
        yield one
        waiting.extend(gc.get_referents(one))


def holders(backwards: str) -> list[str]:
    """The kinds of the texts that hold a secret, which is told backwards: this function is not to hold it itself."""
    found = []
    for one in reachable():
        said = one.pattern if isinstance(one, re.Pattern) else one
        text = isinstance(said, str) and backwards in said[::-1]
        raw = isinstance(said, bytes | bytearray) and backwards.encode() in bytes(said[::-1])
        if text or raw:
            found.append(type(one).__name__)
    return found


async def test_no_login_is_held_once_its_sessions_are_closed(town: Town) -> None:
    account, vault = town.accounts[0], Vault((new_key(),))
    mailbox = mailbox_of(account)
    bound = {"mailbox": mailbox.address, "host": mailbox.smtp.host}
    sealed = {door: vault.seal(account["password"], protocol=door.value, **bound) for door in Protocol}
    backwards = account.pop("password")[::-1]
    assert holders(backwards) == []

    async def unseal(_mailbox: Mailbox, protocol: Protocol) -> Login:
        secret = vault.unseal(sealed[protocol], protocol=protocol.value, **bound)
        return Login(username=mailbox.username, secret=secret)

    # Time for a look at all there is, and then it ends by itself.
    doors = Doors(network=Network(ca_file=Path(town.ca_file)), unseal=unseal, keep_seconds=1.0)
    async with doors.smtp(mailbox), doors.imap(mailbox):
        assert holders(backwards)
    async with doors.smtp(replace(mailbox, username=account["username"])):
        pass
    await gone(backwards)
    await doors.close()


async def gone(backwards: str) -> None:
    """Wait until nothing holds the secret; in the end say what does."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 20
    while (held := holders(backwards)) and loop.time() < deadline:
        await asyncio.sleep(0.5)
    assert held == []
