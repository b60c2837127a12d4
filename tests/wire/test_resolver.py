"""DNS: absence is told from silence, order is the records' own, and nothing is remembered."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.wire.zone import Zone, dns_server
from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import HostRefused, Unreachable
from warmup.wire.network import Network
from warmup.wire.resolver import Resolver


@pytest.fixture
def zone() -> Iterator[Zone]:
    with dns_server() as zone:
        yield zone


@pytest.fixture
def resolver(zone: Zone) -> Resolver:
    return Resolver(nameserver=("127.0.0.1", zone.port), seconds=20)


async def test_exchangers_come_by_preference(zone: Zone, resolver: Resolver) -> None:
    zone.say("one.test", "MX", "20 b.one.test.", "10 A.One.Test.")
    assert await resolver.mx("one.test") == ("a.one.test", "b.one.test")


async def test_a_null_mx_and_a_name_that_is_not_there_are_no_exchangers(zone: Zone, resolver: Resolver) -> None:
    zone.say("null.test", "MX", "0 .")
    zone.say("other.test", "A", "8.8.8.8")
    for domain in ("null.test", "none.test", "other.test"):
        assert await resolver.mx(domain) == ()


async def test_services_come_by_priority_and_then_by_weight(zone: Zone, resolver: Resolver) -> None:
    zone.say("_imaps._tcp.one.test", "SRV", "10 5 993 c.one.test.", "0 1 993 b.one.test.", "0 9 1993 a.one.test.")
    found = await resolver.srv("_imaps._tcp", "one.test")
    assert [(one.host, one.port) for one in found] == [("a.one.test", 1993), ("b.one.test", 993), ("c.one.test", 993)]


async def test_a_service_that_is_outright_not_offered_is_none(zone: Zone, resolver: Resolver) -> None:
    zone.say("_imaps._tcp.one.test", "SRV", "0 0 0 .")
    assert await resolver.srv("_imaps._tcp", "one.test") == ()


async def test_silence_is_not_absence(zone: Zone, resolver: Resolver) -> None:
    zone.silent.add("one.test")
    impatient = replace(resolver, seconds=0.3)
    with pytest.raises(Unreachable, match=r"did not answer for one\.test MX"):
        await impatient.mx("one.test")
    with pytest.raises(OSError, match="did not answer"):
        await impatient.addresses("one.test", 25)


async def test_the_search_list_of_this_machine_is_not_used(zone: Zone, resolver: Resolver) -> None:
    await resolver.mx("one")
    assert zone.asked == [("one", "MX")]


async def test_localhost_is_not_asked_of_a_server(zone: Zone, resolver: Resolver) -> None:
    assert set(await resolver.addresses("LocalHost.", 25)) <= {"127.0.0.1", "::1"}
    assert zone.asked == []


async def test_both_kinds_of_address_are_found(zone: Zone, resolver: Resolver) -> None:
    zone.say("mail.one.test", "A", "8.8.8.8")
    zone.say("mail.one.test", "AAAA", "2606:4700::1")
    assert await resolver.addresses("mail.one.test", 993) == ["8.8.8.8", "2606:4700::1"]


async def test_a_name_that_answers_twice_is_checked_at_every_connection(zone: Zone, resolver: Resolver) -> None:
    """Rebinding: the name is public when it is looked at, and leads inside when it is connected to."""
    zone.say_in_turn("mail.one.test", "A", ["8.8.8.8"], ["127.0.0.1"])
    network = Network(resolve=resolver.addresses)
    endpoint = Endpoint(host="mail.one.test", port=993, security=Security.TLS)
    assert [str(address) for address in await network.addresses(endpoint)] == ["8.8.8.8"]
    with pytest.raises(HostRefused, match="private address"):
        await network.connect(endpoint, timeout=20)


@pytest.mark.parametrize("address", ["10.1.2.3", "169.254.169.254", "100.64.0.1"])
async def test_what_dns_says_of_a_private_network_is_refused(zone: Zone, resolver: Resolver, address: str) -> None:
    zone.say("mail.one.test", "A", address)
    endpoint = Endpoint(host="mail.one.test", port=993, security=Security.TLS)
    with pytest.raises(HostRefused):
        await Network(resolve=resolver.addresses).connect(endpoint, timeout=20)


@pytest.mark.parametrize("address", ["::ffff:10.0.0.1", "fe80::1", "fd00::1", "64:ff9b::7f00:1"])
async def test_a_mapped_address_is_refused_too(zone: Zone, resolver: Resolver, address: str) -> None:
    zone.say("mail.one.test", "AAAA", address)
    endpoint = Endpoint(host="mail.one.test", port=993, security=Security.TLS)
    with pytest.raises(HostRefused):
        await Network(resolve=resolver.addresses).connect(endpoint, timeout=20)
