"""How the daemon's memory goes back to the system: by three settings of the GNU C library, before its threads begin.

It keeps what was freed for whoever asks next, in a heap for every few threads, and large pieces too once some were
freed: what a plan of the whole fleet took for a moment would be held for weeks. With two heaps, and every piece of
128 KiB or more given back at once, a hundred mailboxes take some 10 MiB less. Elsewhere (musl, macOS) nothing is done.
"""

import ctypes
from typing import Final

# mallopt(3): M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD; whichever is set moves by itself no more.
_SETTINGS: Final = {-8: 2, -3: 128 * 1024, -1: 128 * 1024}


def be_thrifty() -> bool:
    """Set them; False where there is nothing to set, or somebody refused."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    taken = [mallopt(name, value) for name, value in _SETTINGS.items()]
    return taken == [1] * len(taken)
