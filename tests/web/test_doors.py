"""The daemon's doors, knocked at over a real socket."""

import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio.to_thread
import pytest

from warmup.metrics import Figures, LaneFigures, MailboxFigures, Process, exposition
from warmup.policy.standing import Standing
from warmup.web.app import Doorway, build_app
from warmup.web.guard import split_listen
from warmup.web.server import CannotListen, serving

FIGURES = Figures(
    messages={("a@one.test", "gmail", "accepted"): 3},
    placements={("a@one.test", "gmail", "spam"): 1},
    mailboxes=(
        MailboxFigures(mailbox="a@one.test", day=4, day_target=8, day_sent=3, limit=500, limit_used=50, replies=2),
    ),
    lanes=(
        LaneFigures(
            mailbox="a@one.test",
            provider="gmail",
            standing=Standing.WATCHED,
            inbox_ratio=0.9,
            lower_ratio=0.7,
            upper_ratio=0.98,
        ),
    ),
)


@asynccontextmanager
async def doors(
    *, reason: str | None = None, token: str | None = None, hosts: tuple[str, ...] = ()
) -> AsyncIterator[str]:
    async def shown() -> bytes:
        return exposition(FIGURES, Process())

    async def unready() -> str | None:
        return reason

    app = build_app(Doorway(exposition=shown, unready=unready), bind="127.0.0.1", hosts=hosts, token=token)
    async with serving(app, listen="127.0.0.1:0") as port:
        yield f"http://127.0.0.1:{port}"


def knock(url: str, headers: Mapping[str, str]) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


async def fetch(url: str, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await anyio.to_thread.run_sync(knock, url, named)


async def test_the_metrics_carry_the_names_of_the_contract() -> None:
    async with doors() as url:
        status, text = await fetch(f"{url}/metrics")
    assert status == 200
    assert 'warmup_messages_total{mailbox="a@one.test",outcome="accepted",provider="gmail"} 3.0' in text
    assert 'warmup_standing{mailbox="a@one.test",provider="gmail",standing="watched"} 1.0' in text
    assert 'warmup_limit_used_ratio{mailbox="a@one.test"} 0.1' in text
    assert 'warmup_inbox_lower_ratio{mailbox="a@one.test",provider="gmail"} 0.7' in text
    assert "# TYPE warmup_slot_lag_seconds histogram" in text


async def test_ready_only_when_the_daemon_says_so() -> None:
    async with doors() as url:
        assert (await fetch(f"{url}/readyz"))[0] == 200
    async with doors(reason="recovering") as url:
        assert await fetch(f"{url}/readyz") == (503, "recovering\n")
        assert (await fetch(f"{url}/livez"))[0] == 200


async def test_a_foreign_host_name_is_turned_away() -> None:
    async with doors(hosts=("warmup.example",)) as url:
        assert (await fetch(f"{url}/metrics", Host="evil.example"))[0] == 421
        assert (await fetch(f"{url}/metrics", Host="warmup.example"))[0] == 200
        assert (await fetch(f"{url}/metrics", Host="localhost:99"))[0] == 200


async def test_a_request_through_a_proxy_needs_the_token() -> None:
    async with doors(token="t0ken") as url:
        assert (await fetch(f"{url}/metrics", X_Forwarded_For="10.0.0.1"))[0] == 401
        assert (await fetch(f"{url}/metrics", Forwarded="for=1", Authorization="Bearer wrong"))[0] == 401
        assert (await fetch(f"{url}/metrics", Forwarded="for=1", Authorization="Bearer t0ken"))[0] == 200


async def test_without_a_token_nothing_comes_through_a_proxy() -> None:
    async with doors() as url:
        assert (await fetch(f"{url}/livez", X_Forwarded_Proto="https", Authorization="Bearer "))[0] == 401


async def test_a_taken_address_is_said_and_nothing_is_served() -> None:
    async with doors() as url:
        taken = url.removeprefix("http://")
        with pytest.raises(CannotListen, match=taken):
            async with serving(
                build_app(Doorway(exposition=bytes_of_nothing, unready=nobody), bind="127.0.0.1", hosts=(), token=None),
                listen=taken,
            ):
                pass


async def bytes_of_nothing() -> bytes:
    return b""


async def nobody() -> str | None:
    return None


@pytest.mark.parametrize("listen", ["8465", "localhost", "127.0.0.1:x", "127.0.0.1:70000", ":80"])
def test_a_listen_address_names_host_and_port(listen: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        split_listen(listen)
