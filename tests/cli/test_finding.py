"""`warmup mailbox add ADDRESS` without servers: the domain is asked, and no password goes where it should not."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from tests.cli.conftest import Account, Desk, Ended
from tests.wire.zone import Site, Zone, dns_server, web_server

WEB = ("127.53.44.1", 443)


@pytest.fixture
def zone() -> Iterator[Zone]:
    with dns_server() as zone:
        yield zone


@pytest.fixture
def asking(trusting: Desk, zone: Zone) -> Desk:
    """A desk that asks our DNS, and may be sent to this machine by it."""
    told = {"WARMUP__NETWORK__RESOLVER": zone.address, "WARMUP__NETWORK__ALLOW_PRIVATE_HOSTS": "true"}
    return replace(trusting, environ=trusting.environ | told)


@pytest.fixture
def offered(zone: Zone, accounts: list[Account]) -> Account:
    """An account whose domain names its servers by SRV: on localhost, which is not of its domain."""
    ada = accounts[0]
    domain = ada.address.partition("@")[2]
    zone.say(f"_submission._tcp.{domain}", "SRV", f"0 0 {ada.smtp_port} localhost.")
    zone.say(f"_imaps._tcp.{domain}", "SRV", f"0 0 {ada.imaps_port} localhost.")
    return ada


def add(desk: Desk, account: Account, *options: str, **environ: str) -> Ended:
    arguments = ["mailbox", "add", account.address, "--password-stdin", *options]
    return desk.warmup(*arguments, stdin=account.password, **environ)


def test_servers_outside_the_domain_get_the_password_only_where_accepted(asking: Desk, offered: Account) -> None:
    ended = add(asking, offered)
    assert ended.code == 65, ended
    (error,) = ended.errors
    assert "names localhost, outside its own domain" in error
    assert "--accept-host" in error
    assert asking.addresses() == []
    ended = add(asking, offered, "--accept-host")
    assert ended.code == 0, ended
    assert f"found by SRV: localhost:{offered.smtp_port} (starttls)" in ended.err
    assert "its days and hours are in UTC" in ended.err
    shown = asking.warmup("mailbox", "show", offered.address, "--json").document
    assert shown["imap"] == {"host": "localhost", "port": offered.imaps_port, "security": "tls"}
    assert (shown["provider"], shown["limit"]) == ("custom", 100)


def test_a_server_that_was_said_needs_no_acceptance(asking: Desk, offered: Account) -> None:
    ended = add(asking, offered, "--imap", f"127.0.0.1:{offered.imaps_port}")
    assert ended.code == 65
    assert "localhost" in ended.errors[0]
    both = ["--imap", f"127.0.0.1:{offered.imaps_port}", "--smtp", f"127.0.0.1:{offered.smtp_port}"]
    assert add(asking, offered, *both).code == 0


def test_dns_may_not_send_a_password_to_this_machine_unless_allowed(asking: Desk, offered: Account) -> None:
    guarded = {"WARMUP__NETWORK__ALLOW_PRIVATE_HOSTS": "false"}
    ended = add(asking, offered, "--accept-host", **guarded)
    assert ended.code == 65, ended
    assert "this machine itself" in ended.errors[0]
    ended = add(asking, offered, "--accept-host", "--no-verify", **guarded)
    assert ended.code == 65
    assert asking.addresses() == []


def test_a_name_that_leads_to_a_private_address_is_65(asking: Desk, zone: Zone, offered: Account) -> None:
    domain = offered.address.partition("@")[2]
    for service in ("_submission._tcp", "_imaps._tcp"):
        zone.say(f"{service}.{domain}", "SRV", f"0 0 993 mail.{domain}.")
    zone.say(f"mail.{domain}", "A", "169.254.169.254")
    ended = add(asking, offered, WARMUP__NETWORK__ALLOW_PRIVATE_HOSTS="false")
    assert ended.code == 65
    assert f"mail.{domain} is at 169.254.169.254, a private address" in ended.errors[0]
    assert asking.addresses() == []


@pytest.mark.parametrize(
    ("mx", "provider", "limit", "imap"),
    [
        ("1 smtp.google.com.", "workspace", 2000, "imap.gmail.com"),
        ("0 one-test.mail.protection.outlook.com.", "microsoft365", 10_000, "outlook.office365.com"),
        ("10 mx.zoho.eu.", "zoho-eu", 200, "imap.zoho.eu"),
    ],
)
def test_a_domain_of_ones_own_is_enrolled_with_the_provider_of_its_mx(
    asking: Desk, zone: Zone, mx: str, provider: str, limit: int, imap: str
) -> None:
    zone.say("one.test", "MX", mx)
    ended = asking.warmup("mailbox", "add", "ann@one.test", "--no-verify")
    assert ended.code == 0, ended
    assert f"found by MX: {provider}" in ended.err
    shown = asking.warmup("mailbox", "show", "ann@one.test", "--json").document
    assert (shown["provider"], shown["receiver"], shown["limit"]) == (provider, provider.replace("-eu", ""), limit)
    assert shown["imap"]["host"] == imap


def test_what_was_tried_is_said_where_nothing_is_found(asking: Desk) -> None:
    ended = asking.warmup("mailbox", "add", "ann@one.test", "--no-verify")
    assert ended.code == 65
    (error,) = ended.errors
    for words in ("no mail settings are known for one.test", "autoconfig.one.test", "_imaps._tcp", "--smtp HOST:PORT"):
        assert words in error
    assert asking.addresses() == []


def test_a_preset_is_not_asked_about(asking: Desk, zone: Zone) -> None:
    assert asking.warmup("mailbox", "add", "ann@web.de", "--no-verify").code == 0
    assert zone.asked == []
    shown = asking.warmup("mailbox", "show", "ann@web.de", "--json").document
    assert (shown["provider"], shown["username"]) == ("web-de", "ann")


def test_a_rehearsal_asks_nobody_beyond_this_machine(asking: Desk, zone: Zone) -> None:
    zone.say("one.test", "MX", "1 smtp.google.com.")
    rehearsing = {"WARMUP__REHEARSAL__SPEED": "60", "WARMUP__NETWORK__RESOLVER": "192.0.2.1"}
    ended = asking.warmup("mailbox", "add", "ann@one.test", "--no-verify", **rehearsing)
    assert ended.code == 65
    assert "a rehearsal asks nobody" in ended.errors[0]


@pytest.mark.parametrize("resolver", ["dns.one.test", "192.0.2.1:0", "192.0.2.1:99999", "nonsense"])
def test_a_resolver_is_an_address(ready: Desk, resolver: str) -> None:
    ended = ready.warmup("config", "check", WARMUP__NETWORK__RESOLVER=resolver)
    assert ended.code == 78
    assert "resolver" in ended.err


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Site, trustme.CA]]:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("autoconfig.one.test", "one.test").configure_cert(context)
    try:
        with web_server(context, WEB) as running:
            yield running, ca
    except PermissionError:
        pytest.skip("port 443 is root's here: the command asks https where everybody has it")


def test_the_domains_own_autoconfig_is_believed_for_its_own_hosts(
    asking: Desk, zone: Zone, site: tuple[Site, trustme.CA]
) -> None:
    web, ca = site
    ca.cert_pem.write_to_path(asking.folder / "web.pem")
    for name in ("autoconfig.one.test", "one.test"):
        zone.say(name, "A", WEB[0])
    web.put(
        "autoconfig.one.test/mail/config-v1.1.xml",
        b"""<clientConfig version="1.1"><emailProvider id="one.test">
        <incomingServer type="imap"><hostname>in.one.test</hostname><port>993</port><socketType>SSL</socketType>
        <username>%EMAILLOCALPART%</username></incomingServer>
        <outgoingServer type="smtp"><hostname>out.one.test</hostname><port>465</port><socketType>SSL</socketType>
        <username>%EMAILLOCALPART%</username></outgoingServer></emailProvider></clientConfig>""",
    )
    ended = asking.warmup("mailbox", "add", "ann@one.test", "--no-verify", WARMUP__NETWORK__CA_FILE="web.pem")
    assert ended.code == 0, ended
    assert "found by autoconfig" in ended.err
    shown = asking.warmup("mailbox", "show", "ann@one.test", "--json").document
    assert (shown["smtp"]["host"], shown["imap"]["host"], shown["username"]) == ("out.one.test", "in.one.test", "ann")


def test_a_relay_without_a_password_is_enrolled_limited_and_can_be_changed(
    trusting: Desk, accounts: list[Account]
) -> None:
    ada = accounts[0]
    arguments = ["mailbox", "add", ada.address, *ada.servers, "--password-stdin", "--smtp-auth", "none"]
    ended = trusting.warmup(*arguments, "--daily-limit", "40", stdin=ada.password)
    assert ended.code == 0, ended
    shown = trusting.warmup("mailbox", "show", ada.address, "--json").document
    assert (shown["smtp_auth"], shown["limit"], shown["state"]) == ("none", 40, "active")
    assert trusting.warmup("mailbox", "check", ada.address).code == 0
    # A password is needed again for a door that took none; kept ones of other doors do not go there.
    asked = trusting.warmup("mailbox", "set", ada.address, "--smtp-auth", "password")
    assert asked.code == 2
    assert "--password-stdin" in asked.errors[0]
    back = trusting.warmup(
        "mailbox", "set", ada.address, "--smtp-auth", "password", "--password-stdin", stdin=ada.password
    )
    assert back.code == 0, back
    assert trusting.warmup("mailbox", "set", ada.address, "--smtp-auth", "none").code == 0
    assert trusting.warmup("mailbox", "show", ada.address, "--json").document["smtp_auth"] == "none"


def test_a_relay_without_a_password_has_tls_still(trusting: Desk) -> None:
    said = [
        "--smtp",
        "mail.one.test:25",
        "--smtp-security",
        "none",
        "--smtp-auth",
        "none",
        "--imap",
        "mail.one.test:993",
    ]
    ended = trusting.warmup("mailbox", "add", "ann@one.test", *said, "--no-verify")
    assert ended.code == 65
    assert "without TLS" in ended.errors[0]
