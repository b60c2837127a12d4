"""Large reads are spared the garbage collector, and nobody else is."""

import gc

import pytest

from warmup.ledger.collector import collector_at_rest, collector_seldom


def test_the_collector_rests_for_as_long_as_the_reading_lasts() -> None:
    with collector_at_rest():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_reading_that_fails_wakes_the_collector_too() -> None:
    with pytest.raises(KeyError), collector_at_rest():
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collector_at_rest():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_is_as_usual_again_after_long_work_whoever_ends_first() -> None:
    usual = gc.get_threshold()
    first, second = collector_seldom(), collector_seldom()
    first.__enter__()
    assert gc.get_threshold()[0] > 10 * usual[0]
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.get_threshold() == usual
    with pytest.raises(ValueError, match="broken"), collector_seldom():
        raise ValueError("broken")
    assert gc.get_threshold() == usual
