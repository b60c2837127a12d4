"""`warmup backup` as a person or a script calls it: endings, documents, and what is said of a restored ledger."""

import json
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.ledger.conftest import NOW
from warmup.ledger.lock import DaemonLock
from warmup.ledger.schema import HEAD, REVISIONS


def test_a_backup_is_made_looked_at_and_put_back(ready: Desk) -> None:
    made = ready.warmup("backup", "create", "w.backup", "--json")
    assert made.code == 0
    assert made.document["checksum"] is True
    assert stat.S_IMODE((ready.folder / "w.backup").stat().st_mode) == 0o600
    looked = ready.warmup("backup", "verify", "w.backup", "--json")
    assert (looked.code, looked.err) == (0, "")
    assert {**looked.document, "schema": ""} == {**made.document, "schema": "", "key_opens": True}
    back = ready.warmup("backup", "restore", "w.backup", "--json")
    assert back.code == 0
    assert back.document["incarnation"] == 2
    assert Path(back.document["kept"]).exists()
    assert "--accept-restore" in back.err
    status = ready.warmup("status", "--json").document
    assert status["restored"] == {"since": None, "held_until": None, "unread": None}
    assert "restored ledger: the next `warmup run`" in ready.warmup("status").out


def test_a_backup_holds_neither_the_key_nor_what_it_seals(ready: Desk) -> None:
    ready.warmup(
        "mailbox", "add", "ann@one.test", "--smtp", "127.0.0.1:1", "--imap", "127.0.0.1:1", "--provider", "custom",
        "--no-verify", "--password-env", "SECRET", SECRET="correct horse battery",
    )  # fmt: skip
    assert ready.warmup("backup", "create", "w.backup").code == 0
    held = (ready.folder / "w.backup").read_bytes()
    assert b"ann@one.test" in held
    assert (ready.folder / "warmup.key").read_bytes().strip() not in held
    assert b"correct horse battery" not in held


def test_no_file_is_overwritten_unasked(ready: Desk) -> None:
    (ready.folder / "w.backup").write_text("dear")
    ended = ready.warmup("backup", "create", "w.backup")
    assert (ended.code, len(ended.errors), ended.out) == (65, 1, "")
    assert (ready.folder / "w.backup").read_text() == "dear"
    assert ready.warmup("backup", "create", "w.backup", "--force").code == 0
    for own in ("warmup.db", "warmup.key", "config.toml"):
        before = (ready.folder / own).read_bytes()
        assert ready.warmup("backup", "create", own, "--force").code == 65
        assert (ready.folder / own).read_bytes() == before


def test_without_a_name_it_lies_beside_the_ledger(ready: Desk) -> None:
    made = ready.warmup("backup", "create", "--json").document
    assert Path(made["file"]).parent == ready.folder
    assert Path(made["file"]).name.startswith("warmup.db.backup-")


@pytest.mark.parametrize("verb", ["verify", "restore"])
def test_what_cannot_be_read_ends_65_and_changes_nothing(ready: Desk, verb: str) -> None:
    before = (ready.folder / "warmup.db").read_bytes()
    ready.warmup("backup", "create", "w.backup")
    spoiled = bytearray((ready.folder / "w.backup").read_bytes())
    spoiled[-5000] ^= 1
    (ready.folder / "w.backup").write_bytes(spoiled)
    for name in ("w.backup", "config.toml", "none"):
        ended = ready.warmup("backup", verb, name)
        assert (ended.code, len(ended.errors), ended.out) == (65, 1, ""), name
    assert (ready.folder / "warmup.db").read_bytes() == before


@pytest.mark.parametrize("verb", ["verify", "restore"])
def test_a_newer_backup_or_one_of_another_key_ends_78(ready: Desk, verb: str) -> None:
    for name in ("other", "newer"):
        ready.warmup("backup", "create", name)
    with closing(sqlite3.connect(ready.folder / "newer")) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    # Another program made it, and gave it a checksum of its own; here it is taken for a copy without one.
    whole = (ready.folder / "newer").read_bytes()
    (ready.folder / "newer").write_bytes(whole[: whole.rindex(b"\nwarmup-copy/1 ")])
    ended = ready.warmup("backup", verb, "newer")
    assert (ended.code, ended.out) == (78, "")
    assert "newer warmup" in ended.err
    shutil.move(ready.folder / "warmup.key", ready.folder / "kept.key")
    shutil.move(ready.folder / "warmup.db", ready.folder / "kept.db")
    ready.warmup("init")
    ended = ready.warmup("backup", verb, "other")
    assert (ended.code, ended.out, len(ended.errors)) == (78, "", 1)
    assert "another key" in ended.err
    (ready.folder / "warmup.key").unlink()
    ended = ready.warmup("backup", verb, "other")
    assert ended.code == (0 if verb == "verify" else 78)
    assert "there is no key at" in ended.err


def test_nothing_is_put_back_under_a_daemon(ready: Desk) -> None:
    ready.warmup("backup", "create", "w.backup")
    before = (ready.folder / "warmup.db").read_bytes()
    with DaemonLock.acquire(ready.folder / "warmup.db", now=NOW):
        ended = ready.warmup("backup", "restore", "w.backup")
        assert ended.code == 75
        assert "pid" in ended.err
        assert ready.warmup("backup", "create", "x.backup").code == 0
    assert (ready.folder / "warmup.db").read_bytes() == before


def test_a_server_has_tools_of_its_own(ready: Desk) -> None:
    for verb in (("create",), ("restore", "w.backup")):
        ended = ready.warmup("backup", *verb, WARMUP__LEDGER__URL="postgresql+psycopg://me:hunter2@db/warmup")
        assert (ended.code, len(ended.errors)) == (78, 1)
        assert "pg_dump" in ended.err
        assert "hunter2" not in ended.err


def test_an_upgrade_lays_a_sound_backup_aside(ready: Desk) -> None:
    from warmup.ledger import schema

    schema.downgrade(f"sqlite:///{ready.folder / 'warmup.db'}", REVISIONS[0])
    assert ready.warmup("status").code == 78
    ended = ready.warmup("db", "upgrade")
    copy = f"warmup.db.before-{HEAD}-was-{REVISIONS[0]}"
    assert copy in ended.out
    assert ready.warmup("backup", "verify", copy, "--json").document["revision"] == REVISIONS[0]


def test_an_init_does_not_upgrade_under_a_daemon(ready: Desk) -> None:
    from warmup.ledger import schema

    schema.downgrade(f"sqlite:///{ready.folder / 'warmup.db'}", REVISIONS[0])
    with DaemonLock.acquire(ready.folder / "warmup.db", now=NOW):
        assert ready.warmup("init").code == 75
    assert ready.warmup("init").code == 0
    assert json.loads(ready.warmup("db", "current", "--json").out)["revision"] == HEAD


_READ_THE_LEDGER = (
    ("init",),
    ("mailbox", "list"),
    ("mailbox", "show", "ann@one.test"),
    ("mailbox", "set", "ann@one.test", "--target", "3"),
    ("mailbox", "pause", "--all"),
    ("mailbox", "resume", "--all"),
    ("mailbox", "remove", "ann@one.test"),
    ("mailbox", "check", "ann@one.test"),
    ("mailbox", "add", "eve@one.test", "--smtp", "127.0.0.1:1", "--imap", "127.0.0.1:1", "--no-verify"),
    ("oauth", "login", "ann@one.test"),
    ("run",),
    ("plan", "ann@one.test"),
    ("status",),
    ("report", "ann@one.test"),
    ("export", "messages", "--format", "jsonl"),
    ("metrics",),
    ("db", "current"),
    ("db", "check"),
    ("db", "upgrade"),
    ("backup", "create", "x.backup"),
)


@pytest.mark.parametrize("verb", _READ_THE_LEDGER, ids=" ".join)
def test_a_ledger_of_a_newer_program_is_refused_by_every_verb(ready: Desk, verb: tuple[str, ...]) -> None:
    with closing(sqlite3.connect(ready.folder / "warmup.db")) as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
        ledger.commit()
    before = (ready.folder / "warmup.db").read_bytes()
    ended = ready.warmup(*verb, stdin="secret\n")
    assert (ended.code, len(ended.errors)) == (78, 1), ended.err
    assert "newer warmup" in ended.err
    assert (ready.folder / "warmup.db").read_bytes() == before
    assert not (ready.folder / "x.backup").exists()


def test_an_older_ledger_is_put_back_over_one_of_a_newer_program(ready: Desk) -> None:
    ready.warmup("backup", "create", "w.backup")
    with closing(sqlite3.connect(ready.folder / "warmup.db")) as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
        ledger.commit()
    assert ready.warmup("backup", "restore", "w.backup").code == 0
    assert ready.warmup("status").code == 0
