"""The device code flow (RFC 8628) against a real server: patience, slowing down, and every way it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.oauth.conftest import CLIENT
from tests.oauth.world import World
from warmup.policy.authority import Authority
from warmup.wire.errors import GrantRefused, Why
from warmup.wire.network import Network
from warmup.wire.oauth import begin_device, poll


@dataclass
class Waits:
    """The pauses that were asked for; before the one numbered `at` the person acts."""

    act: Callable[[], None] = lambda: None
    at: int = 1
    asked: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        if len(self.asked) == self.at:
            self.act()
        await asyncio.sleep(0)


async def test_the_person_is_waited_for(world: World, microsoft: Authority, network: Network) -> None:
    device = await begin_device(microsoft, address=world.user, network=network)
    assert (device.uri, device.interval) == ("https://login.mail.test/device", 1)
    waits = Waits(lambda: _decide(world, yes=True), at=4)
    tokens = await poll(microsoft, device, address=world.user, network=network, pause=waits)
    assert world.authority.owner(tokens.access) == world.user
    assert waits.asked == [1, 1, 1, 1]


async def test_slow_down_adds_five_seconds_for_good(world: World, microsoft: Authority, network: Network) -> None:
    world.authority.slow_down = 2
    device = await begin_device(microsoft, address=world.user, network=network)
    waits = Waits(lambda: _decide(world, yes=True), at=5)
    await poll(microsoft, device, address=world.user, network=network, pause=waits)
    assert waits.asked == [1, 6, 11, 11, 11]


async def test_no_answer_is_asked_again_half_as_often(world: World, microsoft: Authority, network: Network) -> None:
    device = await begin_device(microsoft, address=world.user, network=network)
    nowhere, brief = replace(microsoft, token_endpoint="https://127.0.0.1:1/token"), replace(device, lifetime=10)
    waits = Waits()
    with pytest.raises(GrantRefused) as caught:
        await poll(nowhere, brief, address=world.user, network=network, pause=waits)
    assert caught.value.why is Why.DENIED
    assert waits.asked == [1, 2, 4, 8]


@pytest.mark.parametrize("end", ["no", "expired"])
async def test_a_no_and_a_code_that_ran_out_are_the_persons(
    world: World, microsoft: Authority, network: Network, end: str
) -> None:
    device = await begin_device(microsoft, address=world.user, network=network)

    def act() -> None:
        code = world.authority.devices[device.device_code]
        code.verdict, code.expired = (False, False) if end == "no" else (None, True)

    with pytest.raises(GrantRefused) as caught:
        await poll(microsoft, device, address=world.user, network=network, pause=Waits(act, at=2))
    assert caught.value.why is Why.DENIED
    assert ("access_denied" if end == "no" else "expired_token") in str(caught.value)


async def test_a_public_client_says_no_secret(world: World, microsoft: Authority, network: Network) -> None:
    world.authority.clients["public"] = replace(CLIENT, client_id="public", secret="")
    public = replace(microsoft, client_id="public", client_secret="")
    device = await begin_device(public, address=world.user, network=network)
    waits = Waits(lambda: _decide(world, yes=True))
    await poll(public, device, address=world.user, network=network, pause=waits)
    assert "client_secret" not in world.authority.asked[-1]


async def test_no_code_shows_in_a_repr(world: World, microsoft: Authority, network: Network) -> None:
    device = await begin_device(microsoft, address=world.user, network=network)
    waits: Callable[[float], Awaitable[None]] = Waits(lambda: _decide(world, yes=True))
    tokens = await poll(microsoft, device, address=world.user, network=network, pause=waits)
    shown = f"{device!r} {tokens!r} {microsoft!r}"
    assert not [secret for secret in world.authority.secrets if secret in shown]


def _decide(world: World, *, yes: bool) -> None:
    for code in world.authority.devices.values():
        code.user, code.verdict = world.user, yes
