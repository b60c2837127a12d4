"""What all tests share: hypothesis profiles, a PostgreSQL, and the tables of what was tried.

Profiles are `dev` on a desk, `ci` in the gate, `properties` for `make properties`.
"""

import os
from collections.abc import Iterator
from typing import Any

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


FAULT = ("fault", "reply", "cause", "scope", "what the daemon did")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables of what was tried, from whichever process it came."""
    if told := [Outcome.told(found) for found in recorded(terminalreporter, "outcome")]:
        terminalreporter.section("nothing lost, nothing doubled, nothing leaked")
        terminalreporter.write_line(table(told))
    if faults := [tuple(found) for found in recorded(terminalreporter, "fault")]:
        terminalreporter.section("what servers do, as real ones do it")
        rows = [FAULT, *faults]
        widths = [max(len(row[column]) for row in rows) for column in range(len(FAULT) - 1)]
        for row in rows:
            terminalreporter.write_line("  ".join(map(str.ljust, row, [*widths, 0])))


def recorded(terminalreporter: pytest.TerminalReporter, what: str) -> list[Any]:
    """What tests put down as a property of that name, in the order of their ends."""
    return [
        found
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, found in report.user_properties
        if name == what
    ]
