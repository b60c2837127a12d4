"""Presets, the operator's own providers, and whose lane a domain is."""

from pathlib import Path

import pytest

from warmup.config import Settings, load, providers_of
from warmup.policy.mailbox import Endpoint, Security
from warmup.policy.provider import Providers, SignInKind, security_of


def with_own(folder: Path, text: str) -> Providers:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return providers_of(load(path, {}).settings)


OURS = providers_of(Settings())


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("gmail", 500),
        ("workspace", 2000),
        ("workspace-relay", 10_000),
        ("outlook", 300),
        ("microsoft365", 10_000),
        ("yahoo", 500),
        ("icloud", 1000),
        ("custom", 100),
    ],
)
def test_a_preset_has_the_limit_of_its_provider(name: str, limit: int) -> None:
    assert OURS.named(name).limit_of(None) == limit


def test_a_trial_has_a_limit_of_its_own_and_an_unknown_type_none() -> None:
    assert OURS.named("workspace").limit_of("trial") == 500
    with pytest.raises(KeyError):
        OURS.named("workspace").limit_of("platinum")


def test_every_preset_but_custom_says_where_to_log_in() -> None:
    assert {"zoho", "fastmail"} <= set(OURS.by_name)
    for provider in OURS.by_name.values():
        if provider.name == "custom":
            assert not provider.smtp
            assert not provider.is_wall
            continue
        assert provider.imap is not None
        assert provider.imap.security is Security.TLS
        assert all(server.security is security_of(server.port) for server in provider.smtp)
        assert provider.is_wall


def test_consumer_outlook_takes_no_password() -> None:
    assert OURS.named("outlook").sign_in == (SignInKind.MICROSOFT,)
    assert not OURS.named("outlook").takes_passwords
    assert OURS.named("gmail").wants_app_password


@pytest.mark.parametrize(
    ("domain", "receiver"),
    [
        ("gmail.com", "gmail"),
        ("GoogleMail.com", "gmail"),
        ("hotmail.co.uk", "outlook"),
        ("live.com", "outlook"),
        ("yahoo.com", "yahoo"),
        ("me.com", "icloud"),
        ("mac.com", "icloud"),
        ("mail.example.co.uk", "example.co.uk"),
        ("deep.down.example.com", "example.com"),
        ("gmail.test", "gmail.test"),
        ("localhost", "localhost"),
    ],
)
def test_a_domain_belongs_to_its_receiver(domain: str, receiver: str) -> None:
    assert OURS.receiver_of(domain) == receiver


def test_a_domain_of_ones_own_belongs_to_the_provider_it_was_enrolled_with() -> None:
    assert OURS.receiver_of("example.com", "workspace") == "workspace"
    assert OURS.receiver_of("example.com", "workspace-relay") == "workspace"
    assert OURS.receiver_of("example.com", "custom") == "example.com"
    assert OURS.receiver_of("gmail.com", "workspace-relay") == "gmail"


@pytest.mark.parametrize(
    ("host", "port", "receiver"),
    [
        ("imap.gmail.com", 993, "workspace"),  # whose domain is not Gmail's is Workspace's
        ("Outlook.Office365.com.", 993, "microsoft365"),
        ("imap.aol.com", 993, "yahoo"),
        ("imap.gmail.com", 143, None),
        ("mail.example.com", 993, None),
    ],
)
def test_mail_is_received_by_who_keeps_the_server_it_is_read_at(host: str, port: int, receiver: str | None) -> None:
    assert OURS.receiver_at(Endpoint(host=host, port=port, security=Security.TLS)) == receiver


def test_an_operator_adds_a_receiver(tmp_path: Path) -> None:
    providers = with_own(tmp_path, '[providers.gmailtest]\ndomains = ["Gmail.test"]\ndaily_limit = 12\n')
    found = providers.find_by_domain("gmail.test")
    assert found is not None
    assert (found.name, found.daily_limit, found.is_wall) == ("gmailtest", 12, True)
    assert providers.receiver_of("gmail.test") == "gmailtest"


def test_an_operator_changes_one_value_and_keeps_the_others(tmp_path: Path) -> None:
    gmail = with_own(tmp_path, "[providers.gmail]\ndaily_limit = 100\n").named("gmail")
    assert gmail.daily_limit == 100
    assert gmail.domains == OURS.named("gmail").domains
    assert gmail.smtp == OURS.named("gmail").smtp


def test_a_domain_the_operator_gives_away_is_no_longer_ours(tmp_path: Path) -> None:
    providers = with_own(tmp_path, '[providers.mine]\ndomains = ["me.com"]\n')
    assert providers.receiver_of("me.com") == "mine"
    assert providers.receiver_of("mac.com") == "icloud"


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (("aspmx.l.google.com", "alt1.aspmx.l.google.com"), "workspace"),
        (("alt2.gmail-smtp-in.l.google.com.",), "gmail"),
        (("example-com.mail.protection.outlook.com",), "microsoft365"),
        (("hotmail-com.olc.protection.outlook.com",), "outlook"),
        (("mx.unknown.example", "mx01.mail.icloud.com"), "icloud"),
        (("mx-aol.mail.gm0.yahoodns.net",), "aol"),
        (("mta5.am0.yahoodns.net",), "yahoo"),
        (("mx.zoho.eu", "mx2.zoho.eu"), "zoho-eu"),
        (("MX00.kundenserver.de.",), "ionos"),
        (("mx1.emailsrvr.com",), "rackspace"),
        (("notyahoodns.net",), None),
        ((), None),
    ],
)
def test_a_provider_is_known_by_its_mx(hosts: tuple[str, ...], name: str | None) -> None:
    found = OURS.find_by_mx(hosts)
    assert (found.name if found else None) == name
