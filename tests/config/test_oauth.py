"""The operator's registrations: their defaults, their secrets, and what is no registration."""

from pathlib import Path

import pytest

from warmup.config import ConfigError, authority_of, load
from warmup.config.oauth import OAuthSettings
from warmup.policy.authority import AuthorityName

GOOGLE, MICROSOFT = AuthorityName


def test_the_public_clouds_are_the_default(tmp_path: Path) -> None:
    registered = load(None, {"HOME": str(tmp_path), "WARMUP__OAUTH__GOOGLE__CLIENT_ID": "us"}).settings.oauth
    google = authority_of(registered, GOOGLE)
    assert (google.host, google.scopes, google.client_secret) == (
        "oauth2.googleapis.com",
        ("https://mail.google.com/",),
        "",
    )
    microsoft = authority_of(OAuthSettings.model_validate({"microsoft": {"client_id": "us"}}), MICROSOFT)
    assert microsoft.sign_in_endpoint.endswith("/devicecode")
    assert (microsoft.host, "offline_access" in microsoft.scopes) == ("login.microsoftonline.com", True)


@pytest.mark.parametrize("name", AuthorityName)
def test_without_a_client_id_nobody_signs_in(name: AuthorityName) -> None:
    with pytest.raises(ConfigError, match=rf"oauth\.{name}\.client_id is not set; .*https://"):
        authority_of(OAuthSettings(), name)


def test_the_secret_is_read_from_its_file_beside_the_configuration(tmp_path: Path) -> None:
    path, secret = tmp_path / "config.toml", tmp_path / "client.secret"
    path.write_text('[oauth.google]\nclient_id = "us"\nclient_secret_file = "client.secret"\n')
    secret.write_text("hunter2\n")
    settings = load(path, {}).settings
    assert authority_of(settings.oauth, GOOGLE).client_secret == "hunter2"
    assert "hunter2" not in f"{settings!r} {authority_of(settings.oauth, GOOGLE)!r}"
    for wrong in ("", "two words", "two\nlines"):
        secret.write_text(wrong)
        with pytest.raises(ConfigError, match="client_secret_file") as caught:
            authority_of(settings.oauth, GOOGLE)
        assert not wrong or wrong not in str(caught.value)
    secret.unlink()
    with pytest.raises(ConfigError, match=r"client\.secret cannot be read"):
        authority_of(settings.oauth, GOOGLE)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('token_endpoint = "http://login.example.com/token"', "http is for loopback alone"),
        ('token_endpoint = "login.example.com/token"', "no web address"),
        ('token_endpoint = "https://me:secret@login.example.com/"', "no web address"),
        ('token_endpoint = "https://login.example.com:99999/"', "no web address"),
        ('token_endpoint = "https://login.example.com/ token"', "no web address"),
        ('token_endpoint = "ftp://127.0.0.1/"', "not https"),
        ('client_id = "two words"', "one word"),
        ("scopes = []", "at least one"),
        ('scopes = ["a b"]', "no scope"),
        ("redirect_port = 65536", "65535"),
        ('client_secret = "hunter2"', 'did you mean "client_secret_file"?'),
    ],
)
def test_what_is_no_registration_says_why(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[oauth.google]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/token", "http://localhost/token", "http://[::1]:80/token"])
def test_plain_http_is_for_loopback(url: str) -> None:
    assert OAuthSettings.model_validate({"microsoft": {"token_endpoint": url}}).microsoft.token_endpoint == url
