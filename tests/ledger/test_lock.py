"""One daemon per ledger, and whoever comes second learns who the first is."""

import fcntl
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.ledger.conftest import HOUR, NOW
from warmup.ledger.errors import LedgerBusy, LedgerError
from warmup.ledger.lock import DaemonLock, Holder, file_system, holder, is_network, lock_path

HOLDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from warmup.ledger.lock import DaemonLock
with DaemonLock.acquire(Path(sys.argv[1]), now=datetime(2026, 3, 2, 9, tzinfo=UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_daemon_is_told_who_holds_the_ledger(place: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        named = Holder(host=socket.gethostname(), pid=first.pid, since="2026-03-02T09:00:00+00:00")
        assert holder(place) == named
        with pytest.raises(LedgerBusy, match=f"pid {first.pid} on ") as refused:
            DaemonLock.acquire(place, now=NOW)
        assert refused.value.holder == str(named)
        first.kill()
    with DaemonLock.acquire(place, now=NOW + HOUR):
        known = holder(place)
        assert known is not None
        assert known.pid == os.getpid()
    assert holder(place) is None


def test_who_only_looks_keeps_no_daemon_from_starting(place: Path) -> None:
    lock_path(place).touch()
    looking = os.open(lock_path(place), os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    ends = threading.Timer(0.02, os.close, [looking])
    ends.start()
    with DaemonLock.acquire(place, now=NOW):
        assert holder(place) is not None
    ends.join()


def test_a_restored_database_is_still_under_the_same_lock(place: Path) -> None:
    with DaemonLock.acquire(place, now=NOW):
        copy = place.read_bytes()
        place.unlink()
        place.write_bytes(copy)
        with pytest.raises(LedgerBusy):
            DaemonLock.acquire(place, now=NOW)


def test_nobody_holds_a_ledger_that_was_never_locked(place: Path) -> None:
    assert holder(place) is None
    assert not lock_path(place).exists()


def test_a_lock_file_with_rubbish_in_it_is_no_hindrance(place: Path) -> None:
    lock_path(place).write_text("{not json")
    with DaemonLock.acquire(place, now=NOW):
        pass


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"])
def test_network_file_systems_are_refused(place: Path, tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda1 / ext4 rw 0 0\nserver:/x {place.parent} {kind} rw 0 0\ntmpfs /tmp/else tmpfs rw 0 0\n"
    )
    with pytest.raises(LedgerError, match="local disk"):
        DaemonLock.acquire(place, now=NOW, mounts=mounts)
    assert not lock_path(place).exists()


def test_the_deepest_mount_decides(tmp_path: Path) -> None:
    inner = tmp_path / "with blank"
    inner.mkdir()
    mounts = tmp_path / "mounts"
    spelled = str(inner).replace(" ", "\\040")
    mounts.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n/dev/sdb1 {spelled} ext4 rw 0 0\nshort\n")
    assert file_system(inner, mounts=mounts) == "ext4"
    assert file_system(tmp_path, mounts=mounts) == "nfs4"
    assert file_system(tmp_path / "with", mounts=mounts) == "nfs4"
    assert file_system(tmp_path, mounts=tmp_path / "none") == ""


def test_a_real_local_disk_is_no_network() -> None:
    assert not is_network(file_system(Path("/")))
