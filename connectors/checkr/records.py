"""Checkr's answers as typed records. Field names are the vendor's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

from connectors.answers import Reading

parse = Reading("checkr")


def _utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the calendar") from None


Instant = Annotated[AwareDatetime, AfterValidator(_utc)]


class Wire(BaseModel):
    """Base: frozen, nothing quoted in errors, and unknown fields are none of our business."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Account(Wire):
    """GET /account. ``authorized`` is false until Checkr has credentialed the company."""

    authorized: bool | None = None


class Candidate(Wire):
    """One person in one order. ``custom_id`` is our marker."""

    id: str
    custom_id: str | None = None
    report_ids: tuple[str, ...] = ()
    created_at: Instant | None = None


class Invitation(Wire):
    """The request to a candidate to consent and fill in the form. ``status`` is pending, completed or expired."""

    id: str
    status: str
    created_at: Instant | None = None
    completed_at: Instant | None = None
    deleted_at: str | None = None
    candidate_id: str
    report_id: str | None = None


class Report(Wire):
    """What the check found so far."""

    id: str
    status: str
    result: str | None = None
    includes_canceled: bool = False
    adjudication: str | None = None
    assessment: str | None = None
    created_at: Instant | None = None
    completed_at: Instant | None = None
    revised_at: Instant | None = None
    candidate_id: str | None = None


class Listed(Wire):
    """One page of a list; more follow while ``next_href`` is there."""

    data: tuple[dict[str, Any], ...]
    next_href: str | None = None


def iso(instant: datetime) -> str:
    """An instant in UTC as Checkr's filters take it, by the second."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
