"""How the time after SIGTERM is shared between what runs and the closing."""

import pytest

from warmup.daemon import CLOSING_SECONDS, time_to_end


@pytest.mark.parametrize(("drain_seconds", "work_seconds"), [(30.0, 20.0), (16.0, 8.0), (1.0, 0.5)])
def test_work_ends_early_enough_for_the_process_to_end_in_time(drain_seconds: float, work_seconds: float) -> None:
    assert time_to_end(drain_seconds) == work_seconds
    assert drain_seconds - work_seconds >= min(CLOSING_SECONDS, drain_seconds / 2)
