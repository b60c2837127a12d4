"""What a scenario found goes with its test's report, from whichever process ran it; `tests/conftest.py` prints all."""

from collections.abc import Callable
from dataclasses import asdict

import pytest

from tests.torture.outcome import Outcome

Tell = Callable[[Outcome], Outcome]


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Put an outcome into the table, and give it back."""

    def remember(outcome: Outcome) -> Outcome:
        record_property("outcome", asdict(outcome))
        return outcome

    return remember
