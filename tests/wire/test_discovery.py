"""Finding settings: who is asked, in which order, what is believed, and whom nobody may be sent to."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from tests.wire.zone import Site, Zone, dns_server, web_server
from warmup.config import Settings, providers_of
from warmup.policy.mailbox import Endpoint, Protocol, Security
from warmup.wire.discovery import Discovery, Found, offered, strangers
from warmup.wire.errors import HostRefused, ProtocolError, TooLarge, Unreachable, Untrusted
from warmup.wire.https import fetch
from warmup.wire.network import Network
from warmup.wire.resolver import Resolver

PROVIDERS = providers_of(Settings())
CONFIG = b"""<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="one.test"><domain>one.test</domain>
<incomingServer type="imap"><hostname>imap.one.test</hostname><port>993</port><socketType>SSL</socketType>
<authentication>password-cleartext</authentication><username>%EMAILLOCALPART%</username></incomingServer>
<outgoingServer type="smtp"><hostname>smtp.%EMAILDOMAIN%</hostname><port>587</port><socketType>STARTTLS</socketType>
<authentication>password-cleartext</authentication><username>%EMAILLOCALPART%</username></outgoingServer>
</emailProvider></clientConfig>"""
AT_AUTOCONFIG = "autoconfig.one.test/mail/config-v1.1.xml"
AT_WELL_KNOWN = "one.test/.well-known/autoconfig/mail/config-v1.1.xml"


@pytest.fixture
def zone() -> Iterator[Zone]:
    with dns_server() as zone:
        for host in ("one.test", "autoconfig.one.test", "elsewhere.test"):
            zone.say(host, "A", "127.0.0.1")
        yield zone


@pytest.fixture(scope="module")
def web_tls(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("one.test", "autoconfig.one.test", "elsewhere.test", "localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def site(web_tls: ssl.SSLContext) -> Iterator[Site]:
    with web_server(web_tls) as site:
        yield site


@pytest.fixture
def search(zone: Zone, site: Site, ca_file: Path) -> Discovery:
    """A search on loopback, which is allowed here: what is refused otherwise has tests of its own."""
    resolver = Resolver(nameserver=("127.0.0.1", zone.port), seconds=20)
    network = Network(ca_file=ca_file, resolve=resolver.addresses, allow_private_hosts=True)
    return Discovery(providers=PROVIDERS, network=network, resolver=resolver, port=site.port)


def server(host: str, port: int, security: Security = Security.TLS) -> Endpoint:
    return Endpoint(host=host, port=port, security=security)


async def test_a_domain_of_ones_own_is_known_by_its_mx_and_nothing_more_is_asked(
    search: Discovery, zone: Zone, site: Site
) -> None:
    zone.say("one.test", "MX", "1 aspmx.l.google.com.", "5 alt1.aspmx.l.google.com.")
    found = await search.find("ann@one.test")
    assert found.provider is not None
    assert (found.provider.name, found.source) == ("workspace", "MX")
    assert site.asked == []
    assert zone.asked == [("one.test", "MX")]


async def test_autoconfig_of_the_domain_itself_comes_before_srv(search: Discovery, zone: Zone, site: Site) -> None:
    zone.say("_imaps._tcp.one.test", "SRV", "0 0 993 other.one.test.")
    site.put(AT_AUTOCONFIG, CONFIG)
    found = await search.find("ann@one.test")
    assert found.smtp == server("smtp.one.test", 587, Security.STARTTLS)
    assert found.imap == server("imap.one.test", 993)
    assert (found.username, found.source) == ("ann", "autoconfig")
    assert not [name for name, kind in zone.asked if kind == "SRV"]


async def test_the_well_known_place_is_the_second(search: Discovery, site: Site) -> None:
    site.put(AT_WELL_KNOWN, CONFIG.replace(b"imap.one.test", b"second.one.test"))
    assert (await search.find("ann@one.test")).imap == server("second.one.test", 993)
    site.put(AT_AUTOCONFIG, CONFIG)
    assert (await search.find("ann@one.test")).imap == server("imap.one.test", 993)


async def test_nobody_is_asked_but_the_domain_itself(search: Discovery, zone: Zone, site: Site) -> None:
    found = await search.find("ann@one.test")
    assert not found.has(frozenset(Protocol))
    assert sorted(site.asked) == [AT_AUTOCONFIG, AT_WELL_KNOWN]
    assert {name.removesuffix("one.test") for name, _ in zone.asked} == {
        "", "autoconfig.", "_submissions._tcp.", "_submission._tcp.", "_imaps._tcp.",
    }  # fmt: skip
    assert all("one.test" in name for name, _ in zone.asked)


async def test_service_records_say_the_rest_and_implicit_tls_is_preferred(search: Discovery, zone: Zone) -> None:
    zone.say("_submission._tcp.one.test", "SRV", "0 0 587 mail.one.test.")
    zone.say("_submissions._tcp.one.test", "SRV", "0 0 465 mail.one.test.")
    zone.say("_imaps._tcp.one.test", "SRV", "0 0 993 mail.one.test.")
    found = await search.find("ann@one.test")
    assert (found.smtp, found.imap, found.source) == (server("mail.one.test", 465), server("mail.one.test", 993), "SRV")
    zone.say("_submissions._tcp.one.test", "SRV", "0 0 0 .")
    found = await search.find("ann@one.test")
    assert found.smtp == server("mail.one.test", 587, Security.STARTTLS)


async def test_half_a_file_is_made_whole_by_srv(search: Discovery, zone: Zone, site: Site) -> None:
    site.put(AT_AUTOCONFIG, CONFIG.replace(b"SSL", b"plain"))
    zone.say("_imaps._tcp.one.test", "SRV", "0 0 993 mail.one.test.")
    found = await search.find("ann@one.test")
    assert (found.smtp, found.imap) == (server("smtp.one.test", 587, Security.STARTTLS), server("mail.one.test", 993))
    assert found.source == "autoconfig and SRV"


async def test_dns_that_does_not_answer_ends_the_search_and_is_said(search: Discovery, zone: Zone, site: Site) -> None:
    site.put(AT_AUTOCONFIG, CONFIG)
    zone.silent.add("one.test")
    found = await replace(search, resolver=replace(search.resolver, seconds=0.3)).find("ann@one.test")
    assert (found.smtp, found.imap) == (None, None)
    assert "did not answer" in found.tried[0]
    assert site.asked == []


@pytest.mark.parametrize("rebound", ["127.0.0.1", "10.0.0.1", "169.254.169.254"])
async def test_a_private_address_is_not_asked_for_a_file(
    search: Discovery, zone: Zone, site: Site, rebound: str
) -> None:
    zone.say("autoconfig.one.test", "A", rebound)
    site.put(AT_AUTOCONFIG, CONFIG)
    guarded = replace(search, network=replace(search.network, allow_private_hosts=False))
    found = await guarded.find("ann@one.test")
    assert found.imap is None
    assert site.asked == []
    assert "private address" in found.tried[0]
    assert "allow_private_hosts" in found.tried[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
async def test_a_file_that_names_this_machine_is_refused(search: Discovery, site: Site, host: str) -> None:
    document = CONFIG.replace(b"imap.one.test", host.encode())
    with pytest.raises(HostRefused, match="this machine"):
        offered(document, address="ann@one.test", network=Network())
    site.put(AT_AUTOCONFIG, document)
    assert (await search.find("ann@one.test")).imap == server(host, 993)  # where private hosts are allowed


async def test_an_srv_record_for_localhost_is_no_server(search: Discovery, zone: Zone) -> None:
    zone.say("_imaps._tcp.one.test", "SRV", "0 0 993 localhost.")
    guarded = replace(search, network=replace(search.network, allow_private_hosts=False))
    found = await guarded.find("ann@one.test", wanted=frozenset({Protocol.IMAP}))
    assert found.imap is None
    assert any("this machine itself" in line for line in found.tried)
    assert (await search.find("ann@one.test", wanted=frozenset({Protocol.IMAP}))).imap == server("localhost", 993)


def url(site: Site, at: str) -> str:
    host, _, path = at.partition("/")
    return f"https://{host}:{site.port}/{path}"


async def test_a_redirect_is_followed_within_https(search: Discovery, site: Site) -> None:
    site.redirect(AT_AUTOCONFIG, url(site, "elsewhere.test/settings.xml"))
    site.put("elsewhere.test/settings.xml", CONFIG)
    assert (await search.find("ann@one.test")).imap == server("imap.one.test", 993)


async def test_a_redirect_out_of_https_is_refused(search: Discovery, site: Site) -> None:
    site.redirect("one.test/a", "http://one.test/b")
    with pytest.raises(Untrusted, match="not https"):
        await fetch(url(site, "one.test/a"), network=search.network)
    for elsewhere in ("file:///etc/passwd", "ftp://one.test/", "https://user:word@one.test/"):
        site.redirect("one.test/a", elsewhere)
        with pytest.raises((Untrusted, ProtocolError)):
            await fetch(url(site, "one.test/a"), network=search.network)


@pytest.mark.parametrize("target", ["inside.test", "elsewhere.test", "127.0.0.1", "localhost", "10.0.0.1"])
async def test_a_redirect_into_a_private_network_is_checked_anew(
    search: Discovery, zone: Zone, site: Site, target: str
) -> None:
    """The first host is one we were told to ask; the second leads inside, by name or by address."""
    zone.say("inside.test", "A", "10.0.0.1")
    site.redirect("127.0.0.1/a", url(site, f"{target}/b"))
    with pytest.raises(HostRefused):
        await fetch(url(site, "127.0.0.1/a"), network=replace(search.network, allow_private_hosts=False))
    assert site.asked == ["127.0.0.1/a"]


async def test_redirects_come_to_an_end(search: Discovery, site: Site) -> None:
    site.redirect("one.test/a", url(site, "one.test/a"))
    with pytest.raises(ProtocolError, match="redirects"):
        await fetch(url(site, "one.test/a"), network=search.network)
    assert len(site.asked) == 4


async def test_more_than_anybody_needs_is_not_read(search: Discovery, site: Site) -> None:
    site.put("one.test/a", b"x" * 300_000)
    with pytest.raises(TooLarge):
        await fetch(url(site, "one.test/a"), network=search.network)


async def test_a_packed_answer_was_not_asked_for(search: Discovery, site: Site) -> None:
    site.put("one.test/a", b"\x1f\x8b", Content_Encoding="gzip")
    with pytest.raises(ProtocolError, match="encoding"):
        await fetch(url(site, "one.test/a"), network=search.network)


async def test_a_certificate_for_another_name_is_not_believed(search: Discovery, zone: Zone, site: Site) -> None:
    zone.say("stranger.test", "A", "127.0.0.1")
    with pytest.raises(Untrusted, match="certificate"):
        await fetch(url(site, "stranger.test/a"), network=search.network)


async def test_a_server_that_says_nothing_is_given_up(search: Discovery, serve: object, web_tls: object) -> None:
    async def handle(_serving: object, reader: asyncio.StreamReader, _writer: object) -> None:
        await reader.read()

    silent = await serve(handle, web_tls)  # type: ignore[operator]
    with pytest.raises(Unreachable, match="did not answer within"):
        await fetch(f"https://127.0.0.1:{silent.port}/", network=search.network, seconds=0.5)


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, b"\x16\x03\x01", b"220 hello\r\n\r\n"])
async def test_what_is_no_http_is_told(search: Discovery, serve: object, web_tls: object, said: bytes) -> None:
    async def handle(_serving: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    rude = await serve(handle, web_tls)  # type: ignore[operator]
    with pytest.raises((ProtocolError, Unreachable)):
        await fetch(f"https://127.0.0.1:{rude.port}/", network=search.network)


@pytest.mark.parametrize(
    ("smtp", "imap", "expected"),
    [
        ("mail.one.test", "one.test", ()),
        ("mail.one.test", "mail.two.test", ("mail.two.test",)),
        ("smtp.gmail.com", "imap.gmail.com", ()),
        ("one.test.evil.test", "evilone.test", ("one.test.evil.test", "evilone.test")),
        ("gmail.com", "imap.gmail.com", ("gmail.com",)),
    ],
)
def test_a_host_is_a_stranger_outside_the_domain_and_the_presets(
    smtp: str, imap: str, expected: tuple[str, ...]
) -> None:
    found = Found(smtp=server(smtp, 465), imap=server(imap, 993))
    assert strangers(found, "ann@deep.one.test", PROVIDERS) == expected


def test_two_customers_of_one_suffix_are_strangers() -> None:
    found = Found(smtp=server("mail.other.co.uk", 465))
    assert strangers(found, "ann@mine.co.uk", PROVIDERS) == ("mail.other.co.uk",)
