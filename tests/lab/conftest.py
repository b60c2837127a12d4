"""One lab for the whole session. Where there can be none, tests skip aloud; with WARMUP_LAB=require they fail."""

import os
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, unavailable


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A running lab, shared: take users nobody else takes, and leave Rspamd and the provider as you found them."""
    reason = unavailable()
    if reason and os.environ.get("WARMUP_LAB") == "require":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)
    running = Lab.up()
    yield running
    running.down()
