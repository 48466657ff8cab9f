"""Business time: the days and hours that a service level counts, in the calendar's own zone.

A day's hours are two instants, so a change of clocks inside or between them is counted as the seconds that really pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, ClassVar, TypeAlias

import holidays
from pydantic import BeforeValidator, ConfigDict

from workforce.errors import Misconfigured
from workforce.period import local_instant, zone

MAX_CLOSED_DAYS = 366  # a calendar that is closed for longer than a year is a mistake, not a long holiday
_NONE = timedelta(0)


def _not_a_number(value: object) -> object:
    """YAML 1.1 reads an unquoted 17:00 as the number 1020, which would become seventeen minutes past midnight."""
    if isinstance(value, int | float):
        raise ValueError('write the time in quotes, such as "17:00"')  # noqa: TRY004  pydantic collects value errors only
    return value


WallClock: TypeAlias = Annotated[time, BeforeValidator(_not_a_number)]


@dataclass(frozen=True, slots=True)
class BusinessCalendar:
    """One calendar version of one service-level contract; every figure keeps ``calendar_id`` and ``version``.

    ``weekdays`` count from Monday = 0. ``opens`` and ``closes`` are wall-clock times in ``time_zone`` (IANA), the same on each
    business day. Public holidays are those of ``holiday_country`` (ISO 3166-1 alpha-2) as observed, with the
    ``holiday_subdivision``'s own where one is given. Raises ``Misconfigured`` naming the field that makes no sense.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # where a calendar is read from a document

    calendar_id: str = "us-federal"
    version: int = 1
    time_zone: str = "America/New_York"
    weekdays: frozenset[int] = frozenset(range(5))
    opens: WallClock = time(9)
    closes: WallClock = time(17)
    holiday_country: str | None = "US"
    holiday_subdivision: str | None = None
    extra_closures: frozenset[date] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        zone(self.time_zone)
        if not self.weekdays or not self.weekdays <= frozenset(range(7)):
            raise _wrong("weekdays", "at least one of 0 (Monday) to 6 (Sunday)")
        if self.opens >= self.closes:
            raise _wrong("closes", f"a time after opens ({self.opens:%H:%M})")
        _public_holidays(self.holiday_country, self.holiday_subdivision, 2000)

    @property
    def seconds_per_day(self) -> float:
        """Seconds of one business day on which no clock changes."""
        return (datetime.combine(date.min, self.closes) - datetime.combine(date.min, self.opens)).total_seconds()

    def is_business_day(self, day: date) -> bool:
        """Whether ``day`` counts."""
        if day.weekday() not in self.weekdays or day in self.extra_closures:
            return False
        return day not in _public_holidays(self.holiday_country, self.holiday_subdivision, day.year)

    def local_day(self, instant: datetime) -> date:
        """The calendar day at ``instant`` (aware), in the calendar's zone."""
        return as_utc(instant).astimezone(zone(self.time_zone)).date()

    def hours_of(self, day: date) -> tuple[datetime, datetime]:
        """The instants (UTC) at which ``day`` would open and close, business day or not."""
        return local_instant(day, self.opens, self.time_zone), local_instant(day, self.closes, self.time_zone)

    def business_seconds(self, a: datetime, b: datetime) -> float:
        """Business seconds from ``a`` to ``b``, both aware; negative where ``b`` is earlier."""
        start, end = as_utc(a), as_utc(b)
        if end < start:
            return -self.business_seconds(end, start)
        passed, day = _NONE, self.local_day(start)
        while day <= self.local_day(end):
            passed += self._passed(day, start, end)
            day += timedelta(days=1)
        return passed.total_seconds()

    def deadline(self, start: datetime, hours: float) -> datetime:
        """The earliest instant (UTC) at which ``hours`` business hours have passed since ``start`` (aware)."""
        moment, left = as_utc(start), timedelta(hours=hours)
        if left < _NONE:
            raise ValueError("hours: not negative")
        day = self.local_day(moment)
        while True:
            day = self.on_or_after(day)
            opens, closes = self.hours_of(day)
            moment = max(moment, opens)
            if moment + left <= closes:
                return moment + left
            left -= max(closes - moment, _NONE)
            day += timedelta(days=1)

    def on_or_after(self, day: date) -> date:
        """``day`` if it is a business day, otherwise the next one."""
        for _ in range(MAX_CLOSED_DAYS):
            if self.is_business_day(day):
                return day
            day += timedelta(days=1)
        raise _wrong("extra_closures", f"no more than {MAX_CLOSED_DAYS} closed days in a row")

    def add_business_days(self, day: date, n: int) -> date:
        """The ``n``-th business day (``n`` not negative) after day 0, which is ``day`` or the next business day."""
        if n < 0:
            raise ValueError("n: not negative")
        day = self.on_or_after(day)
        for _ in range(n):
            day = self.on_or_after(day + timedelta(days=1))
        return day

    def business_days_between(self, a: date, b: date) -> int:
        """Business days in the half-open range from ``a`` up to, not including, ``b``; negative where ``b`` is earlier."""
        if b < a:
            return -self.business_days_between(b, a)
        return sum(self.is_business_day(a + timedelta(days=n)) for n in range((b - a).days))

    def _passed(self, day: date, start: datetime, end: datetime) -> timedelta:
        if not self.is_business_day(day):
            return _NONE
        opens, closes = self.hours_of(day)
        return max(min(end, closes) - max(start, opens), _NONE)


@lru_cache(maxsize=1024)
def _public_holidays(country: str | None, subdivision: str | None, year: int) -> frozenset[date]:
    if country is None:
        return frozenset()
    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year, observed=True, expand=False))
    except NotImplementedError:
        raise _wrong("holiday_country", "a country and subdivision that the holidays library knows") from None


def as_utc(instant: datetime) -> datetime:
    """``instant`` in UTC, so that differences are real time. Raises ``ValueError`` for a naive one."""
    if instant.tzinfo is None:
        raise ValueError("an instant has a time zone")
    return instant.astimezone(UTC)


def _wrong(name: str, expected: str) -> Misconfigured:
    return Misconfigured(f"calendar: {name}: expected {expected}", cause="invalid_calendar", field=name)
