"""No picture of this process: what it knows in plain text is not to lie on a disk once it has crashed.

The kernel is told twice: a core of no size, and (Linux) a process that is not dumpable, which also takes its memory out
of reach for other processes of the same user (prctl(2), ptrace(2)). Root can read it still.
"""

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """From now on this process leaves no core; its children neither, until one of them is allowed more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        # Not Linux: there the limit has to do.
        return
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
