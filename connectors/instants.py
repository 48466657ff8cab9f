"""Instants as vendors write them (RFC 3339)."""

from __future__ import annotations

from datetime import UTC, datetime


def instant_text(moment: datetime, timespec: str = "seconds") -> str:
    """``moment`` (aware) in UTC, with a Z; what is finer than ``timespec`` is cut off."""
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def instant_in(value: object) -> datetime | None:
    """The instant that a vendor tells, in UTC, which is also meant where no offset is told; ``None`` for anything else."""
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
        return told and (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
