"""Harvest v3's flat objects: what the hub looks at, each with the object as it came. Field names are the vendor's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from workforce.errors import RetryLater

HIRED = "hired"


class Row(BaseModel):
    """One object of a list. ``source`` is the whole of it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: int
    updated_at: AwareDatetime
    source: Mapping[str, Any] = Field(repr=False)


class Application(Row):
    """GET /v3/applications. ``status`` is in_process, rejected, hired or converted."""

    candidate_id: int
    job_id: int | None = None
    status: str


class Candidate(Row):
    """GET /v3/candidates."""


class Offer(Row):
    """GET /v3/offers. A change of what matters makes a new row with the next ``version``."""

    application_id: int
    opening_id: int | None = None
    version: int = 0


class Job(Row):
    """GET /v3/jobs."""


class Opening(Row):
    """GET /v3/openings: a place on a job. Its ``id`` is Greenhouse's, its ``opening_id`` the customer's own."""


RESOURCES: Mapping[type[Row], str] = {
    Application: "applications",
    Candidate: "candidates",
    Offer: "offers",
    Job: "jobs",
    Opening: "openings",
}

R = TypeVar("R", bound=Row)
_LIST = TypeAdapter(list[dict[str, Any]])


def rows(shape: type[R], payload: object) -> list[R]:
    """The rows of one page. Raises ``RetryLater`` naming the field when they are something else: a read may be repeated."""
    try:
        return [shape.model_validate({**one, "source": one}) for one in _LIST.validate_python(payload)]
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "answer"
        raise RetryLater(f"greenhouse: unexpected {RESOURCES[shape]} at {where}", cause="unreadable_answer") from None
