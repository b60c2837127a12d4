"""Killed, cut off and stopped with the ledger on a server, and as a node of a cluster, in short."""

from pathlib import Path

import pytest

from tests.postgres import Server
from tests.torture import final_dot_scenario, kill_scenario, stop_scenario
from tests.torture.conftest import Tell
from tests.torture.outcome import Form
from tests.torture.places import OnServer, on_cluster

pytestmark = pytest.mark.lab


def test_a_kill_at_any_point_loses_nothing_on_a_server_either(tell: Tell, tmp_path: Path, postgres: Server) -> None:
    assert tell(kill_scenario.run(Form.SHORT, tmp_path, OnServer(postgres))).held


@pytest.mark.parametrize("kind", [OnServer, on_cluster], ids=["local", "cluster"])
def test_nothing_unanswered_is_sent_again_on_a_server_either(
    kind: type[OnServer], tell: Tell, tmp_path: Path, postgres: Server
) -> None:
    assert tell(final_dot_scenario.run(Form.SHORT, tmp_path, kind(postgres))).held


def test_a_node_stops_in_time_and_leaves_what_was_cut_off_to_its_lease(
    tell: Tell, tmp_path: Path, postgres: Server
) -> None:
    assert tell(stop_scenario.run(Form.SHORT, tmp_path, on_cluster(postgres))).held
