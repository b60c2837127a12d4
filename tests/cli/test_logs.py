"""A log that cannot be written stops nothing."""

import subprocess
import sys
from pathlib import Path

LINE = """
import structlog
from warmup.cli.logs import set_up_logs
set_up_logs(level="info", form="logfmt")
structlog.get_logger("test").error("the disk is full")
print("went on")
"""


def test_a_line_for_a_full_disk_is_lost_and_the_work_goes_on() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", LINE], stdout=subprocess.PIPE, stderr=full, text=True, timeout=60, check=False
        )
    assert done.stdout == "went on\n"
