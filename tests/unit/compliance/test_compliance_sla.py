from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from compliance.calendar import BusinessCalendar
from compliance.sla import SlaFigure, SlaState, offboarding, time_to_productive

CALENDAR = BusinessCalendar(version=7)
FRIDAY_CLOSE = "2026-11-20T17:00-05:00"
MUCH_LATER = "2027-06-01T00:00+00:00"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ended(end: str = FRIDAY_CLOSE, *, revoked: str | None = None, now: str = MUCH_LATER) -> SlaFigure:
    return offboarding(at(end), at(revoked) if revoked else None, CALENDAR, now=at(now))


def signed(
    executed: str = "2026-11-20T10:00-05:00",
    *,
    confirmed: str | None = None,
    starts_on: date = date(2026, 11, 20),
    now: str = MUCH_LATER,
) -> SlaFigure:
    return time_to_productive(at(executed), at(confirmed) if confirmed else None, starts_on, CALENDAR, now=at(now))


def test_an_early_revocation_is_zero_keeps_its_sign_and_exposes_nothing() -> None:
    figure = ended(revoked="2026-11-20T15:00-05:00")
    assert (figure.raw_value, figure.value, figure.exposure_seconds) == (-2.0, 0.0, 0.0)
    assert figure.state is SlaState.MET


def test_a_weekend_of_exposure_can_meet_the_service_level_and_is_reported_all_the_same() -> None:
    figure = ended(revoked="2026-11-23T13:00-05:00")
    assert (figure.state, figure.value, figure.unit) == (SlaState.MET, 4.0, "business_hours")
    assert figure.exposure_seconds == 68 * 3600


def test_a_second_after_the_deadline_is_a_breach() -> None:
    figure = ended(revoked="2026-11-23T13:00:01-05:00")
    assert figure.state is SlaState.BREACHED
    assert figure.due_at == at("2026-11-23T13:00-05:00")


@pytest.mark.parametrize(
    ("now", "state", "value"),
    [
        ("2026-11-20T09:00-05:00", SlaState.PENDING, 0.0),
        ("2026-11-23T13:00-05:00", SlaState.PENDING, 4.0),
        ("2026-11-23T14:00-05:00", SlaState.BREACHED_OPEN, 5.0),
    ],
)
def test_an_open_ending_is_pending_until_it_is_due_and_then_breached_while_open(now: str, state: SlaState, value: float) -> None:
    figure = ended(now=now)
    assert (figure.state, figure.value) == (state, value)


def test_an_open_breach_stays_one_when_it_is_closed() -> None:
    sunday = "2026-11-22T12:00-05:00"
    assert ended("2026-11-20T13:00-05:00", now=sunday).state is SlaState.BREACHED_OPEN
    assert ended("2026-11-20T13:00-05:00", revoked=sunday).state is SlaState.BREACHED


def test_exposure_is_real_time_across_a_change_of_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    end, revoked = datetime(2026, 10, 25, 1, tzinfo=berlin), datetime(2026, 10, 25, 4, tzinfo=berlin)
    assert offboarding(end, revoked, CALENDAR, now=revoked).exposure_seconds == 4 * 3600


def test_a_figure_keeps_the_calendar_that_it_was_measured_with() -> None:
    figure = ended(revoked=FRIDAY_CLOSE)
    assert (figure.calendar_id, figure.calendar_version, figure.computed_at) == ("us-federal", 7, at(MUCH_LATER))


@pytest.mark.parametrize(
    ("confirmed", "days", "state"),
    [
        ("2026-11-20T11:00-05:00", 0, SlaState.MET),
        ("2026-11-21T11:00-05:00", 1, SlaState.MET),
        ("2026-11-24T23:59:59-05:00", 2, SlaState.MET),
        ("2026-11-25T00:00-05:00", 3, SlaState.BREACHED),
    ],
)
def test_access_is_on_time_up_to_the_end_of_the_second_business_day(confirmed: str, days: int, state: SlaState) -> None:
    figure = signed(confirmed=confirmed)
    assert (figure.value, figure.state, figure.unit) == (days, state, "business_days")


@pytest.mark.parametrize(
    "executed", ["2026-11-20T17:00-05:00", "2026-11-21T12:00-05:00", "2026-11-22T23:00-05:00", "2026-11-23T08:00-05:00"]
)
def test_an_agreement_signed_after_close_or_at_the_weekend_counts_from_monday(executed: str) -> None:
    assert signed(executed, confirmed="2026-11-25T12:00-05:00").value == 2
    assert signed(executed, confirmed="2026-11-27T12:00-05:00").state is SlaState.BREACHED


def test_the_second_method_counts_business_time_in_days() -> None:
    assert signed("2026-11-20T13:00-05:00", confirmed="2026-11-24T13:00-05:00").elapsed_days == 2.0


def test_a_later_start_moves_the_due_instant_to_its_opening() -> None:
    figure = signed(starts_on=date(2026, 12, 14), confirmed="2026-12-14T09:00-05:00")
    assert figure.due_at == at("2026-12-14T09:00-05:00")
    assert figure.state is SlaState.MET
    assert signed(starts_on=date(2026, 12, 14), confirmed="2026-12-14T09:00:01-05:00").state is SlaState.BREACHED


@pytest.mark.parametrize(
    ("now", "state"), [("2026-11-24T20:00-05:00", SlaState.PENDING), ("2026-11-25T00:00-05:00", SlaState.BREACHED_OPEN)]
)
def test_unconfirmed_access_is_pending_until_it_is_due(now: str, state: SlaState) -> None:
    assert signed(now=now).state is state


def test_access_confirmed_before_the_signature_is_zero_days_and_keeps_its_sign() -> None:
    figure = signed("2026-11-24T10:00-05:00", confirmed="2026-11-20T10:00-05:00")
    assert (figure.raw_value, figure.value, figure.state) == (-2.0, 0.0, SlaState.MET)
