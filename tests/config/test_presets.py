"""The shipped presets among themselves, and against the published settings they were drawn from."""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from warmup.config import Settings, providers_of
from warmup.policy.mailbox import Security
from warmup.policy.provider import CUSTOM, Provider

OURS = providers_of(Settings())
PRESETS = [provider for name, provider in OURS.by_name.items() if name != CUSTOM]
CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus" / "autoconfig"


def test_there_are_enough_of_them_and_no_domain_or_exchanger_is_two_providers() -> None:
    assert len(PRESETS) >= 25
    for claims in ([domain for one in PRESETS for domain in one.domains], [mx for one in PRESETS for mx in one.mx]):
        assert [claim for claim, times in Counter(claims).items() if times > 1] == []
        assert all(claim == claim.lower().strip(".") and "." in claim for claim in claims)


@pytest.mark.parametrize("provider", PRESETS, ids=lambda provider: provider.name)
def test_a_preset_names_servers_under_tls_and_a_lane_that_is_there(provider: Provider) -> None:
    assert provider.smtp
    assert provider.imap is not None
    assert provider.imap.security is Security.TLS
    assert all(server.security in (Security.TLS, Security.STARTTLS) for server in provider.smtp)
    assert provider.receiver in OURS.by_name
    assert OURS.named(provider.receiver).receiver == provider.receiver
    assert provider.domains or provider.mx or provider.name == "workspace-relay"
    assert (provider.app_password_letters is None) or provider.wants_app_password


@pytest.mark.parametrize(
    ("domain", "name", "local_part"),
    [
        ("gmx.de", "gmx", False),
        ("web.de", "web-de", True),
        ("t-online.de", "t-online", False),
        ("orange.fr", "orange-fr", False),
        ("free.fr", "free-fr", True),
        ("libero.it", "libero", False),
        ("yandex.ru", "yandex", False),
        ("seznam.cz", "seznam", False),
        ("comcast.net", "comcast", False),
        ("zoho.in", "zoho-in", False),
        ("aol.com", "aol", False),
    ],
)
def test_a_domain_finds_its_preset(domain: str, name: str, local_part: bool) -> None:
    found = OURS.find_by_domain(domain)
    assert found is not None
    assert (found.name, found.wants_local_part) == (name, local_part)


def published() -> list[tuple[str, set[str], set[str], bool]]:
    """Of every file: a domain, the SMTP and IMAP servers that have TLS and a password, and who wants a local part."""
    found = []
    for path in sorted(CORPUS.glob("*.xml")):
        provider = ElementTree.parse(path).getroot().find("emailProvider")
        assert provider is not None
        servers: dict[str, set[str]] = {"smtp": set(), "imap": set()}
        names = set()
        for server in provider:
            kind = server.get("type", "")
            secured = {"SSL": True, "STARTTLS": kind == "smtp"}.get(server.findtext("socketType", ""), False)
            if kind in servers and secured:
                servers[kind].add(f"{server.findtext('hostname')}:{server.findtext('port')}")
                names.add("%EMAILLOCALPART%" in server.findtext("username", ""))
        domains = [domain.text or "" for domain in provider.findall("domain")]
        found += [(domain, servers["smtp"], servers["imap"], names == {True}) for domain in domains]
    return found


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is not here: the published settings are read from there")
def test_presets_say_of_a_domain_what_is_published_of_it() -> None:
    compared = Counter[str]()
    for domain, smtp, imap, local_part in published():
        preset = OURS.find_by_domain(domain)
        # Zoho, Fastmail, Google, Microsoft, Yahoo and Apple were drawn from their own pages, with ports of their own.
        if preset is None or preset.daily_limit != 200 or preset.name == "zoho":
            continue
        filled = {server.replace("%EMAILDOMAIN%", "inbox.lv") for server in smtp}
        assert {str(server) for server in preset.smtp} <= filled, preset.name
        assert str(preset.imap) in {server.replace("%EMAILDOMAIN%", "inbox.lv") for server in imap}, preset.name
        assert preset.wants_local_part == local_part, preset.name
        compared[preset.name] += 1
    assert len(compared) >= 25
