"""Checkr's answers as typed records. Field names are the vendor's."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from connectors.records.answers import Instant, Reading, Wire

parse = Reading("checkr")


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


class Made(Wire):
    """What a post made."""

    id: Annotated[str, Field(min_length=1)]
