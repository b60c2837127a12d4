"""The wall clock is set under the daemon, in short."""

import os
from pathlib import Path

import pytest

from tests.torture import clock_scenario, faketime
from tests.torture.conftest import Tell
from tests.torture.outcome import Form

pytestmark = pytest.mark.lab


def test_a_clock_that_is_set_makes_no_burst_and_no_breach(tell: Tell, tmp_path: Path) -> None:
    if reason := faketime.unavailable():
        (pytest.fail if os.environ.get("WARMUP_LAB") == "require" else pytest.skip)(reason)
    assert tell(clock_scenario.run(Form.SHORT, tmp_path)).held
