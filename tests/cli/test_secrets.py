"""`warmup secrets rotate`: a new key, every secret sealed with it, and nothing that the old one opens any more."""

import fcntl
import json
import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken

from tests.cli.conftest import Desk, Ended
from warmup.cli.granted import replaced
from warmup.ledger import Ledger
from warmup.ledger.mailboxes import SealedGrant
from warmup.policy.authority import AuthorityName

SERVERS = ["--smtp", "127.0.0.1:25", "--smtp-security", "none", "--imap", "127.0.0.1:143", "--imap-security", "none"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Two mailboxes with a password, never logged in."""
    desk = Desk(folder=tmp_path)
    assert desk.warmup("init", ".").code == 0
    for who in ("ann", "bob"):
        add = ["mailbox", "add", f"{who}@one.test", *SERVERS, "--no-verify", "--password-stdin"]
        assert desk.warmup(*add, stdin=f"secret of {who}").code == 0
    return desk


def seals(desk: Desk) -> list[bytes]:
    with closing(sqlite3.connect(desk.folder / "warmup.db")) as ledger:
        queries = ("SELECT sealed FROM credentials", "SELECT identity_key_sealed FROM installation")
        return [bytes(sealed) for query in queries for (sealed,) in ledger.execute(query)]


def keys(desk: Desk) -> list[bytes]:
    return (desk.folder / "warmup.key").read_bytes().split()


def opens(key: bytes, sealed: bytes) -> bool:
    try:
        Fernet(key).decrypt(sealed)
    except InvalidToken:
        return False
    return True


def test_every_secret_is_sealed_with_a_new_key_and_the_old_one_opens_nothing(desk: Desk) -> None:
    (old,), before = keys(desk), seals(desk)
    assert len(before) == 5
    done = desk.warmup("secrets", "rotate")
    assert done.code == 0, done.err
    assert done.out == f"sealed 5 secrets with a new key: {desk.folder / 'warmup.key'}\n"
    assert "keep a copy" in done.err
    (new,), after = keys(desk), seals(desk)
    assert all(opens(new, sealed) for sealed in after)
    assert not any(opens(old, sealed) for sealed in after)
    # Nor is anything of them left in pages that are free now.
    content = b"".join(path.read_bytes() for path in desk.folder.glob("warmup.db*"))
    assert [sealed for sealed in before if sealed[20:] in content] == []


def test_a_rotation_that_was_cut_off_is_ended_and_makes_no_third_key(desk: Desk) -> None:
    (old,), key = keys(desk), Fernet.generate_key()
    (desk.folder / "warmup.key").write_bytes(key + b"\n" + old + b"\n")
    done = desk.warmup("secrets", "rotate")
    assert done.code == 0, done.err
    assert "cut off is done" in done.out
    assert keys(desk) == [key]
    assert all(opens(key, sealed) for sealed in seals(desk))


def refused(done: Ended, code: int, *said: str) -> None:
    assert done.code == code
    assert len(done.errors) == 1
    assert [word for word in said if word not in done.err] == []


def test_a_secret_that_no_key_opens_is_named_and_nothing_is_changed(desk: Desk) -> None:
    with closing(sqlite3.connect(desk.folder / "warmup.db")) as ledger, ledger:
        foreign = Fernet(Fernet.generate_key()).encrypt(b"{}")
        ledger.execute("UPDATE credentials SET sealed = ? WHERE mailbox_id = 2 AND protocol = 'imap'", (foreign,))
    before = keys(desk), seals(desk)
    refused(desk.warmup("secrets", "rotate"), 78, "bob@one.test", "mailbox set bob@one.test --password-stdin")
    assert (keys(desk), seals(desk)) == before


def test_another_ledgers_key_is_no_key_to_rotate_from(desk: Desk) -> None:
    (desk.folder / "warmup.key").write_bytes(Fernet.generate_key())
    refused(desk.warmup("secrets", "rotate"), 78, "another key", "put the right key file back")


def test_while_somebody_seals_the_key_stays(desk: Desk) -> None:
    before = keys(desk), seals(desk)
    with (desk.folder / "warmup.key").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        refused(desk.warmup("secrets", "rotate"), 75, "being enrolled", "try again")
    assert (keys(desk), seals(desk)) == before


def test_a_credential_of_systemd_cannot_be_replaced_and_that_is_said(desk: Desk) -> None:
    before = keys(desk), seals(desk)
    refused(desk.warmup("secrets", "rotate", CREDENTIALS_DIRECTORY=str(desk.folder)), 78, "systemd", "LoadCredential")
    assert (keys(desk), seals(desk)) == before


@pytest.mark.parametrize(
    ("other", "said"),
    [({"has_credential": True}, ["from systemd", "stop the service"]), ({"host": "elsewhere"}, ["another machine"])],
)
def test_a_daemon_that_would_not_see_the_new_key_has_to_stop_first(
    desk: Desk, other: dict[str, object], said: list[str]
) -> None:
    before = keys(desk), seals(desk)
    with (desk.folder / "warmup.db.lock").open("w+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": "today"} | other))
        lock.flush()
        refused(desk.warmup("secrets", "rotate"), 75, f"pid {os.getpid()}", *said)
    assert (keys(desk), seals(desk)) == before


async def test_a_refresh_token_that_is_renewed_under_a_rotation_is_kept(desk: Desk) -> None:
    ledger = Ledger.open(f"sqlite:///{desk.folder / 'warmup.db'}")
    try:
        ann = await ledger.mailboxes.get("ann@one.test")
        first, anew, renewed, foreign = (
            SealedGrant(authority=AuthorityName.GOOGLE, host="google.test", sealed=sealed)
            for sealed in (b"first", b"first, another key", b"renewed", b"another sign-in")
        )
        await ledger.mailboxes.set_credentials(ann.id, [first])
        (kept,) = [one for one in await ledger.mailboxes.sealed() if one.mailbox == ann.id]
        await ledger.mailboxes.reseal([(kept, anew.sealed)])
        assert await replaced(ledger, ann, first, renewed, lambda now: now == anew)
        assert await ledger.mailboxes.grant(ann.id) == renewed
        # What a person signed in to meanwhile is not overwritten.
        await ledger.mailboxes.set_credentials(ann.id, [foreign])
        assert not await replaced(ledger, ann, renewed, first, lambda now: now == renewed)
        assert await ledger.mailboxes.grant(ann.id) == foreign
    finally:
        await ledger.close()
