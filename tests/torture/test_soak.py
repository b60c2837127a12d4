"""The soak in its short form."""

from pathlib import Path

from tests.torture.conftest import Tell
from tests.torture.outcome import Form
from tests.torture.soak_scenario import run


def test_a_week_among_failing_servers_leaves_nothing_behind(tmp_path: Path, tell: Tell) -> None:
    assert tell(run(Form.SHORT, tmp_path)).held
