"""Days and instants. A calendar day stays a day; an instant becomes a day, and a wall clock's time an instant, only in a named zone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from mappings.transforms.expected import expected, expected_type
from mappings.transforms.presence import is_empty
from mappings.values import ABSENT, Absent, MissingValue
from workforce.errors import Refused
from workforce.period import zone

_DATE: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "ymd": re.compile(r"(?P<y>[0-9]{4})[-/.](?P<m>[0-9]{1,2})[-/.](?P<d>[0-9]{1,2})"),
        "mdy": re.compile(r"(?P<m>[0-9]{1,2})[-/.](?P<d>[0-9]{1,2})[-/.](?P<y>[0-9]{4})"),
        "dmy": re.compile(r"(?P<d>[0-9]{1,2})[-/.](?P<m>[0-9]{1,2})[-/.](?P<y>[0-9]{4})"),
    }
)
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,18}(?:Z|[+-][0-9]{2}:?[0-9]{2})")
_MIDNIGHT = re.compile(r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]00:00(?::00(?:\.0{1,9})?)?(?:Z|\+00:?00)?)?")
_WALL_CLOCK = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(1990, 2201)

EpochUnit: TypeAlias = Literal["seconds", "milliseconds", "either"]


def iso_date(value: str, *, order: Literal["ymd", "mdy", "dmy"] = "ymd") -> str:
    """A calendar day as yyyy-mm-dd. ``order`` says how the source writes it; it is never guessed."""
    found = _DATE[order].fullmatch(value)
    try:
        return date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat() if found else expected(f"a date ({order})")
    except ValueError:
        return expected(f"a date that exists ({order})")


def iso_instant(value: str) -> str:
    """An instant in UTC as ISO 8601 (RFC 3339). The source must write the offset; digits below the microsecond are cut."""
    return _instant(value).isoformat()


def from_epoch(value: int, *, unit: EpochUnit) -> str:
    """An instant in UTC as ISO 8601, from what has passed since 1970.

    ``either`` tells the unit by the number itself: of 1990 to 2200, no number is an instant in both. Others are refused.
    """
    return _since_1970(value, unit).isoformat()


def midnight_day(value: str) -> str:
    """The calendar day that a source writes as its midnight in UTC (``2026-02-01T00:00:00.000Z``). Another time of day is refused."""
    found = _MIDNIGHT.fullmatch(value)
    return iso_date(found["day"]) if found else expected("a day, written as its midnight in UTC")


def day_add(value: str, *, days: int) -> str:
    """The calendar day ``days`` after (before, if negative) another one, both as yyyy-mm-dd."""
    try:
        day = date.fromisoformat(value) if _ISO_DAY.fullmatch(value) else expected("a date (yyyy-mm-dd)")
        return (day + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return expected("a date that exists, and a day that far from it")


def local_day(
    value: list[object],
    *,
    written: Literal["iso", "seconds", "milliseconds", "either"] = "iso",
    midnight: Literal["begins", "ends"] = "begins",
) -> str | Absent:
    """The calendar day in a zone, from an instant and the zone's IANA name; absent where the instant is null, empty or absent.

    ``written`` is how the source writes the instant: ISO 8601 with its offset, or as ``from_epoch`` reads it. With ``midnight: ends`` the
    instant is an end: at midnight it is the end of the day before.
    """
    found = _with_zone(value)
    if found is None:
        return ABSENT
    moment, where = found
    instant = _instant(_a_text(moment)) if written == "iso" else _since_1970(_a_number(moment), written)
    try:
        local = instant.astimezone(where).replace(tzinfo=None)
        ends_before = midnight == "ends" and local.time() == time(0)
        return (local.date() - timedelta(days=int(ends_before))).isoformat()
    except OverflowError:
        return expected("an instant on a calendar day")


def local_instant(value: list[object], *, fold: Literal["earlier", "later"] | None = None) -> str | Absent:
    """The instant in UTC at which a wall clock shows a time, from that time (no offset) and the zone's IANA name.

    Absent where the time is null, empty or absent. A time that the clock shows twice, or skips, is refused, unless ``fold`` says which of its two
    readings is meant: the ``earlier`` or the ``later`` instant.
    """
    found = _with_zone(value)
    if found is None:
        return ABSENT
    readings = _readings(_a_text(found[0]), found[1])
    if len(readings) == 1:
        return readings[0].isoformat()
    if fold is None:
        return expected("a time that the zone's clock shows exactly once")
    return readings[0 if fold == "earlier" else -1].isoformat()


def _readings(text: str, where: ZoneInfo) -> Sequence[datetime]:
    """The instants, in order, that a time on a wall clock may mean; one where clocks do not change."""
    if not _WALL_CLOCK.fullmatch(text):
        return expected("a date and time without offset (yyyy-mm-ddThh:mm)")
    try:
        wall = datetime.fromisoformat(text)
        return sorted({wall.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1)})
    except (ValueError, OverflowError):
        return expected("a date and time that exist")


def _instant(value: str) -> datetime:
    if not _INSTANT.fullmatch(value):
        return expected("an ISO 8601 instant with its offset")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return expected("an instant that exists")


def _since_1970(value: int, unit: EpochUnit) -> datetime:
    if unit != "either":
        return _counted(value, unit) or expected(f"{unit} since 1970")
    readings = [_counted(value, each) for each in ("seconds", "milliseconds")]
    likely = [moment for moment in readings if moment is not None and moment.year in _YEARS]
    return likely[0] if likely else expected("seconds or milliseconds since 1970, of the years 1990 to 2200")


def _counted(value: int, unit: str) -> datetime | None:
    try:
        return _EPOCH + timedelta(**{unit: value})
    except OverflowError:
        return None


def _with_zone(value: Sequence[object]) -> tuple[object, ZoneInfo] | None:
    """What stands before the zone's name, and the zone; ``None`` where nothing stands there."""
    if len(value) != 2:
        return expected("a time and the zone that it is in, and nothing else")
    moment, where = value
    if is_empty(moment):
        return None
    if is_empty(where):
        raise MissingValue("expected the zone that the time is in")
    return moment, _zone(where) or expected("an IANA time zone such as Europe/Berlin")


def _zone(name: object) -> ZoneInfo | None:
    try:
        return zone(name) if isinstance(name, str) else None
    except Refused:
        return None


def _a_text(value: object) -> str:
    return value if isinstance(value, str) else expected_type("text")


def _a_number(value: object) -> int:
    return value if type(value) is int else expected_type("a whole number")
