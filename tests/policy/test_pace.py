"""How fast receivers take volume by default."""

from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.pace import DAYS, FREE, paced

OUTLOOK = (0.10, 0.30, 0.60, 0.90)
paces = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda shares: tuple(sorted(shares)))


def test_on_the_days_of_the_table_it_is_the_table() -> None:
    assert [paced(OUTLOOK, 1000, day) for day in DAYS] == [100, 300, 600, 900]
    assert paced(OUTLOOK, 1000, 40) == 1000


@given(paces, st.floats(1, 10_000), st.integers(1, 200))
def test_it_never_falls_never_passes_the_full_volume_and_never_holds_back_a_handful(
    pace: tuple[float, ...], full: float, level: int
) -> None:
    today, tomorrow = paced(pace, full, level), paced(pace, full, level + 1)
    assert min(full, FREE) <= today <= tomorrow + 1e-9 <= full + 1e-6
    assert paced(pace, full, 400) == full


def test_a_receiver_of_unknown_pace_is_not_held() -> None:
    assert paced((), 70, 1) == 70
