"""The file the key is in: one key a line, the newest first; and who may read, use and replace it.

Whoever seals holds the file (flock, shared) from reading the key until the sealed secret is kept. Whoever replaces the
file waits for all of them (flock, exclusive). So once a newer key stands in the file, nothing is sealed with an older
one any more, and an older one that nothing in the ledger needs can go. A replacement is whole or not there: it is
written beside the file, made durable, and takes its name.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet

from warmup.vault.errors import KeyBusy, KeyMissing, KeyUnusable

CREDENTIAL = "warmup.key"
PATIENCE_SECONDS = 10.0

_ASK_AGAIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """Where the key is. A credential is systemd's copy of it, which nobody can replace."""

    path: Path
    is_credential: bool = False

    @classmethod
    def find(cls, key_file: Path, environ: Mapping[str, str]) -> Self:
        """systemd's credential where there is one, else `key_file`."""
        folder = environ.get("CREDENTIALS_DIRECTORY")
        credential = Path(folder) / CREDENTIAL if folder else None
        if credential is not None and credential.exists():
            return cls(path=credential, is_credential=True)
        return cls(path=key_file)

    @property
    def unfinished(self) -> Path:
        """Where a replacement is written before it takes the file's name."""
        path = self.path.resolve()
        return path.with_name(path.name + ".new")

    def read(self) -> tuple[bytes, ...]:
        """The keys, newest first; raises KeyMissing, KeyUnusable."""
        with self._opened() as descriptor:
            return self._keys(descriptor)

    def state(self) -> tuple[int, int, int] | None:
        """What is another one once the file was replaced; None where it cannot be looked at."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    @contextmanager
    def held(self) -> Iterator[tuple[bytes, ...]]:
        """The keys, and nobody replaces the file meanwhile; raises KeyMissing, KeyUnusable."""
        with self._locked(fcntl.LOCK_SH, patience=PATIENCE_SECONDS) as descriptor:
            yield self._keys(descriptor)

    @contextmanager
    def alone(self, *, patience: float = PATIENCE_SECONDS) -> Iterator[tuple[bytes, ...]]:
        """The keys, once nobody holds the file; KeyBusy where somebody does for more than `patience` seconds."""
        with self._locked(fcntl.LOCK_EX, patience=patience) as descriptor:
            yield self._keys(descriptor)

    def replace(self, keys: Sequence[bytes]) -> None:
        """Put `keys` in the place of those there are, durably, owner and mode kept. KeyUnusable: they stay."""
        try:
            # Only a rotation that was cut off leaves one behind.
            self.unfinished.unlink(missing_ok=True)
            _write_new(self.unfinished, keys, like=self.path.stat())
            self.unfinished.replace(self.path.resolve())
            sync_folder(self.path.resolve().parent)
        except OSError as reason:
            raise KeyUnusable(
                f"{self.path} cannot be replaced: {reason.strerror}; look at its folder's owner, mode and disk"
            ) from reason

    @contextmanager
    def _locked(self, how: int, *, patience: float) -> Iterator[int]:
        """The open file under a lock. Who waited looks again: the name may mean another file by now."""
        deadline = time.monotonic() + patience  # noqa: TID251 (a wait for another process, as everybody's clock has it)
        while True:
            with self._opened() as descriptor:
                if _taken(descriptor, how) and self._is_still(descriptor):
                    yield descriptor
                    return
            if time.monotonic() > deadline:  # noqa: TID251
                raise KeyBusy(
                    f"{self.path} is in use: a mailbox is being enrolled or signed in; let that end, and try again"
                )
            time.sleep(_ASK_AGAIN_SECONDS)

    def _is_still(self, descriptor: int) -> bool:
        try:
            return self.path.stat().st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            return False

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as reason:
            raise KeyMissing(
                f"there is no key at {self.path}; put it back from your copy, or begin with `warmup init`"
            ) from reason
        except OSError as reason:
            raise KeyUnusable(f"{self.path} cannot be read: {reason.strerror}; look at its owner and mode") from reason
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _keys(self, descriptor: int) -> tuple[bytes, ...]:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        # systemd hands a credential out read-only for the service's user, in a folder nobody else enters.
        if mode & 0o077 and not self.is_credential:
            raise KeyUnusable(f"{self.path} has mode {mode:04o}, so others may read the key; run chmod 600 {self.path}")
        try:
            text = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        except OSError as reason:
            raise KeyUnusable(f"{self.path} cannot be read: {reason.strerror}; look at its owner and mode") from reason
        keys = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith(b"#"))
        if not keys or not all(map(_is_key, keys)):
            raise KeyUnusable(f"{self.path} holds no key; put the right key file back, or name it in vault.key_file")
        return keys


def new_key() -> bytes:
    """A key nobody has yet."""
    return Fernet.generate_key()


def create_key_file(path: Path) -> None:
    """A new key at `path`, mode 0600, durable. Raises KeyUnusable where a file is there already or none can be made."""
    try:
        _write_new(path, [new_key()])
    except FileExistsError as reason:
        raise KeyUnusable(f"{path} is there already; a key is never replaced, use another name") from reason
    except OSError as reason:
        raise KeyUnusable(f"{path} cannot be written: {reason.strerror}; choose another vault.key_file") from reason


def has_key(key_file: Path, environ: Mapping[str, str]) -> bool:
    """True where there is a key, good or not."""
    return KeyFile.find(key_file, environ).path.exists()


def sync_folder(folder: Path) -> None:
    """Make durable what the files in `folder` are called; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(path: Path, keys: Sequence[bytes], *, like: os.stat_result | None = None) -> None:
    """A durable file of `keys`, 0600 and, where root writes for somebody, theirs. Raises OSError, and leaves none."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if like is not None and (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            file.writelines(key + b"\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _taken(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_key(line: bytes) -> bool:
    try:
        Fernet(line)
    except ValueError:
        return False
    return True
