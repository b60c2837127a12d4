"""Rotations killed and rotations under a daemon, in short."""

from pathlib import Path

from tests.torture.conftest import Tell
from tests.torture.outcome import Form
from tests.torture.secrets_scenario import run


def test_a_rotation_that_is_killed_anywhere_loses_no_secret(tell: Tell, tmp_path: Path) -> None:
    assert tell(run(Form.SHORT, tmp_path)).held
