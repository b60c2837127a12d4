"""Two daemons on one ledger, and many claims of one slot, in short."""

from pathlib import Path

from tests.torture.conftest import Tell
from tests.torture.outcome import Form
from tests.torture.two_daemons_scenario import run


def test_one_daemon_a_ledger_and_one_claim_a_slot(tell: Tell, tmp_path: Path) -> None:
    assert tell(run(Form.SHORT, tmp_path)).held
