"""``stint failures list|show``: what waits for a person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from config.hub import Hub
from ledger import engagements, failures
from ledger.database import Tx
from ledger.failures import Failure
from workforce.errors import NotFound

MOST = 100_000
"""Lines that are listed at most; ``stint mappings drift`` tells of more than that by their causes."""


def failure_rows(hub: Hub, tenant: str) -> list[dict[str, Any]]:
    """What waits for a person, oldest first."""
    with hub.database.transaction(tenant) as tx:
        return [_row(failure) for failure in failures.list_open(tx, limit=MOST)]


def failure_detail(hub: Hub, tenant: str, failure_id: UUID) -> dict[str, Any]:
    """One line, open or closed, with what it is about and how many share its cause. Raises ``NotFound``."""
    with hub.database.transaction(tenant) as tx:
        failure = find_failure(tx, failure_id)
        concerned = engagements.get(tx, failure.engagement_id) if failure.engagement_id else None
        kin = failures.count(tx, failure.group_key) if failure.group_key else None
    return {
        **_row(failure),
        "last_at": failure.last_at.isoformat(timespec="seconds"),
        "event": failure.event_id and str(failure.event_id),
        "engagement": failure.engagement_id and str(failure.engagement_id),
        "work_order": concerned and concerned.terms.vms_id,
        "closed_at": failure.closed_at and failure.closed_at.isoformat(timespec="seconds"),
        "closed_by": failure.closed_by,
        "waiting_for_this_cause": kin,
    }


def failure_lines(row: dict[str, Any]) -> list[str]:
    """A line of the list for a terminal: what it is about, what is wrong, what to do."""
    field = f", {row['field']}" if row["field"] else ""
    times = f", {row['count']} times" if row["count"] > 1 else ""
    return [f"{row['cause']}{field}{times}", row["subject"], row["message"]]


def find_failure(tx: Tx, failure_id: UUID) -> Failure:
    """The line with that id, open or closed. Raises ``NotFound``."""
    try:
        return failures.get(tx, failure_id)
    except NotFound:
        raise NotFound(f"no failure {failure_id}; see: stint failures list", field="failure") from None


def _row(failure: Failure) -> dict[str, Any]:
    return {
        "id": str(failure.id),
        "since": failure.since.isoformat(timespec="seconds"),
        "cause": failure.cause,
        "field": failure.field,
        "subject": failure.subject,
        "count": failure.count,
        "group": failure.group_key,
        "message": failure.message,
    }
