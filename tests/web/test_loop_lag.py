"""A loop that is late says so, and for as long as it was."""

from warmup.metrics import Figures, Process, exposition


def within(process: Process, seconds: str) -> tuple[int, int]:
    """How many samples there are, and how many of them were no later than `seconds`."""
    lines = exposition(Figures(), process).decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("warmup_loop_lag_seconds"))
    bucket = f'warmup_loop_lag_seconds_bucket{{le="{seconds}"}}'
    return int(float(found["warmup_loop_lag_seconds_count"])), int(float(found[bucket]))


def test_a_loop_in_time_is_one_sample_each_time() -> None:
    process = Process()
    for _ in range(3):
        process.lagged(0.0004)
    assert within(process, "0.001") == (3, 3)


def test_a_block_counts_for_every_sample_that_was_missed_meanwhile() -> None:
    process = Process()
    process.lagged(5.0)
    samples, in_time = within(process, "0.1")
    assert samples == 51
    # Who asked in its last tenth of a second waited for no longer than that.
    assert in_time <= 2
    assert within(process, "2.5")[1] in (25, 26)


def test_a_timer_that_comes_early_is_no_lag() -> None:
    process = Process()
    process.lagged(-0.0001)
    assert within(process, "0.001") == (1, 1)
