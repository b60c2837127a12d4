"""Where we go and where we do not."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import CredentialsRefused, HostRefused, Unreachable, Untrusted, WireError, quote
from warmup.wire.hints import hint_for
from warmup.wire.login import Login
from warmup.wire.network import Network, Resolve, asks_for_loopback

PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::", "2001:db8::1",
]  # fmt: skip


def resolving_to(*addresses: str) -> Resolve:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolve


def at(host: str, security: Security = Security.TLS, port: int = 993) -> Endpoint:
    return Endpoint(host=host, port=port, security=security)


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    network = Network(resolve=resolving_to(address))
    with pytest.raises(HostRefused, match="private") as refusal:
        await network.connect(at("mail.example.org"), timeout=5)
    assert "allow_private_hosts" in refusal.value.hint
    assert await replace(network, allow_private_hosts=True).addresses(at("mail.example.org"))


@pytest.mark.parametrize("host", ["10.0.0.1", "[fd00::1]", "169.254.169.254", "0.0.0.0", "::ffff:192.168.0.1"])
async def test_a_literal_private_address_is_refused_too(host: str) -> None:
    with pytest.raises(HostRefused):
        await Network().addresses(at(host))


async def test_only_the_public_addresses_of_a_mixed_name_are_used() -> None:
    network = Network(resolve=resolving_to("10.0.0.1", "8.8.8.8", "127.0.0.1"))
    assert [str(address) for address in await network.addresses(at("mixed.example.org"))] == ["8.8.8.8"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LocalHost."])
def test_loopback_is_asked_for_literally(host: str) -> None:
    assert asks_for_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.example.org", "loop.test", "10.0.0.1", "2002:7f00:1::", "127.0.0.1.nip.io"]
)
def test_nothing_else_asks_for_loopback(host: str) -> None:
    assert not asks_for_loopback(host)


async def test_localhost_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(HostRefused):
        await Network(resolve=resolving_to("8.8.8.8")).addresses(at("localhost"))


@pytest.mark.parametrize("address", ["8.8.8.8", "10.0.0.1"])
async def test_a_rehearsal_reaches_nothing_but_this_machine(address: str) -> None:
    network = Network(resolve=resolving_to(address, "127.0.0.1"), rehearsal=True, allow_private_hosts=True)
    with pytest.raises(HostRefused, match="rehearsal"):
        await network.connect(at("mail.example.org"), timeout=5)
    assert await replace(network, resolve=resolving_to("127.0.0.1")).addresses(at("localhost"))


async def test_plain_text_is_refused_for_a_tunnel_to_loopback() -> None:
    network = Network(allow_private_hosts=True)
    with pytest.raises(Untrusted):
        await network.addresses(at("2002:7f00:1::", Security.NONE))


async def test_a_name_that_is_not_found_is_unreachable() -> None:
    async def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("Name or service not known")

    for resolve in (unknown, resolving_to()):
        with pytest.raises(Unreachable):
            await Network(resolve=resolve).connect(at("nowhere.example.org"), timeout=5)


async def test_a_closed_port_is_unreachable_and_the_next_address_is_tried(
    serve: Callable[..., Awaitable[Any]], unused_port: int
) -> None:
    async def handle(_serving: Any, reader: Any, _writer: Any) -> None:
        await reader.read()

    with pytest.raises(Unreachable, match="refused"):
        await Network().connect(at("127.0.0.1", port=unused_port), timeout=5)
    server = await serve(handle)
    network = Network(resolve=resolving_to("::1", "127.0.0.1"))
    sock = await network.connect(at("localhost", port=server.port), timeout=5)
    assert sock.getpeername()[0] == "127.0.0.1"
    sock.close()


def test_a_ca_file_that_is_none_is_told(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    for path in (bad, tmp_path / "missing.pem"):
        with pytest.raises(Untrusted, match="ca_file"):
            Network(ca_file=path).tls()


def test_tls_is_new_enough_and_checks_the_name(ca_file: Path) -> None:
    context = Network(ca_file=ca_file).tls()
    assert context.check_hostname
    assert context.minimum_version.name == "TLSv1_2"


@pytest.mark.parametrize(
    ("error", "port", "security", "username", "said"),
    [
        (Unreachable("x"), 587, Security.STARTTLS, "a@b.test", "465"),
        (Unreachable("x"), 465, Security.TLS, "a@b.test", "2525"),
        (Unreachable("x"), 25, Security.STARTTLS, "a@b.test", "587"),
        (CredentialsRefused("x"), 993, Security.TLS, "a@b.test", "app password"),
        (CredentialsRefused("x"), 993, Security.TLS, "a@b.test", "without its domain"),
        (CredentialsRefused("x"), 993, Security.TLS, "a", "whole address"),
        (CredentialsRefused("x", hint="use OAuth"), 993, Security.TLS, "a", "OAuth"),
        (Untrusted("x"), 465, Security.STARTTLS, "a", "465 is for security tls"),
        (Untrusted("x"), 587, Security.TLS, "a", "starttls"),
    ],
)
def test_a_hint_says_what_to_try_next(
    error: WireError, port: int, security: Security, username: str, said: str
) -> None:
    assert said in hint_for(error, at("mail.example.org", security, port), username=username)


def test_what_a_server_says_becomes_one_line() -> None:
    said = quote(b"wrong \xff\x1b[1m word\r\nsecond " + b"x" * 8_000_000)
    assert said.startswith("wrong \ufffd [1m word second xx")
    assert said.isprintable()
    assert len(said) <= 300


def test_a_login_shows_no_secret() -> None:
    assert "Sesam" not in repr(Login(username="ann", secret="Sesam open"))
