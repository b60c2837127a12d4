"""Large reads are spared the garbage collector, and nobody else is."""

import gc

import pytest

from warmup.ledger.collector import collector_at_rest


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
