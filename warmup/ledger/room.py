"""Is there room on the ledger's disk? Asked only after a write has failed.

A small write proves nothing: on a full disk one page may still fit where a transaction of ten does not, and the daemon
would try, fail and believe again, tick by tick. So a file of `ROOM_BYTES` has to fit, and is taken away at once.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from warmup.ledger.errors import LedgerFailed

ROOM_BYTES: Final = 1 << 20
"""More than any transaction of the daemon's writes."""


def prove_room(ledger: Path) -> None:
    """Write `ROOM_BYTES` beside the ledger, durably, and remove them; LedgerFailed where that cannot be done."""
    path = ledger.with_name(ledger.name + ".room")
    try:
        try:
            with path.open("wb", buffering=0) as file:
                written = 0
                while written < ROOM_BYTES:
                    written += file.write(bytes(ROOM_BYTES - written))
                os.fsync(file.fileno())
        finally:
            with suppress(FileNotFoundError):
                path.unlink()
    except OSError as failure:
        raise LedgerFailed(f"{ledger}: {failure.strerror}; make room on the disk or mend it") from failure
