from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workforce.errors import Refused
from workforce.period import Cutoff, end_instant, local_instant, zone

ZONES = [
    "America/New_York", "America/Los_Angeles", "America/Havana", "America/Santiago", "Atlantic/Azores", "Europe/London",
    "Europe/Berlin", "Africa/Casablanca", "Asia/Beirut", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham",
]  # fmt: skip
LEAP_DAY = date(2028, 2, 29)


def changes(name: str, years: range = range(2024, 2029)) -> list[datetime]:
    """The instants (UTC, to the minute) at which the zone's offset changes."""
    tz, found = ZoneInfo(name), []
    hour = datetime(years.start, 1, 1, tzinfo=UTC)
    while hour.year < years.stop:
        later = hour + timedelta(hours=6)
        if hour.astimezone(tz).utcoffset() != later.astimezone(tz).utcoffset():
            before = hour.astimezone(tz).utcoffset()
            found.append(next(m for n in range(361) if (m := hour + timedelta(minutes=n)).astimezone(tz).utcoffset() != before))
        hour = later
    return found


def by_watching_the_clock(day: date, at: time, name: str) -> datetime:
    """The oracle: look at a wall clock every minute until it shows ``at`` on ``day``, or has moved past it."""
    wanted, tz = datetime.combine(day, at), ZoneInfo(name)
    minute = wanted.replace(tzinfo=UTC) - timedelta(hours=15)
    while minute.astimezone(tz).replace(tzinfo=None) < wanted:
        minute += timedelta(minutes=1)
    return minute


@pytest.mark.parametrize("name", ZONES)
def test_around_every_change_of_clocks_a_local_time_is_its_first_showing_or_the_change_itself(name: str) -> None:
    for change in changes(name, range(2026, 2028)):
        local = change.astimezone(ZoneInfo(name)).replace(tzinfo=None)
        for minutes in (-90, -60, -30, -1, 0, 1, 15, 30, 59, 60, 90):
            near = local + timedelta(minutes=minutes)
            expected = by_watching_the_clock(near.date(), near.time(), name)
            assert local_instant(near.date(), near.time(), name) == expected, near


@pytest.mark.parametrize("name", ZONES)
def test_a_stint_ends_when_the_wall_clock_first_shows_the_day_after_its_last_day(name: str) -> None:
    tz = ZoneInfo(name)
    last_days = {change.astimezone(tz).date() + timedelta(days=n) for change in changes(name) for n in (-1, 0)}
    for last_day in sorted({*last_days, LEAP_DAY, LEAP_DAY - timedelta(days=1), date(2027, 2, 28)}):
        end = end_instant(last_day, name)
        assert end.astimezone(tz).date() == last_day + timedelta(days=1)
        assert (end - timedelta(microseconds=1)).astimezone(tz).date() == last_day


@pytest.mark.parametrize("name", ZONES)
def test_close_of_business_is_the_closing_time_on_the_last_day(name: str) -> None:
    end = end_instant(LEAP_DAY, name, Cutoff.CLOSE_OF_BUSINESS, close=time(17, 30))
    assert end.astimezone(ZoneInfo(name)).replace(tzinfo=None) == datetime.fromisoformat("2028-02-29T17:30")


@given(st.dates(date(1980, 1, 1), date(2100, 1, 1)), st.sampled_from(ZONES))
def test_consecutive_last_days_end_in_order_and_at_most_25_hours_apart(day: date, name: str) -> None:
    length = end_instant(day + timedelta(days=1), name) - end_instant(day, name)
    assert timedelta(hours=23) <= length <= timedelta(hours=25)


def test_a_time_in_a_gap_is_the_instant_of_the_change() -> None:
    assert local_instant(date(2026, 3, 29), time(2, 30), "Europe/Berlin") == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_a_time_in_a_fold_is_its_first_occurrence() -> None:
    assert local_instant(date(2026, 10, 25), time(2, 30), "Europe/Berlin") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_the_day_that_samoa_skipped_ends_where_the_day_before_it_ends() -> None:
    change = datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert end_instant(date(2011, 12, 29), "Pacific/Apia") == change
    assert end_instant(date(2011, 12, 30), "Pacific/Apia") == change


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "America", "../etc/passwd", "/etc/passwd", "Europe/Berlin\0", "x" * 5000])
def test_a_name_that_is_no_zone_is_refused_with_its_field(name: str) -> None:
    with pytest.raises(Refused) as refusal:
        zone(name, field="terms.time_zone")
    assert refusal.value.cause == "unknown_zone"
    assert refusal.value.field == "terms.time_zone"


@pytest.mark.parametrize(
    ("day", "name", "cutoff"),
    [
        (date.max, "UTC", Cutoff.END_OF_LOCAL_DAY),
        (date.max, "America/Los_Angeles", Cutoff.CLOSE_OF_BUSINESS),
        (date.min, "Pacific/Auckland", Cutoff.CLOSE_OF_BUSINESS),
    ],
)
def test_a_date_at_the_edge_of_the_calendar_is_refused(day: date, name: str, cutoff: Cutoff) -> None:
    with pytest.raises(Refused) as refusal:
        end_instant(day, name, cutoff, close=time(9) if day == date.min else time(17))
    assert refusal.value.cause == "bad_date"
