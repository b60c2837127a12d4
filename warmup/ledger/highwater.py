"""The high-water mark: the last attempt ever made with this ledger, in a file beside it.

A ledger that is put back from a backup does not know what was sent after the backup, and would send it again. The mark
lies outside of the database, so it does not go back with it: a mark ahead of the ledger means *restored*. It is
written after an attempt's row is durable and before MAIL FROM, so it is never ahead otherwise.
"""

import errno
import fcntl
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warmup.ledger.copy import make_durable
from warmup.ledger.errors import LedgerFailed


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """How far a ledger had got: its incarnation, then its last attempt's id."""

    incarnation: int
    attempt: int


class HighWater:
    """The mark's file. One line of fixed width with a checksum, written over in place: one sector, never half."""

    def __init__(self, ledger: Path, *, durable: bool = True) -> None:
        self._durable = durable
        self.path = ledger.with_name(ledger.name + ".hw")
        self._handle: int | None = None
        self._last: Mark | None = None

    def read(self) -> Mark | None:
        """The mark; None where there is no file, or one that cannot be believed."""
        try:
            return _mark(self.path.read_bytes())
        except OSError:
            return None

    def raise_to(self, mark: Mark) -> None:
        """Make the mark durable; one at or below the last one written changes nothing. LedgerFailed: disk.

        A verb may send beside the daemon (a test of a mailbox): whoever comes second does not lower the mark.
        """
        if self._last is not None and mark <= self._last:
            return
        try:
            if self._handle is None:
                self._handle = self._open()
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            try:
                if (there := _mark(os.pread(self._handle, _WIDTH, 0))) is None or there < mark:
                    self._write(mark, self._handle)
            finally:
                fcntl.flock(self._handle, fcntl.LOCK_UN)
        except OSError as failure:
            raise LedgerFailed(f"cannot write {self.path}: {failure.strerror}; nothing is sent without it") from failure
        self._last = mark

    def _write(self, mark: Mark, handle: int) -> None:
        line = _line(mark).encode("ascii")
        if os.pwrite(handle, line, 0) < len(line):
            # A disk that is full takes the beginning and says nothing.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._durable:
            # The bytes alone: when they were written is nobody's question, and would cost as much again.
            os.fdatasync(handle)

    def _open(self) -> int:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            make_durable(self.path.parent)
        except OSError:
            # Its name may not outlive a power cut: the next mark tries again.
            os.close(handle)
            raise
        return handle

    def close(self) -> None:
        """Let the file go."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _line(mark: Mark) -> str:
    body = f"{mark.incarnation:010d} {mark.attempt:020d}"
    return f"{body} {zlib.crc32(body.encode('ascii')):08x}\n"


_WIDTH: Final = len(_line(Mark(0, 0)))


def _mark(line: bytes) -> Mark | None:
    """The mark that a line is; None where it cannot be believed."""
    try:
        incarnation, attempt, checksum = line.decode("ascii").split()
        mark = Mark(int(incarnation), int(attempt))
    except ValueError:
        return None
    return mark if _line(mark).split()[2] == checksum else None
