"""Ways into our network."""

import os
from pathlib import Path

import pytest

from tests.torture import hosts_scenario
from tests.torture.conftest import Tell
from tests.torture.outcome import Form

pytestmark = pytest.mark.lab


def test_nobody_sends_us_to_a_host_inside_our_network(tell: Tell, tmp_path: Path) -> None:
    if reason := hosts_scenario.unavailable():
        (pytest.fail if os.environ.get("WARMUP_LAB") == "require" else pytest.skip)(reason)
    assert tell(hosts_scenario.run(Form.SHORT, tmp_path)).held
