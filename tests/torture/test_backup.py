"""Backups and ways back, in the short form."""

from pathlib import Path

from tests.torture import backup_scenario
from tests.torture.conftest import Tell
from tests.torture.outcome import Form


def test_a_ledger_that_went_back_sends_nothing_again(tmp_path: Path, tell: Tell) -> None:
    found = tell(backup_scenario.run(Form.SHORT, tmp_path))
    assert found.held, found.broken
