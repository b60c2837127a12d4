"""The table of scenarios, printed at the end of the tests whatever their outcome."""

from collections.abc import Callable

import pytest

from tests.torture.outcome import Outcome, table

_TOLD = pytest.StashKey[list[Outcome]]()

Tell = Callable[[Outcome], Outcome]


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Tell:
    """Put an outcome into the table, and give it back."""
    told = pytestconfig.stash.setdefault(_TOLD, [])

    def remember(outcome: Outcome) -> Outcome:
        told.append(outcome)
        return outcome

    return remember


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, if any scenario ran."""
    if told := config.stash.get(_TOLD, []):
        terminalreporter.section("nothing lost, nothing doubled, nothing leaked")
        terminalreporter.write_line(table(told))
