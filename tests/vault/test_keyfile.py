"""The key's file: replaced whole or not at all, and never under the hands of whoever seals."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from warmup.vault import KeyBusy, KeyFile, KeyMissing, KeyUnusable, Vault, create_key_file, new_key

ANN = {"mailbox": "ann@one.test", "protocol": "smtp", "host": "mail.one.test"}


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    create_key_file(tmp_path / "warmup.key")
    return KeyFile(path=tmp_path / "warmup.key")


def test_a_replaced_file_is_another_with_owner_and_mode_as_they_were(file: KeyFile) -> None:
    keys, before = (new_key(), *file.read()), file.path.stat()
    file.replace(keys)
    after = file.path.stat()
    assert file.read() == keys
    assert stat.S_IMODE(after.st_mode) == 0o600
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert list(file.path.parent.iterdir()) == [file.path]


def test_root_leaves_the_file_to_whose_it_was(file: KeyFile) -> None:
    # Nobody but root can give a file away.
    whose = (1234, 4321) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(file.path, *whose)
    file.replace([new_key()])
    assert (file.path.stat().st_uid, file.path.stat().st_gid) == whose


def test_what_a_cut_off_replacement_left_is_in_nobodys_way(file: KeyFile) -> None:
    file.unfinished.write_text("half a k")
    file.replace([new_key()])
    assert not file.unfinished.exists()


def test_a_link_stays_a_link(file: KeyFile) -> None:
    link = KeyFile(path=file.path.with_name("link"))
    link.path.symlink_to(file.path)
    key = new_key()
    link.replace([key])
    assert link.path.is_symlink()
    assert file.read() == (key,)


def test_what_cannot_be_replaced_stays_and_says_so(file: KeyFile) -> None:
    before = file.read()
    # A folder of that name is in the way, for root as well.
    file.unfinished.mkdir()
    (file.unfinished / "x").touch()
    with pytest.raises(KeyUnusable, match="cannot be replaced"):
        file.replace([new_key()])
    assert file.read() == before


def test_nobody_replaces_what_is_held_and_whoever_waits_gets_it_then(file: KeyFile) -> None:
    with file.held(), file.held(), pytest.raises(KeyBusy, match="try again"), file.alone(patience=0.1):
        pytest.fail("it was held")
    with file.alone(patience=0.1) as keys:
        assert keys == file.read()


def test_who_waited_for_a_replacement_reads_the_new_key(file: KeyFile) -> None:
    key, read = new_key(), list[tuple[bytes, ...]]()

    def wait() -> None:
        with file.held() as keys:
            read.append(keys)

    with file.alone():
        waiting = threading.Thread(target=wait)
        waiting.start()
        file.replace([key])
        assert read == []
    waiting.join(timeout=10)
    assert read == [(key,)]


def test_a_key_that_goes_missing_meanwhile_is_said_to_be(file: KeyFile) -> None:
    file.path.unlink()
    with pytest.raises(KeyMissing), file.held():
        pytest.fail("there is none")


def test_an_open_vault_goes_on_with_the_new_key(file: KeyFile) -> None:
    vault = Vault.open(file.path, {})
    with vault.held():
        old = vault.seal("x", **ANN)
    key = new_key()
    file.replace([key])
    assert vault.unseal(Vault((key,)).seal("y", **ANN), **ANN) == "y"
    # A secret that was read a moment before it was sealed anew.
    assert vault.unseal(old, **ANN) == "x"
    with vault.held():
        assert Vault((key,)).unseal(vault.seal("z", **ANN), **ANN) == "z"


def test_a_vault_seals_with_the_new_key_even_if_it_never_had_to_open_anything(file: KeyFile) -> None:
    vault, key = Vault.open(file.path, {}), new_key()
    file.replace([key, *file.read()])
    with vault.held():
        assert Vault((key,)).unseal(vault.seal("z", **ANN), **ANN) == "z"


def test_an_open_vault_goes_on_with_the_old_key_while_the_file_is_gone(file: KeyFile) -> None:
    vault = Vault.open(file.path, {})
    with vault.held():
        sealed = vault.seal("x", **ANN)
    file.path.unlink()
    assert vault.unseal(sealed, **ANN) == "x"


def test_nothing_is_sealed_while_the_key_may_be_replaced(file: KeyFile) -> None:
    with pytest.raises(AssertionError, match="hold the vault"):
        Vault.open(file.path, {}).seal("x", **ANN)


def test_who_opens_the_vault_leaves_no_core(file: KeyFile) -> None:
    probe = f"""
import ctypes, resource
from pathlib import Path
from warmup.vault import Vault
Vault.open(Path({str(file.path)!r}), {{}})
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert told.stdout == "(0, 0) 0\n"
