"""The upgrade, in its short form."""

from pathlib import Path

from tests.torture import upgrade_scenario
from tests.torture.conftest import Tell
from tests.torture.outcome import Form


def test_an_upgrade_leaves_the_old_ledger_or_the_new_and_a_backup(tmp_path: Path, tell: Tell) -> None:
    found = tell(upgrade_scenario.run(Form.SHORT, tmp_path))
    assert found.held, found.broken
