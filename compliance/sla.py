"""The two service levels of a stint: how fast access came, and how fast it went. Figures are computed, never adjusted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from compliance.calendar import BusinessCalendar, as_utc
from workforce.period import local_instant

PRODUCTIVE_WITHIN_DAYS = 2
REVOKED_WITHIN_HOURS = 4.0
SECONDS_PER_HOUR = 3600


class SlaState(StrEnum):
    """``breached_open`` is still open and already late; it counts as a breach."""

    MET = "met"
    BREACHED = "breached"
    PENDING = "pending"
    BREACHED_OPEN = "breached_open"


@dataclass(frozen=True, slots=True)
class SlaFigure:
    """One measurement. ``raw_value`` is signed (negative: early), ``value`` its part above 0, both in ``unit``.

    ``due_at`` is the last instant that meets the target. ``elapsed_days`` is the second method of time to productive (business
    time in business days). ``exposure_seconds`` is wall-clock time after the end during which access persisted. An open case is
    measured up to ``computed_at``.
    """

    metric_id: str
    state: SlaState
    raw_value: float
    value: float
    unit: str
    due_at: datetime
    computed_at: datetime
    calendar_id: str
    calendar_version: int
    elapsed_days: float | None = None
    exposure_seconds: float | None = None


def time_to_productive(
    executed_at: datetime,
    confirmed_at: datetime | None,
    starts_on: date,
    calendar: BusinessCalendar,
    *,
    now: datetime,
) -> SlaFigure:
    """Business days from the last required signature to confirmed access; met within 2, or by the opening of a later start.

    Day 0 is the business day of execution, rolled forward when that is no business day or already closed. ``confirmed_at`` is
    the latest read-back over the required entitlements, ``None`` while it is open. Gross: nothing pauses the clock.
    """
    day_zero = _day_zero(executed_at, calendar)
    due_day = calendar.add_business_days(day_zero, PRODUCTIVE_WITHIN_DAYS)
    opening = calendar.hours_of(starts_on)[0]
    due_at = max(_last_instant_of(due_day, calendar), opening)
    stop = confirmed_at or now
    raw = float(calendar.business_days_between(day_zero, calendar.local_day(stop)))
    return SlaFigure(
        metric_id="time_to_productive",
        state=_state(stop, due_at, is_open=confirmed_at is None),
        raw_value=raw,
        value=max(0.0, raw),
        unit="business_days",
        due_at=due_at,
        computed_at=now,
        calendar_id=calendar.calendar_id,
        calendar_version=calendar.version,
        elapsed_days=calendar.business_seconds(executed_at, stop) / calendar.seconds_per_day,
    )


def offboarding(end_at: datetime, revoked_at: datetime | None, calendar: BusinessCalendar, *, now: datetime) -> SlaFigure:
    """Business hours from the end instant to verified revocation of the last required system; met within 4.

    ``revoked_at`` is the latest read-back (sign-in blocked, sessions revoked, entitlements gone), ``None`` while it is open.
    """
    stop = revoked_at or now
    due_at = calendar.deadline(end_at, REVOKED_WITHIN_HOURS)
    raw = calendar.business_seconds(end_at, stop) / SECONDS_PER_HOUR
    return SlaFigure(
        metric_id="offboarding_completion",
        state=_state(stop, due_at, is_open=revoked_at is None),
        raw_value=raw,
        value=max(0.0, raw),
        unit="business_hours",
        due_at=due_at,
        computed_at=now,
        calendar_id=calendar.calendar_id,
        calendar_version=calendar.version,
        exposure_seconds=max(0.0, (as_utc(stop) - as_utc(end_at)).total_seconds()),
    )


def _state(stop: datetime, due_at: datetime, *, is_open: bool) -> SlaState:
    if is_open:
        return SlaState.PENDING if stop <= due_at else SlaState.BREACHED_OPEN
    return SlaState.MET if stop <= due_at else SlaState.BREACHED


def _day_zero(executed_at: datetime, calendar: BusinessCalendar) -> date:
    day = calendar.local_day(executed_at)
    if calendar.is_business_day(day) and executed_at >= calendar.hours_of(day)[1]:
        day += timedelta(days=1)
    return calendar.on_or_after(day)


def _last_instant_of(day: date, calendar: BusinessCalendar) -> datetime:
    midnight = local_instant(day + timedelta(days=1), time(0), calendar.time_zone)
    return midnight - timedelta(microseconds=1)
