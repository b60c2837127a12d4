"""The window over 400 days in eight zones, with their nights of changing clocks, against the clock on the wall."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.mailbox import Hours
from warmup.policy.window import Span, date_of, is_open, next_open, spans

EVERY_DAY = frozenset(range(7))
# Hour, half-hour and quarter-hour offsets; changes at 1, 2, 3 and 24 o'clock; a half-hour change; one without any.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Cairo",
)
FIRST = date(2026, 1, 1)

zones = st.sampled_from(ZONES).map(ZoneInfo)
days = st.integers(0, 399).map(lambda ahead: FIRST + timedelta(days=ahead))
minutes = st.integers(0, 24 * 60 - 1)
times = st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]).map(sorted)
windows = st.builds(
    lambda pair, on: Hours(days=on, start=time(*divmod(pair[0], 60)), end=time(*divmod(pair[1], 60))),
    times,
    st.frozensets(st.integers(0, 6), min_size=1),
)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def test_a_working_day_is_its_hours_in_its_own_zone() -> None:
    assert spans(Hours(), ZoneInfo("Asia/Tokyo"), date(2026, 11, 24)) == (
        Span(at(2026, 11, 23, 23), at(2026, 11, 24, 9)),
    )
    assert spans(Hours(), ZoneInfo("America/New_York"), date(2026, 11, 24)) == (
        Span(at(2026, 11, 24, 13), at(2026, 11, 24, 23)),
    )


def test_a_weekday_that_is_off_is_empty() -> None:
    assert spans(Hours(), ZoneInfo("UTC"), date(2026, 11, 28)) == ()
    assert spans(Hours(days=frozenset({5})), ZoneInfo("UTC"), date(2026, 11, 28)) != ()


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        # Berlin, 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC.
        (time(1), time(4), (Span(at(2026, 3, 29, 0), at(2026, 3, 29, 2)),)),
        (time(2, 30), time(4), (Span(at(2026, 3, 29, 1), at(2026, 3, 29, 2)),)),
        (time(1), time(2, 30), (Span(at(2026, 3, 29, 0), at(2026, 3, 29, 1)),)),
        (time(2, 15), time(2, 45), ()),
    ],
)
def test_the_hour_that_is_skipped_in_spring_is_not_in_the_window(
    start: time, end: time, wanted: tuple[Span, ...]
) -> None:
    assert spans(Hours(days=EVERY_DAY, start=start, end=end), ZoneInfo("Europe/Berlin"), date(2026, 3, 29)) == wanted


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        # Berlin, 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC.
        (time(1), time(4), (Span(at(2026, 10, 24, 23), at(2026, 10, 25, 3)),)),
        (time(2), time(3), (Span(at(2026, 10, 25, 0), at(2026, 10, 25, 2)),)),
        (
            time(2, 15),
            time(2, 45),
            (
                Span(at(2026, 10, 25, 0, 15), at(2026, 10, 25, 0, 45)),
                Span(at(2026, 10, 25, 1, 15), at(2026, 10, 25, 1, 45)),
            ),
        ),
    ],
)
def test_the_hour_that_is_repeated_in_autumn_is_open_both_times(
    start: time, end: time, wanted: tuple[Span, ...]
) -> None:
    assert spans(Hours(days=EVERY_DAY, start=start, end=end), ZoneInfo("Europe/Berlin"), date(2026, 10, 25)) == wanted


def test_a_date_that_a_zone_skipped_is_empty() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert spans(Hours(days=EVERY_DAY), apia, date(2011, 12, 30)) == ()
    assert spans(Hours(days=EVERY_DAY), apia, date(2011, 12, 31)) != ()


def test_a_clock_that_goes_back_over_midnight_reopens_the_day_that_had_ended() -> None:
    # St John's, 7 November 2010: one minute past midnight it was 23:01 of the 6th again, at 02:31 UTC.
    zone, late = ZoneInfo("America/St_Johns"), Hours(days=frozenset({5}), start=time(23, 30), end=time(23, 45))
    assert next_open(late, zone, at(2010, 11, 7, 2, 30)) == at(2010, 11, 7, 3, 0)


@pytest.mark.parametrize("name", ZONES)
def test_every_date_of_400_days_has_its_window_and_no_two_overlap(name: str) -> None:
    zone = ZoneInfo(name)
    found = [span for ahead in range(400) for span in spans(Hours(days=EVERY_DAY), zone, FIRST + timedelta(days=ahead))]
    assert len(found) == 400
    assert all(before.end < after.start for before, after in pairwise(found))
    assert all(span.length == timedelta(hours=10) for span in found)


@pytest.mark.parametrize("name", ZONES)
def test_the_nights_of_400_days_are_as_long_as_the_zone_makes_them(name: str) -> None:
    zone = ZoneInfo(name)
    whole = Hours(days=EVERY_DAY, start=time(0), end=time.max)
    dates = [FIRST + timedelta(days=ahead) for ahead in range(400)]
    total = sum((span.length for day in dates for span in spans(whole, zone, day)), timedelta())
    first, last = spans(whole, zone, dates[0])[0].start, spans(whole, zone, dates[-1])[-1].end
    assert abs((last - first) - total) < timedelta(seconds=1)


@given(windows, zones, days, st.integers(-16 * 3600, 40 * 3600))
def test_an_instant_is_in_the_spans_of_its_date_just_where_the_clock_on_the_wall_says_open(
    hours: Hours, zone: ZoneInfo, day: date, seconds: int
) -> None:
    instant = datetime.combine(day, time(), UTC) + timedelta(seconds=seconds)
    inside = {
        date_: any(span.start <= instant < span.end for span in spans(hours, zone, date_))
        for date_ in (day - timedelta(days=1), day, day + timedelta(days=1))
    }
    assert any(inside.values()) is is_open(hours, zone, instant) or date_of(instant, zone) not in inside
    assert not any(held for date_, held in inside.items() if date_ != date_of(instant, zone))


@given(windows, zones, days)
def test_the_spans_of_a_date_are_in_order_apart_and_edged_by_closed_instants(
    hours: Hours, zone: ZoneInfo, day: date
) -> None:
    found = spans(hours, zone, day)
    assert all(before.end < after.start for before, after in pairwise(found))
    for span in found:
        assert is_open(hours, zone, span.start)
        assert is_open(hours, zone, span.end - timedelta(microseconds=1))
        assert {date_of(span.start, zone), date_of(span.end - timedelta(microseconds=1), zone)} == {day}
        assert not is_open(hours, zone, span.end)
        assert not is_open(hours, zone, span.start - timedelta(microseconds=1))


@given(windows, zones, days, st.integers(0, 24 * 3600))
def test_the_next_open_instant_is_open_and_nothing_before_it_is(
    hours: Hours, zone: ZoneInfo, day: date, seconds: int
) -> None:
    instant = datetime.combine(day, time(), UTC) + timedelta(seconds=seconds)
    found = next_open(hours, zone, instant)
    assert found >= instant
    assert is_open(hours, zone, found)
    assert (found == instant) is is_open(hours, zone, instant)
    between = [instant + (found - instant) * step / 50 for step in range(50)]
    assert found == instant or not any(is_open(hours, zone, earlier) for earlier in between)
