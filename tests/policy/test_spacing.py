"""The instants of a day: inside, apart, irregular, and spread as a working day is."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from warmup.policy.spacing import BUSTLE, due_times, fitting, share_left, trimmed, usual_gap
from warmup.policy.window import Span

EIGHT = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
DAY = (Span(EIGHT, EIGHT + timedelta(hours=10)),)
GAP = timedelta(minutes=2)
HOUR = timedelta(hours=1)

lengths = st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(hours=12))


@st.composite
def windows(draw: st.DrawFn) -> tuple[Span, ...]:
    found, at = [], EIGHT
    for _ in range(draw(st.integers(1, 3))):
        start = at + draw(lengths)
        at = start + draw(lengths)
        found.append(Span(start, at))
    return tuple(found)


gaps = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(hours=2))
lates = st.none() | st.timedeltas(max_value=timedelta(hours=40), min_value=-timedelta(hours=1)).map(EIGHT.__add__)


def fullest_hour(times: tuple[datetime, ...]) -> int:
    return max(sum(start <= at < start + HOUR for at in times) for start in times)


@given(st.integers(0, 300), windows(), st.integers(), lates, gaps)
def test_the_instants_are_in_order_apart_inside_and_not_before(
    n: int, spans: tuple[Span, ...], seed: int, late: datetime | None, gap: timedelta
) -> None:
    times = due_times(n, spans, random.Random(seed), not_before=late, minimum_gap=gap)
    assert len(times) == min(n, fitting(spans, not_before=late, minimum_gap=gap))
    assert all(after - before >= gap for before, after in pairwise(times))
    assert all(any(span.start <= at < span.end for span in spans) for at in times)
    assert late is None or all(at >= late for at in times)


@given(st.integers(1, 60), st.integers())
def test_an_hour_never_holds_more_than_its_part_of_the_bustle_and_two(n: int, seed: int) -> None:
    times = due_times(n, DAY, random.Random(seed), minimum_gap=timedelta(seconds=5))
    # An hour of ten spans one tenth of the bustle or two neighbours; every part is drawn by up to a quarter.
    assert fullest_hour(times) <= n * max(BUSTLE) / sum(BUSTLE) * 1.25 / 0.75 + 2


@given(st.integers(3, 200), st.integers())
def test_no_two_distances_are_the_same_so_that_there_is_no_grid(n: int, seed: int) -> None:
    times = due_times(n, DAY, random.Random(seed), minimum_gap=usual_gap(n, DAY))
    distances = Counter(after - before for before, after in pairwise(times))
    assert max(distances.values()) <= 2
    assert len(distances) >= (n - 1) * 0.9


def test_the_same_seed_gives_the_same_day_and_another_seed_another() -> None:
    def drawn(seed: int) -> tuple[datetime, ...]:
        return due_times(12, DAY, random.Random(seed), minimum_gap=GAP)

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_middle_of_the_morning_is_busy_and_noon_is_quiet() -> None:
    hours = Counter(at.hour for seed in range(300) for at in due_times(20, DAY, random.Random(seed), minimum_gap=GAP))
    assert hours[10] > 1.3 * hours[13]
    assert hours[15] > 1.3 * hours[13]
    assert hours[10] > 1.5 * hours[8]


def test_what_does_not_fit_the_minimum_gap_is_left_out() -> None:
    short = (Span(EIGHT, EIGHT + timedelta(minutes=10)),)
    times = due_times(50, short, random.Random(1), minimum_gap=GAP)
    assert len(times) == 4
    assert due_times(50, (), random.Random(1), minimum_gap=GAP) == ()
    assert due_times(50, DAY, random.Random(1), not_before=EIGHT + timedelta(hours=10), minimum_gap=GAP) == ()


@given(st.integers(1, 20_000))
def test_the_usual_gap_leaves_room_for_as_many_as_a_provider_takes_in_a_minute(n: int) -> None:
    assert fitting(DAY, minimum_gap=usual_gap(n, DAY)) >= min(n, 12_000)


@given(windows(), st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=1)))
def test_trimming_leaves_grace_before_every_end_and_at_least_half_of_a_span(
    spans: tuple[Span, ...], grace: timedelta
) -> None:
    assume(all(span.length > timedelta(microseconds=1) for span in spans))
    for span, left in zip(spans, trimmed(spans, grace), strict=True):
        assert left.start == span.start
        assert left.end == span.end - grace or left.length >= span.length / 2 - timedelta(microseconds=1)


@given(windows(), st.lists(st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=40)), min_size=2))
def test_the_share_that_is_left_falls_from_all_to_nothing(spans: tuple[Span, ...], after: list[timedelta]) -> None:
    shares = [share_left(spans, EIGHT + late) for late in sorted(after)]
    assert share_left(spans, spans[0].start) == 1
    assert abs(share_left(spans, spans[-1].end)) < 1e-9
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(shares))


@given(st.integers(0, 100_000), st.integers(1, 60))
def test_the_gap_is_never_tighter_than_what_the_provider_takes_in_a_minute(n: int, per_minute: int) -> None:
    gap = usual_gap(n, DAY, per_minute=per_minute)
    assert gap >= max(timedelta(minutes=1) / per_minute, usual_gap(n, DAY))
