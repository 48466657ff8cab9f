"""Checkr's answers as typed records. Field names are the vendor's."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from workforce.errors import RetryLater

T = TypeVar("T")


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Account(_Wire):
    """GET /account. ``authorized`` is false until Checkr has credentialed the company."""

    authorized: bool | None = None


class Candidate(_Wire):
    """One person in one order. ``custom_id`` is our marker."""

    id: str
    custom_id: str | None = None
    report_ids: tuple[str, ...] = ()
    created_at: AwareDatetime | None = None


class Invitation(_Wire):
    """The request to a candidate to consent and fill in the form. ``status`` is pending, completed or expired."""

    id: str
    status: str
    created_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    deleted_at: str | None = None
    candidate_id: str
    report_id: str | None = None


class Report(_Wire):
    """What the check found so far."""

    id: str
    status: str
    result: str | None = None
    includes_canceled: bool = False
    adjudication: str | None = None
    assessment: str | None = None
    created_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    candidate_id: str | None = None


class Listed(_Wire):
    """One page of a list; more follow while ``next_href`` is there."""

    data: tuple[dict[str, Any], ...]
    next_href: str | None = None


def parse(shape: type[T], payload: object) -> T:
    """``payload`` of a read as ``shape``. Raises ``RetryLater`` when it is something else: a read may be repeated."""
    try:
        return TypeAdapter(shape).validate_python(payload)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "answer"
        raise RetryLater(f"checkr: unexpected answer at {where}", cause="unreadable_answer") from None


def iso(instant: datetime) -> str:
    """An instant in UTC as Checkr's filters take it, by the second."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
