"""What all tests share: hypothesis profiles, a PostgreSQL, and the table of what the scenarios of torture found.

Profiles are `dev` on a desk, `ci` in the gate, `properties` for `make properties`.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import Server, binaries
from tests.torture.outcome import Outcome, table

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "properties", max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL that is there as long as the tests."""
    if binaries() is None:
        if os.environ.get("WARMUP_LAB") == "require":
            pytest.fail("PostgreSQL is not installed; sudo bash tests/lab/packages.sh")
        pytest.skip("PostgreSQL is not installed; sudo bash tests/lab/packages.sh")
    server = Server.start()
    yield server
    server.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, if any scenario ran."""
    told = [
        Outcome.told(found)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, found in report.user_properties
        if name == "outcome"
    ]
    if told:
        terminalreporter.section("nothing lost, nothing doubled, nothing leaked")
        terminalreporter.write_line(table(told))
