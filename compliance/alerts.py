"""Alerts before a contract ends: 30, 14 and 7 days ahead, counted in calendar days at the work location.

Timers wake the hub at ``alert_instants``; what is then sent is decided by ``due_alert``, a window and not an equality, so an
alert that an outage swallowed is caught up once and superseded ones are skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from workforce.period import local_instant, zone

CONTRACT_END_OFFSETS = (30, 14, 7)
ALERT_TIME = time(9)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is due. ``supersedes`` are the larger offsets that were never sent and no longer will be."""

    offset_days: int
    days_left: int
    supersedes: tuple[int, ...]


def alert_instants(
    ends_on: date,
    time_zone: str,
    offsets: tuple[int, ...] = CONTRACT_END_OFFSETS,
    *,
    created_at: datetime | None = None,
    at: time = ALERT_TIME,
) -> list[tuple[int, datetime]]:
    """(offset in days, UTC instant) of each alert, earliest first: ``at`` o'clock at the work location.

    Offsets that had passed when the engagement was created become one combined alert, of the smallest of them, at
    ``created_at``; none once the last day is over. Raises ``Refused`` for an unknown zone.
    """
    ahead = sorted(offsets, reverse=True)
    planned = [(offset, local_instant(ends_on - timedelta(days=offset), at, time_zone)) for offset in ahead]
    if created_at is None:
        return planned
    future = [(offset, instant) for offset, instant in planned if instant > created_at]
    late = due_alert(ends_on, time_zone, now=created_at, sent=[offset for offset, _ in future], offsets=offsets)
    return [(late.offset_days, created_at), *future] if late else future


def due_alert(
    ends_on: date,
    time_zone: str,
    *,
    now: datetime,
    sent: Collection[int],
    offsets: tuple[int, ...] = CONTRACT_END_OFFSETS,
) -> Alert | None:
    """The one alert to send ``now``, if any. ``sent`` are the offsets already sent for this version of the contract.

    It is the most urgent offset whose window is open. Nothing is due once it was sent, or once the last day is over.
    """
    days_left = (ends_on - now.astimezone(zone(time_zone)).date()).days
    if days_left < 0:
        return None
    open_offsets = sorted(offset for offset in offsets if days_left <= offset)
    if not open_offsets or open_offsets[0] in sent:
        return None
    return Alert(open_offsets[0], days_left, tuple(offset for offset in reversed(open_offsets[1:]) if offset not in sent))


def dedup_key(subject_id: str, alert_type: str, offset_days: int, target_date: date, contract_version: int) -> str:
    """The key under which an alert is sent at most once: SHA-256 (hex) of what it is about, not of when it was computed."""
    parts = (subject_id, alert_type, str(offset_days), target_date.isoformat(), str(contract_version))
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
