from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from compliance.calendar import BusinessCalendar
from workforce.errors import Misconfigured, Refused
from workforce.period import Cutoff, end_instant

NEW_YORK = BusinessCalendar()
CALENDARS = [
    NEW_YORK,
    BusinessCalendar("de-by", 3, "Europe/Berlin", holiday_country="DE", holiday_subdivision="BY"),
    BusinessCalendar("lord-howe", 1, "Australia/Lord_Howe", opens=time(1), closes=time(3), holiday_country="AU"),
    BusinessCalendar("night", 1, "America/New_York", frozenset(range(7)), time(0), time(23, 59), None),
]
INSTANTS = st.datetimes(datetime.fromisoformat("2024-01-01"), datetime.fromisoformat("2029-01-01"), timezones=st.just(UTC))
WITHIN_A_QUARTER = st.timedeltas(timedelta(0), timedelta(days=90))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("a", "b", "hours"),
    [
        ("2026-11-23T09:00-05:00", "2026-11-23T13:00-05:00", 4.0),
        ("2026-11-20T17:00-05:00", "2026-11-23T13:00-05:00", 4.0),
        ("2026-11-20T23:59:59-05:00", "2026-11-21T00:05-05:00", 0.0),
        ("2026-11-25T16:00-05:00", "2026-11-27T10:00-05:00", 2.0),
        ("2026-10-30T16:00-04:00", "2026-11-02T10:00-05:00", 2.0),
        ("2026-03-06T16:00-05:00", "2026-03-09T10:00-04:00", 2.0),
        ("2026-07-02T17:00-04:00", "2026-07-06T09:30-04:00", 0.5),
        ("2026-12-31T17:00-05:00", "2027-01-04T11:00-05:00", 2.0),
        ("2026-11-20T17:00-05:00", "2026-11-20T15:00-05:00", -2.0),
    ],
)
def test_business_hours_over_weekends_holidays_and_changes_of_clocks(a: str, b: str, hours: float) -> None:
    assert NEW_YORK.business_seconds(at(a), at(b)) == hours * 3600
    assert NEW_YORK.business_seconds(at(b), at(a)) == -hours * 3600


@pytest.mark.parametrize(
    ("end", "due"),
    [
        (datetime(2026, 11, 20, 17, tzinfo=ZoneInfo("Europe/London")), "2026-11-20T16:00-05:00"),
        (end_instant(date(2026, 11, 20), "America/Los_Angeles"), "2026-11-23T13:00-05:00"),
        (end_instant(date(2026, 11, 20), "Asia/Kolkata"), "2026-11-23T09:30-05:00"),
        (end_instant(date(2026, 11, 25), "America/New_York"), "2026-11-27T13:00-05:00"),
        (end_instant(date(2026, 11, 20), "Europe/London", Cutoff.CLOSE_OF_BUSINESS), "2026-11-20T16:00-05:00"),
    ],
)
def test_four_business_hours_after_an_end_anywhere_in_the_world(end: datetime, due: str) -> None:
    assert NEW_YORK.deadline(end, 4) == at(due)


@pytest.mark.parametrize(
    ("day", "n", "expected"),
    [
        (date(2026, 11, 20), 2, date(2026, 11, 24)),
        (date(2026, 11, 25), 2, date(2026, 11, 30)),
        (date(2026, 7, 2), 2, date(2026, 7, 7)),
        (date(2026, 11, 21), 0, date(2026, 11, 23)),
    ],
)
def test_business_days_are_counted_from_the_day_or_the_next_business_day(day: date, n: int, expected: date) -> None:
    assert NEW_YORK.add_business_days(day, n) == expected
    assert NEW_YORK.business_days_between(NEW_YORK.on_or_after(day), expected) == n
    assert NEW_YORK.business_days_between(expected, NEW_YORK.on_or_after(day)) == -n


@given(INSTANTS, WITHIN_A_QUARTER, WITHIN_A_QUARTER, st.sampled_from(CALENDARS))
def test_business_time_adds_up(a: datetime, more: timedelta, yet_more: timedelta, calendar: BusinessCalendar) -> None:
    b, c = a + more, a + more + yet_more
    first, second, whole = (calendar.business_seconds(*pair) for pair in ((a, b), (b, c), (a, c)))
    assert first + second == pytest.approx(whole, abs=1e-5)
    assert 0 <= first <= more.total_seconds()


@given(INSTANTS, st.integers(0, 100 * 3600), st.sampled_from(CALENDARS))
def test_the_business_time_to_a_deadline_is_the_time_allowed(a: datetime, seconds: int, calendar: BusinessCalendar) -> None:
    due = calendar.deadline(a, seconds / 3600)
    assert calendar.business_seconds(a, due) == pytest.approx(seconds, abs=1e-5)
    if seconds:
        assert calendar.business_seconds(a, due - timedelta(seconds=1)) == pytest.approx(seconds - 1, abs=1e-5)


def test_hours_that_a_change_of_clocks_cuts_short_or_stretches_are_counted_as_they_pass() -> None:
    night = BusinessCalendar("night", 1, "America/New_York", frozenset(range(7)), time(0), time(6), None)
    lengths = [
        night.business_seconds(at(f"{day}T00:00-05:00"), at(f"{day}T12:00-05:00")) / 3600 for day in ("2026-03-08", "2026-03-07")
    ]
    assert lengths == [5.0, 6.0]
    assert night.business_seconds(at("2026-11-01T00:00-04:00"), at("2026-11-01T12:00-05:00")) / 3600 == 7.0


def test_a_subdivision_and_extra_closures_close_more_days() -> None:
    friday_after_thanksgiving, company_day = date(2026, 11, 27), date(2026, 12, 24)
    california = BusinessCalendar(holiday_subdivision="CA", extra_closures=frozenset({company_day}))
    assert [NEW_YORK.is_business_day(day) for day in (friday_after_thanksgiving, company_day)] == [True, True]
    assert [california.is_business_day(day) for day in (friday_after_thanksgiving, company_day)] == [False, False]


def test_juneteenth_is_a_federal_holiday() -> None:
    assert not NEW_YORK.is_business_day(date(2026, 6, 19))


@pytest.mark.parametrize(
    ("difference", "field"),
    [
        ({"weekdays": frozenset()}, "weekdays"),
        ({"weekdays": frozenset({7})}, "weekdays"),
        ({"closes": time(9)}, "closes"),
        ({"holiday_country": "ZZ"}, "holiday_country"),
        ({"holiday_subdivision": "XX"}, "holiday_country"),
    ],
)
def test_a_calendar_that_makes_no_sense_names_the_field(difference: dict[str, object], field: str) -> None:
    with pytest.raises(Misconfigured) as fault:
        BusinessCalendar(**difference)  # type: ignore[arg-type]  # the point of the test
    assert fault.value.field == field


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(Refused, match="time_zone"):
        BusinessCalendar(time_zone="Mars/Olympus")


def test_a_calendar_that_never_opens_is_a_mistake_and_not_an_endless_search() -> None:
    shut = frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(500))
    with pytest.raises(Misconfigured, match="extra_closures"):
        BusinessCalendar(extra_closures=shut).deadline(at("2026-01-01T00:00+00:00"), 1)


def test_a_naive_instant_and_negative_amounts_are_mistakes_of_the_caller() -> None:
    with pytest.raises(ValueError, match="time zone"):
        NEW_YORK.business_seconds(at("2026-01-01"), at("2026-01-02"))
    with pytest.raises(ValueError, match="hours"):
        NEW_YORK.deadline(at("2026-01-01T00:00+00:00"), -1)
    with pytest.raises(ValueError, match="n"):
        NEW_YORK.add_business_days(date(2026, 1, 1), -1)


def test_a_calendar_in_a_document_is_read_strictly() -> None:
    form = TypeAdapter(BusinessCalendar)
    read = form.validate_python(
        {"time_zone": "Europe/Berlin", "opens": "08:30", "weekdays": [0, 1], "extra_closures": ["2026-12-24"]}
    )
    assert (read.opens, read.weekdays, read.extra_closures) == (time(8, 30), frozenset({0, 1}), frozenset({date(2026, 12, 24)}))
    with pytest.raises(ValidationError, match="time_zon\n"):
        form.validate_python({"time_zon": "Europe/Berlin"})
    with pytest.raises(ValidationError, match="in quotes"):
        form.validate_python({"opens": 540, "closes": 1020})
