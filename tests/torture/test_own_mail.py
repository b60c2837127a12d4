"""Forged, replayed and quoted ids, in short."""

from pathlib import Path

from tests.torture.conftest import Tell
from tests.torture.outcome import Form
from tests.torture.own_mail_scenario import run


def test_mail_that_is_not_ours_stays_as_it_is(tell: Tell, tmp_path: Path) -> None:
    assert tell(run(Form.SHORT, tmp_path)).held
