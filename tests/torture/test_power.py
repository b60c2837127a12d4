"""The power fails, in short."""

import os
from pathlib import Path

import pytest

from tests.torture import power_scenario, strace
from tests.torture.conftest import Tell
from tests.torture.outcome import Form

pytestmark = pytest.mark.lab


def test_no_message_a_server_has_is_lost_with_the_power(tell: Tell, tmp_path: Path) -> None:
    if reason := strace.unavailable():
        (pytest.fail if os.environ.get("WARMUP_LAB") == "require" else pytest.skip)(reason)
    assert tell(power_scenario.run(Form.SHORT, tmp_path)).held
