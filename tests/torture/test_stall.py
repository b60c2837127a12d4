"""A loop that stands still for five seconds, in short."""

from pathlib import Path

from tests.torture.conftest import Tell
from tests.torture.outcome import Form
from tests.torture.stall_scenario import run


def test_a_stall_skips_no_slot_in_silence_and_is_to_be_seen(tell: Tell, tmp_path: Path) -> None:
    assert tell(run(Form.SHORT, tmp_path)).held
