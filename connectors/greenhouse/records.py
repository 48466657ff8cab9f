"""Harvest v3's flat objects: what the hub looks at, each with the object as it came. Field names are the vendor's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field

from connectors.records.answers import Instant, Reading, Wire

parse = Reading("greenhouse")

HIRED = "hired"


class Row(Wire):
    """One object of a list. ``source`` is the whole of it."""

    id: int
    updated_at: Instant
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


def nested(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object called ``name`` in ``content``; an empty one where there is none, or something else."""
    inner = content.get(name)
    return inner if isinstance(inner, dict) else {}


def rows(shape: type[R], content: bytes) -> list[R]:
    """The rows of one page. Raises ``RetryLater`` naming the field when they are something else: a read may be repeated."""
    return [parse(shape, {**one, "source": one}) for one in parse(list[dict[str, Any]], content)]
