"""One daemon per ledger: a flock on `<ledger>.lock`, which also names who holds it.

The lock lies beside the database and never on it: a restore swaps the database's inode, and two daemons would each
hold a lock of their own. Network file systems are refused, since their locks cannot be believed.
"""

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from warmup.ledger.errors import LedgerBusy, LedgerError, LedgerFailed

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ceph", "9p", "glusterfs", "lustre", "davfs"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a ledger. `has_credential`: its key is systemd's copy, and stays what it was when it started."""

    host: str
    pid: int
    since: str
    has_credential: bool = False

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host} since {self.since}"


# Whoever asks who the holder is (`holder`) holds the lock for a moment: that is no daemon.
_WAITS_SECONDS = (0.0, 0.01, 0.03, 0.1)


class DaemonLock:
    """Held from `acquire` until `release`, or until the process ends in whatever way."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle: int | None = handle

    @classmethod
    def acquire(
        cls, ledger: Path, *, now: datetime, has_credential: bool = False, mounts: Path = Path("/proc/mounts")
    ) -> Self:
        """The lock of `ledger`; LedgerBusy naming the holder, LedgerError on a network file system."""
        kind = file_system(ledger.parent, mounts=mounts)
        if is_network(kind):
            raise LedgerError(f"{ledger} lies on {kind}, where locks cannot be believed; move it to a local disk")
        path = lock_path(ledger)
        handle = _open(path)
        if not any(_taken(handle, wait) for wait in _WAITS_SECONDS):
            os.close(handle)
            raise LedgerBusy(str(_read(path) or "unknown"))
        try:
            since = now.isoformat(timespec="seconds")
            me = Holder(host=socket.gethostname(), pid=os.getpid(), since=since, has_credential=has_credential)
            _write(handle, me)
        except OSError as failure:
            os.close(handle)
            raise LedgerFailed(f"cannot write {path}: {failure.strerror}; look at the disk") from failure
        return cls(path, handle)

    def release(self) -> None:
        """Let go. The file stays: removing it would let two daemons lock two inodes."""
        if self._handle is not None:
            with suppress(OSError):  # a full or broken disk: whoever reads the file looks at the lock first
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _taken(handle: int, wait_seconds: float) -> bool:
    if wait_seconds:
        time.sleep(wait_seconds)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def lock_path(ledger: Path) -> Path:
    """The lock file of a ledger."""
    return ledger.with_name(ledger.name + ".lock")


def holder(ledger: Path) -> Holder | None:
    """Who holds the ledger now; None where nobody does."""
    path = lock_path(ledger)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _read(path) or Holder(host="unknown", pid=0, since="unknown")
    finally:
        os.close(handle)
    return None


def file_system(folder: Path, *, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of file system `folder` lies on, by the longest mount point that holds it; "" where nothing tells."""
    place = str(folder.resolve())
    best, kind = "", ""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # proc(5): blanks in a mount point are written as octal escapes.
        point = fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def is_network(kind: str) -> bool:
    """True for the kinds whose locks other machines may not see (fuse.* of remote hosts included)."""
    return kind in _NETWORK or kind.startswith(
        ("fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.glusterfs", "fuse.ceph")
    )


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as failure:
        raise LedgerError(f"cannot open {path}: {failure.strerror}; is the folder yours?") from failure


def _write(handle: int, holder: Holder) -> None:
    text = json.dumps(asdict(holder)) + "\n"
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)


def _read(path: Path) -> Holder | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Holder(
            host=str(said["host"]),
            pid=int(said["pid"]),
            since=str(said["since"]),
            has_credential=bool(said.get("has_credential", False)),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
