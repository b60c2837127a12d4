"""Silent or cut at the final dot, in short."""

from pathlib import Path

from tests.torture.conftest import Tell
from tests.torture.final_dot_scenario import run
from tests.torture.outcome import Form


def test_what_was_not_answered_at_the_final_dot_is_uncertain_and_never_sent_again(tell: Tell, tmp_path: Path) -> None:
    assert tell(run(Form.SHORT, tmp_path)).held
