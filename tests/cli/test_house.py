"""The command itself: help, endings, and the verbs that need no mailbox."""

import json
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.cli.conftest import COMMAND, Desk
from warmup import __version__
from warmup.cli.schema import schema_text


def test_help_loads_nothing_heavy() -> None:
    heavy = {"sqlalchemy", "pydantic", "aiosmtplib", "aioimaplib", "uvicorn", "cryptography", "pymap"}
    probe = (
        f"import sys; from warmup.cli.app import main; main(['--help']); print(sorted({heavy!r} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


def test_help_names_every_verb_and_a_verb_its_options(desk: Desk) -> None:
    from warmup.cli.app import VERBS

    text = desk.warmup("--help").out
    assert all(verb in text for verb in VERBS)
    assert "--json" in desk.warmup("mailbox", "list", "--help").out


def test_the_version_is_said(desk: Desk) -> None:
    assert desk.warmup("--version").out == f"warmup {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("mailbx",),
        ("--nonsense",),
        ("config", "show", "--nonsense"),
        ("--log-level", "loud", "schema"),
        ("mailbox", "add"),
        ("mailbox", "add", "a@b.test", "--role", "nobody"),
        ("mailbox", "add", "a@b.test", "--daily-limit", "many"),
        ("schema", "nonsense"),
    ],
)
def test_wrong_usage_is_one_line_and_2(desk: Desk, arguments: tuple[str, ...]) -> None:
    ended = desk.warmup(*arguments)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == len(ended.errors) == 1
    assert "; " in ended.errors[0]
    assert ended.out == ""


def test_a_wrong_configuration_lists_all_mistakes_and_ends_78(ready: Desk) -> None:
    with (ready.folder / "config.toml").open("a") as file:
        file.write("[legder]\nurl = 3\n")
    ended = ready.warmup("mailbox", "list", WARMUP__RETENTION__DAYS="1")
    assert ended.code == 78
    assert len(ended.errors) == 2
    assert 'did you mean "ledger"?' in ended.err
    assert "Traceback" not in ended.err


def test_debug_shows_the_traceback(ready: Desk) -> None:
    ended = ready.warmup("--log-level", "debug", "mailbox", "show", "nobody@one.test")
    assert ended.code == 65
    assert "Traceback" in ended.err


def test_a_reader_that_has_seen_enough_is_no_error(ready: Desk) -> None:
    with subprocess.Popen(
        [COMMAND, "config", "show"],
        cwd=ready.folder,
        env=ready.surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as verb:
        assert verb.stdout is not None
        assert verb.stderr is not None
        verb.stdout.close()
        assert verb.stderr.read() == b""
    assert verb.returncode == 0


def test_init_makes_three_files_only_its_owner_may_read(desk: Desk) -> None:
    ended = desk.warmup("init", "new")
    assert ended.code == 0
    assert desk.warmup("--config", "new/config.toml", "db", "current").code == 0
    for name in ("config.toml", "warmup.key", "warmup.db"):
        assert stat.S_IMODE((desk.folder / "new" / name).stat().st_mode) == 0o600


def test_init_is_safe_to_repeat(ready: Desk) -> None:
    before = {path.name: path.read_bytes() for path in ready.folder.iterdir() if path.is_file()}
    ended = ready.warmup("init")
    assert ended.code == 0
    assert "nothing was changed" in ended.out
    kept = ("config.toml", "warmup.key")
    assert all((ready.folder / name).read_bytes() == before[name] for name in kept)


def test_init_never_makes_a_key_for_a_ledger_that_lost_its_own(ready: Desk) -> None:
    (ready.folder / "warmup.key").unlink()
    ended = ready.warmup("init")
    assert ended.code == 78
    assert "put the key file back" in ended.err
    assert not (ready.folder / "warmup.key").exists()


def test_init_that_fails_leaves_nothing(desk: Desk) -> None:
    ended = desk.warmup("init", "new", WARMUP__LEDGER__URL="sqlite:////proc/nowhere/w.db")
    assert ended.code != 0
    assert len(ended.errors) == 1
    assert list((desk.folder / "new").iterdir()) == []


def test_every_schema_is_a_schema(desk: Desk) -> None:
    names = desk.warmup("schema").out.split()
    assert {"config-show", "db-check", "mailbox-list", "mailbox-show"} <= set(names)
    for name in names:
        schema = json.loads(schema_text(name))
        Draft202012Validator.check_schema(schema)
        assert schema["properties"]["schema"]["const"] == f"warmup.{name}/1"
    assert desk.warmup("schema", "db-check").out == schema_text("db-check")


def test_config_show_says_who_set_what_and_masks_secrets(ready: Desk) -> None:
    url = "postgresql+psycopg://me:hunter2@db/warmup"
    ended = ready.warmup("config", "show", "--origin", "--json", WARMUP__LEDGER__URL=url)
    told = {one["key"]: one for one in ended.document["settings"]}
    assert told["ledger.url"]["value"] == "postgresql+psycopg://me:***@db/warmup"
    assert told["ledger.url"]["origin"] == "environment WARMUP__LEDGER__URL"
    assert told["send.grace_seconds"]["origin"].endswith("config.toml")
    assert "hunter2" not in ended.out + ready.warmup("config", "show", "--origin", WARMUP__LEDGER__URL=url).out


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:hun/ter2@db/warmup",
        "postgresql+psycopg://me:hun@ter2@db/warmup",
        "postgresql+psycopg://db/warmup?user=me&password=hunter2",
        "postgresql+psycopg://db/warmup?sslpassword=hunter2&user=me",
    ],
)
def test_config_show_masks_a_password_wherever_a_url_may_bear_it(ready: Desk, url: str) -> None:
    for options in ((), ("--json",)):
        shown = ready.warmup("config", "show", *options, WARMUP__LEDGER__URL=url)
        assert "***" in shown.out
        assert "ter2" not in shown.out


def test_what_config_show_prints_is_a_configuration_again(ready: Desk) -> None:
    with (ready.folder / "config.toml").open("a") as file:
        file.write('[providers.mine]\ndomains = ["mine.test"]\naccount_limits = { trial = 5 }\n')
    shown = ready.warmup("config", "show")
    (ready.folder / "again.toml").write_text(shown.out)
    again = ready.warmup("--config", "again.toml", "config", "show")
    assert again.code == 0
    assert again.out == shown.out


def test_config_check_is_content_or_says_why_not(ready: Desk) -> None:
    assert ready.warmup("config", "check").out == "config.toml is sound\n"
    assert ready.warmup("config", "check", "--json").document["mistakes"] == []
    ended = ready.warmup("config", "check", "--json", WARMUP__NETWORK__CA_FILE="nowhere.pem")
    assert ended.code == 78
    assert len(ended.document["mistakes"]) == len(ended.errors) == 1


def test_db_says_its_revision_and_that_it_is_sound(ready: Desk) -> None:
    told = ready.warmup("db", "current", "--json").document
    assert told["revision"] == told["head"]
    assert ready.warmup("db", "check", "--json").document["problems"] == []
    assert ready.warmup("db", "upgrade").code == 0


def test_a_damaged_ledger_is_74(ready: Desk) -> None:
    (ready.folder / "warmup.db").write_bytes(b"no database at all" * 100)
    ended = ready.warmup("db", "check")
    assert ended.code == 74
    assert "restore a backup" in ended.err


def test_a_newer_ledger_is_78(ready: Desk) -> None:
    import sqlite3

    with sqlite3.connect(ready.folder / "warmup.db") as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
    ledger.close()
    ended = ready.warmup("mailbox", "list")
    assert ended.code == 78
    assert "newer warmup" in ended.err


def test_no_ledger_is_78_with_the_fix(ready: Desk) -> None:
    (ready.folder / "warmup.db").unlink()
    ended = ready.warmup("mailbox", "list")
    assert ended.code == 78
    assert "warmup init" in ended.err


def test_the_ledger_is_not_upgraded_under_a_daemon(ready: Desk) -> None:
    import fcntl

    with (ready.folder / "warmup.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert ready.warmup("db", "upgrade").code == 75


def test_ctrl_c_ends_130_and_saves_nothing(ready: Desk) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        arguments = ["mailbox", "add", "ann@one.test", "--smtp", server, "--imap", server, "--password-env", "SECRET"]
        with subprocess.Popen(
            [COMMAND, *arguments],
            cwd=ready.folder,
            env=ready.surroundings(SECRET="hunter2"),
            stderr=subprocess.PIPE,
            text=True,
        ) as verb:
            silent.settimeout(30)
            connection, _ = silent.accept()
            verb.send_signal(signal.SIGINT)
            assert verb.stderr is not None
            said = verb.stderr.read()
            connection.close()
    assert verb.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert ready.addresses() == []


def test_every_line_of_the_registry_names_a_module_with_an_app() -> None:
    from importlib import import_module

    import typer

    from warmup.cli.app import VERBS

    for module, text in VERBS.values():
        assert isinstance(import_module(module).app, typer.Typer)
        assert re.fullmatch(r"[A-Z].*\.", text)


def test_the_command_is_the_installed_one() -> None:
    assert Path(COMMAND).exists()


def test_a_ledger_is_copied_and_its_password_never_stands_in_an_argument(ready: Desk) -> None:
    copied = ready.warmup("db", "copy", "sqlite:///other.db", "--json").document
    assert {table["table"] for table in copied["tables"]} >= {"mailboxes", "slots", "attempts", "outcomes"}
    ended = ready.warmup("db", "current", WARMUP__LEDGER__URL=f"sqlite:///{ready.folder / 'other.db'}")
    assert ended.code == 0
    for url in ("postgresql+psycopg://me:hunter2@db/w", "postgresql+psycopg://db/w?password=hunter2"):
        refused = ready.warmup("db", "copy", url)
        assert refused.code == 2
        assert "PGPASSWORD" in refused.err
        assert "hunter2" not in refused.err + refused.out
    assert ready.warmup("db", "copy", "sqlite:///other.db").code == 74
    assert ready.warmup("db", "copy", f"sqlite:///{ready.folder / 'warmup.db'}").code == 65
