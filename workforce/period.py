"""When a stint ends: an instant, computed once from a date, an IANA zone and a cut-off policy, and then stored.

Date-only ends are inclusive: a contract that ends on Friday still runs on Friday. Instants are UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workforce.errors import Refused


class Cutoff(StrEnum):
    """Which instant of the last day is the end."""

    END_OF_LOCAL_DAY = "end_of_local_day"
    CLOSE_OF_BUSINESS = "close_of_business"


def zone(name: str, *, field: str = "time_zone") -> ZoneInfo:
    """The IANA zone called ``name``. Raises ``Refused`` (cause ``unknown_zone``) naming ``field``."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(
            f"{field}: {name!r} is not an IANA time zone; use a name such as Europe/Berlin",
            cause="unknown_zone",
            field=field,
        ) from None


def local_instant(day: date, at: time, zone_name: str) -> datetime:
    """The UTC instant at which a wall clock in ``zone_name`` first shows ``at`` on ``day`` or, in a gap, moves past it.

    A time that occurs twice (clocks go back) is its first occurrence. A time that never occurs (clocks go forward)
    is the instant of the change itself: earlier would end a stint before its day, later would leave access behind.
    Raises ``Refused`` for an unknown zone, or a time that UTC can no longer count (in the years 1 and 9999).
    """
    tz = zone(zone_name)
    naive = datetime.combine(day, at)
    try:
        first = naive.replace(tzinfo=tz, fold=0).astimezone(UTC)
    except OverflowError:
        raise Refused(f"{day}: there is no such instant; give a real date", cause="bad_date", field="ends_on") from None
    if first.astimezone(tz).replace(tzinfo=None) == naive:
        return first
    return _gap_start(naive, tz)


def _gap_start(naive: datetime, tz: ZoneInfo) -> datetime:
    """The instant of the forward change that swallows the local time ``naive``."""
    low = naive.replace(tzinfo=tz, fold=1).astimezone(UTC)  # read with the offset after the change: before the gap
    high = naive.replace(tzinfo=tz, fold=0).astimezone(UTC)  # read with the offset before the change: after the gap
    before = low.astimezone(tz).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if middle.astimezone(tz).utcoffset() == before else (low, middle)
    return high.replace(microsecond=0)  # changes happen on whole seconds


def end_instant(
    ends_on: date,
    zone_name: str,
    cutoff: Cutoff = Cutoff.END_OF_LOCAL_DAY,
    *,
    close: time = time(17, 0),
) -> datetime:
    """The UTC instant at which an engagement whose last day is ``ends_on`` stops.

    ``end_of_local_day`` is local midnight at the start of the following day; ``close_of_business`` is ``close`` on the
    last day. Raises ``Refused`` for an unknown zone, or a last day with no following one (9999-12-31).
    """
    if cutoff is Cutoff.CLOSE_OF_BUSINESS:
        return local_instant(ends_on, close, zone_name)
    if ends_on == date.max:
        raise Refused("ends_on: there is no day after it; give a real end date", cause="bad_date", field="ends_on")
    return local_instant(ends_on + timedelta(days=1), time(0), zone_name)


def start_instant(starts_on: date, zone_name: str) -> datetime:
    """The UTC instant at which a stint that begins on ``starts_on`` starts: local midnight. Raises ``Refused`` for an unknown zone."""
    return local_instant(starts_on, time(0), zone_name)
