"""What is freed goes back: in a process of its own, as a setting of the C library is for all of it."""

import platform
import subprocess
import sys

import pytest

# Many pieces too large for Python's own pools and below the library's usual threshold once it has moved, on a thread.
SCRIPT = """
import re, sys, threading
from warmup.cli.thrift import be_thrifty

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])

def work():
    bytes(24 * 2**20)
    pieces = [bytes(200 * 1024) for _ in range(300)]
    last = bytes(200 * 1024)
    del pieces
    return last

if sys.argv[1] == "thrifty":
    assert be_thrifty()
before, kept = resident(), []
for _ in range(4):
    thread = threading.Thread(target=lambda: kept.append(work()))
    thread.start()
    thread.join()
print((resident() - before) // 1024)
"""


def left(how: str) -> int:
    """MiB that are resident after the work, and were not before."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has these settings")
def test_what_was_freed_is_given_back() -> None:
    assert left("thrifty") < 8 < left("as it is")
