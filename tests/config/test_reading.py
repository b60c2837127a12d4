"""Reading the configuration: three places, one verdict."""

import os
from pathlib import Path

import pytest

from warmup.config import ConfigError, Loaded, load


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes_in(folder: Path, text: str, **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text), environ)
    return caught.value.mistakes


def read(folder: Path, text: str, **environ: str) -> Loaded:
    return load(written(folder, text), environ)


def test_without_a_file_everything_is_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load(None, {"HOME": str(tmp_path)})
    assert loaded.path is None
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.settings.send.grace_seconds == 1800


def test_every_default_of_the_contract_stands(tmp_path: Path) -> None:
    settings = read(tmp_path, "").settings
    assert settings.http.listen == "127.0.0.1:8465"
    assert (settings.daemon.tick_seconds, settings.daemon.drain_seconds, settings.daemon.concurrency) == (5, 30, 20)
    assert (settings.send.session_seconds, settings.send.lease_seconds) == (300, 600)
    assert (settings.limits.margin_seconds, settings.limits.own_reserve_ratio) == (300, 0.1)
    assert settings.observe.model_dump() == {"first_seconds": 60, "missing_after_hours": 24, "second_look_hours": 48}
    assert settings.window.hours.days == frozenset(range(5))
    assert (settings.network.smtp_timeout_seconds, settings.network.imap_timeout_seconds) == (60, 60)
    assert (settings.identity.header, settings.log.format, settings.retention.days) == ("X-Warmup-Id", "logfmt", 400)
    assert (settings.engine.kind, settings.rehearsal.speed, settings.is_rehearsal) == ("local", 1.0, False)


def test_the_file_is_searched_in_the_order_of_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    (home / ".config/warmup").mkdir(parents=True)
    here.mkdir()
    monkeypatch.chdir(here)
    at_home, named = written(home / ".config/warmup", ""), tmp_path / "named.toml"
    named.touch()
    environ = {"HOME": str(home)}
    assert load(None, environ).path == at_home
    written(here, "")
    assert load(None, environ).path == Path("config.toml")
    assert load(None, {**environ, "WARMUP_CONFIG": str(named)}).path == named
    assert load(at_home, {**environ, "WARMUP_CONFIG": str(named)}).path == at_home


def test_a_named_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    for path, environ in ((tmp_path / "none.toml", {}), (None, {"WARMUP_CONFIG": str(tmp_path / "none.toml")})):
        with pytest.raises(ConfigError, match=r"there is no configuration file .*none\.toml"):
            load(path, environ)


def test_the_environment_wins_over_secrets_and_these_over_the_file(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for key in ("log__format", "log__level", "identity__header"):
        (secrets / key).write_text({"log__format": "json", "log__level": "error"}.get(key, "X-Secret"))
    file = 'log.format = "logfmt"\nlog.level = "info"\nretention.days = 30\nidentity.header = "X-File"\n'
    loaded = read(tmp_path, file, WARMUP_SECRETS_DIR=str(secrets), WARMUP__LOG__LEVEL="debug")
    assert (loaded.settings.log.format, loaded.settings.log.level) == ("json", "debug")
    assert loaded.origins["log.level"] == "environment WARMUP__LOG__LEVEL"
    assert loaded.origins["identity.header"] == "secret file"
    assert loaded.origins["retention.days"] == str(tmp_path / "config.toml")
    assert loaded.origins["send.grace_seconds"] == "default"


def test_a_list_comes_from_the_environment_with_commas_or_as_json(tmp_path: Path) -> None:
    for text in ("mon, Saturday", '["mon", "sat"]'):
        assert read(tmp_path, "", WARMUP__WINDOW__DAYS=text).settings.window.days == ("mon", "sat")


def test_a_provider_can_come_from_the_environment(tmp_path: Path) -> None:
    loaded = read(tmp_path, "", WARMUP__PROVIDERS__GMAILTEST__DAILY_LIMIT="12")
    assert loaded.settings.providers["gmailtest"].daily_limit == 12
    assert loaded.origins["providers.gmailtest.daily_limit"].startswith("environment ")


def test_the_process_environment_is_read_only_when_nothing_else_is_handed_in(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    os.environ["WARMUP__LOG__FORMAT"] = "json"
    try:
        assert load(path, {}).settings.log.format == "logfmt"
        assert load(path).settings.log.format == "json"
    finally:
        del os.environ["WARMUP__LOG__FORMAT"]


def test_all_mistakes_are_listed_at_once_with_where_they_stand(tmp_path: Path) -> None:
    found = mistakes_in(
        tmp_path,
        '[ledger]\nuri = "sqlite:///x"\n[daemon]\ntick_seconds = -1\nconcurrency = true\n[widnow]\nstart = "08:00"\n',
        WARMUP__RETENTION__DAYS="2",
    )
    text = "\n".join(found)
    assert len(found) == 5
    assert 'ledger.uri: unknown key; did you mean "url"?' in text
    assert 'widnow: unknown key; did you mean "window"?' in text
    assert "daemon.tick_seconds: input should be greater than 0, got -1" in text
    assert "daemon.concurrency: a number is wanted" in text
    assert (
        "retention.days: input should be greater than or equal to 3, got '2' (environment WARMUP__RETENTION__DAYS)"
        in text
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('window.timezone = "Europe/Berln"', 'did you mean "Europe/Berlin"?'),
        ('window.timezone = "/etc/passwd"', "is not a time zone"),
        ('window.timezone = "Europe"', "is not a time zone"),
        ('window.days = ["mon", "someday"]', "someday is no weekday"),
        ("window.days = []", "name at least one"),
        ('window.start = "8"', "write HH:MM"),
        ("window.start = 8", "write HH:MM"),
        ('window.start = "19:00"', "must come before end"),
        ('http.listen = "nowhere"', "is not HOST:PORT"),
        ('http.listen = "127.0.0.1:99999"', "a port is 1 to 65535"),
        ('http.listen = "0.0.0.0:8465"', "needs token_file"),
        ('http.listen = "[::]:8465"', "needs token_file"),
        ("limits.own_reserve_ratio = 1.0", "less than 1"),
        ("limits.own_reserve_ratio = -0.1", "greater than or equal to 0"),
        ("rehearsal.speed = 0.5", "greater than or equal to 1"),
        ("retention.days = 2", "greater than or equal to 3"),
        ("send.lease_seconds = 300", "must be longer than session_seconds"),
        ('engine.kind = "cloud"', "'local' or 'cluster'"),
        ('engine.kind = "cluster"', "set ledger.url to PostgreSQL"),
        ('log.format = "xml"', "'logfmt' or 'json'"),
        ('identity.header = "Subject: x"', "is no header name"),
        ('identity.header = "Subject"', "begins with X-"),
        ('identity.header = "message-id"', "begins with X-"),
        ('ledger.url = "mysql://x"', "a ledger is sqlite:///FILE"),
        ('ledger.url = "sqlite:///:memory:"', "a ledger is sqlite:///FILE"),
        ('ledger.url = "postgresql+psycopg://u@h:abc/x"', "HOST:PORT"),
        ('providers.x.smtp = "mail.example.net"', "is not HOST:PORT"),
        ('providers.x.imap = "mail.example.net:0"', "names no port"),
        ("providers.x.daily_limit = 0", "greater than or equal to 1"),
        ('providers.x.sign_in = ["pasword"]', "'password'"),
        ("ledger = 3", "ledger: "),
        ("= nonsense", "is not TOML"),
    ],
)
def test_a_wrong_value_is_one_mistake_that_says_what_is_right(tmp_path: Path, text: str, said: str) -> None:
    found = mistakes_in(tmp_path, text)
    assert len(found) == 1
    assert said in found[0]


def test_a_password_in_the_ledger_url_is_not_repeated(tmp_path: Path) -> None:
    found = mistakes_in(tmp_path, 'ledger.url = "postgres://me:hunter2@db/x"')
    assert "hunter2" not in str(found)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path, 'ledger.url = "sqlite:///data/w.db"\nnetwork.ca_file = "ca.pem"\n').settings
    assert settings.ledger_file == tmp_path / "data/w.db"
    assert settings.vault.key_file == tmp_path / "warmup.key"
    assert settings.network.ca_file == tmp_path / "ca.pem"
    assert settings.lock_file == tmp_path / "data/w.db.lock"
    assert settings.http_file == tmp_path / "data/w.db.http"


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    settings = read(tmp_path, 'ledger.url = "sqlite:////var/lib/warmup/w.db"\n').settings
    assert settings.ledger_file == Path("/var/lib/warmup/w.db")


def test_files_beside_a_ledger_on_a_server_stand_beside_the_key(tmp_path: Path) -> None:
    settings = read(tmp_path, 'ledger.url = "postgresql+psycopg://db/warmup"\n').settings
    assert settings.ledger_file is None
    assert settings.http_file == tmp_path / "warmup.http"


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = read(tmp_path, "").settings
    with pytest.raises(ValueError, match="frozen"):
        settings.send.grace_seconds = 5


@pytest.mark.parametrize("name", ["", "/"])
def test_a_key_file_without_a_name_is_a_mistake(tmp_path: Path, name: str) -> None:
    (mistake,) = mistakes_in(tmp_path, "", WARMUP__VAULT__KEY_FILE=name)
    assert mistake.startswith("vault.key_file: ")
    assert mistake.endswith("(environment WARMUP__VAULT__KEY_FILE)")


def test_a_variable_that_makes_a_table_of_a_key_is_blamed_itself(tmp_path: Path) -> None:
    (mistake,) = mistakes_in(tmp_path, "[send]\ngrace_seconds = 60\n", WARMUP__SEND__GRACE_SECONDS__X="1")
    assert mistake.startswith("send.grace_seconds: ")
    assert mistake.endswith("(environment WARMUP__SEND__GRACE_SECONDS__X)")
