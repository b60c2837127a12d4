"""The disk fails under the daemon, in short."""

import os
from pathlib import Path

import pytest

from tests.torture import disk_scenario, strace
from tests.torture.conftest import Tell
from tests.torture.outcome import Form

pytestmark = pytest.mark.lab


def test_nothing_is_sent_while_the_disk_takes_nothing(tell: Tell, tmp_path: Path) -> None:
    if reason := strace.unavailable():
        (pytest.fail if os.environ.get("WARMUP_LAB") == "require" else pytest.skip)(reason)
    assert tell(disk_scenario.run(Form.SHORT, tmp_path)).held
