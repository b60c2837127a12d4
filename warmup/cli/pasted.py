"""Lines from standard input that nobody has to wait for: a terminal, a pipe, a file, or nothing at all."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

_READ = 4096
_LONGEST = 64 * 1024


async def pasted_lines() -> AsyncIterator[str]:
    """The lines that are not empty, as they come; ends with standard input, or after 64 KiB."""
    found: asyncio.Queue[bytes] = asyncio.Queue()
    watched = _watch(found)
    try:
        kept, total = b"", 0
        while (data := await found.get()) and total < _LONGEST:
            total += len(data)
            *lines, kept = (kept + data).split(b"\n")
            for line in lines:
                if line.strip():
                    yield line.decode("utf-8", "replace").strip()
        if kept.strip():
            yield kept.decode("utf-8", "replace").strip()
    finally:
        if watched is not None:
            asyncio.get_running_loop().remove_reader(watched)


def _watch(found: "asyncio.Queue[bytes]") -> int | None:
    """Put what is read into `found`, the empty text at the end; the descriptor that is watched for more."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, ValueError, OSError):
        found.put_nowait(b"")
        return None

    def read() -> None:
        # It is ready, so this does not wait; a terminal gives one line.
        try:
            data = os.read(descriptor, _READ)
        except OSError:
            data = b""
        if not data:
            loop.remove_reader(descriptor)
        found.put_nowait(data)

    try:
        loop.add_reader(descriptor, read)
    except PermissionError:
        # epoll watches no file and no /dev/null: they are read at once, to their end.
        found.put_nowait(os.read(descriptor, _LONGEST))
        found.put_nowait(b"")
        return None
    return descriptor
