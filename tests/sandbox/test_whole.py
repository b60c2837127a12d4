"""The sandbox as a whole: what it refuses to be, and what it does by itself."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from warmup.clock import HoldingClock, WallClock
from warmup.sandbox import Sandbox, SandboxAccount, SandboxProvider, cast
from warmup.world import built_in

GENTLE = ("gentle", "gentle", "gentle")


def provider(*addresses: str, receiver: str = "gentle") -> SandboxProvider:
    accounts = tuple(SandboxAccount(address=address, password="p") for address in addresses)
    return SandboxProvider(name="one", domain="one.test", receiver=receiver, accounts=accounts)


@pytest.mark.parametrize(
    ("home", "complaint"),
    [
        (lambda: provider("a@one.test", receiver="strict"), "no receiver strict"),
        (lambda: provider("a@one.test", "A@one.test"), "a@one.test lives in the sandbox twice"),
        (lambda: provider("a@two.test"), "need an address at one.test"),
    ],
)
async def test_a_cast_that_does_not_fit_is_refused(home: Any, complaint: str, tmp_path: Path) -> None:
    clock = WallClock()
    with pytest.raises(ValueError, match=complaint):
        Sandbox(built_in("gentle"), seed="s", clock=clock, providers=[home()], folder=tmp_path)


def test_the_cast_is_three_providers_of_their_own_manners() -> None:
    gmail, outlook, corp = cast("s", receivers=GENTLE, accounts_each=10)
    assert (gmail.files_sent, outlook.enforced_limit, corp.files_sent, corp.enforced_limit) == (True, 12, False, None)
    for house in (gmail, outlook, corp):
        assert len({account.address for account in house.accounts}) == 10
        assert [account.control for account in house.accounts] == [False] * 9 + [True]
        assert not any(account.control and account.engage for account in house.accounts)


def test_passwords_follow_from_the_seed() -> None:
    assert cast("s", receivers=GENTLE) == cast("s", receivers=GENTLE)
    assert cast("s", receivers=GENTLE) != cast("t", receivers=GENTLE)


async def test_with_a_running_clock_a_client_in_idle_hears_of_mail_by_itself(tmp_path: Path) -> None:
    clock = WallClock(seed="s")
    fast = WallClock(seed="s", speed=3600, anchor=(clock.wall(), clock.wall()))
    async with Sandbox(
        built_in("gentle"), seed="s", clock=fast, providers=[provider("a@one.test")], folder=tmp_path, pump=True
    ) as sandbox:
        doors = sandbox.doors("a@one.test")
        tls = ssl.create_default_context(cafile=str(sandbox.ca_file))
        reader, writer = await asyncio.open_connection(doors.host, doors.imaps_port, ssl=tls)
        writer.write(b"1 LOGIN a@one.test p\r\n2 EXAMINE Sent\r\n3 IDLE\r\n")
        await reader.readuntil(b"+ Idling.\r\n")
        sandbox.send_own("a@one.test", at=fast.now() + timedelta(minutes=10))
        assert b"* 1 EXISTS" in await asyncio.wait_for(reader.readuntil(b"EXISTS\r\n"), 20)
        assert sandbox.record.most_in_24h("a@one.test") == 1
        writer.close()


async def test_day_one_of_the_world_is_the_day_of_the_start(tmp_path: Path, open_bench: Any) -> None:
    # Day 2 shocks every message into Junk.
    bench = await open_bench(event=[{"day": 2, "shock": 60.0}])
    await bench.send("anna@one.test", "bert@two.test", "<1@one.test>")
    bench.clock.raise_to(bench.clock.now() + timedelta(hours=15, minutes=59))
    await bench.send("anna@one.test", "bert@two.test", "<2@one.test>")
    bench.clock.raise_to(bench.clock.now() + timedelta(minutes=1))
    await bench.send("anna@one.test", "bert@two.test", "<3@one.test>")
    assert [receipt.placement for receipt in bench.sandbox.record.receipts] == ["inbox", "inbox", "spam"]


async def test_an_event_with_a_share_hits_the_first_accounts(open_bench: Any) -> None:
    bench = await open_bench(event=[{"day": 1, "shock": 60.0, "share": 1 / 3}])
    await bench.send("anna@one.test", "bert@two.test", "<1@one.test>")
    await bench.send("carl@two.test", "bert@two.test", "<2@two.test>")
    assert [receipt.placement for receipt in bench.sandbox.record.receipts] == ["spam", "inbox"]


async def test_an_account_that_does_not_live_here_has_no_doors(tmp_path: Path) -> None:
    clock = HoldingClock(start=WallClock().wall())
    async with Sandbox(
        built_in("gentle"), seed="s", clock=clock, providers=[provider("a@one.test")], folder=tmp_path
    ) as sandbox:
        with pytest.raises(KeyError):
            sandbox.doors("b@one.test")
