"""Instants as vendors write them (RFC 3339)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


def utc_now() -> datetime:
    """Our clock, for those who are given no other."""
    return datetime.now(UTC)


def in_utc(moment: datetime) -> datetime:
    """``moment`` (aware) in UTC. Raises ``ValueError`` where that is beyond the calendar."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the calendar") from None


def instant_text(moment: datetime, timespec: str = "seconds") -> str:
    """``moment`` (aware) in UTC, with a Z; what is finer than ``timespec`` is cut off."""
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def instant_in(value: object) -> datetime | None:
    """The instant that a vendor tells, in UTC, which is also meant where no offset is told; ``None`` for anything else."""
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
        return told and in_utc(told if told.tzinfo else told.replace(tzinfo=UTC))
    except ValueError:
        return None


def instant(text: str) -> datetime:
    """The instant in a date-time with its offset, in UTC; of its fractional digits six count. Raises ``ValueError``."""
    told = datetime.fromisoformat(text)
    if told.tzinfo is None:
        raise ValueError("no offset")
    return in_utc(told)


def _checked(text: str) -> str:
    try:
        instant(text)
    except ValueError:  # its words would quote
        raise PydanticCustomError("instant", "must be an ISO 8601 instant with its offset") from None
    return text


InstantText = Annotated[str, AfterValidator(_checked)]
"""A date-time with its offset, kept as the vendor wrote it."""
