"""Killed at every point of a message's way, in short."""

from pathlib import Path

from tests.torture.conftest import Tell
from tests.torture.kill_scenario import run
from tests.torture.outcome import Form


def test_a_kill_at_any_point_loses_nothing_and_doubles_nothing(tell: Tell, tmp_path: Path) -> None:
    assert tell(run(Form.SHORT, tmp_path)).held
