"""SIGTERM at any moment and SIGHUP with any configuration, in short."""

from pathlib import Path

from tests.torture.conftest import Tell
from tests.torture.outcome import Form
from tests.torture.stop_scenario import run


def test_a_stop_is_in_time_and_in_order_and_a_reload_all_or_nothing(tell: Tell, tmp_path: Path) -> None:
    assert tell(run(Form.SHORT, tmp_path)).held
