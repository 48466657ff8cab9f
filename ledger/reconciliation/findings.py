"""What reconciliation found: one line while it stands, counted each time it is seen, closed when it is gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from ledger.database import Row, Tx
from ledger.ids import uuid7
from ledger.trail import audit
from workforce.errors import NotFound
from workforce.events import HUB, Actor, Outcome


@dataclass(frozen=True, slots=True)
class Sighting:
    """A deviation as it was seen just now. ``account_id`` is empty where the account itself is missing."""

    directory: str
    account_id: str
    drift: str
    subject: str
    worker_id: UUID | None = None
    engagement_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of the list. It was seen ``times`` times since ``first_at``."""

    id: UUID
    directory: str
    account_id: str
    worker_id: UUID | None
    engagement_id: UUID | None
    drift: str
    subject: str
    details: Mapping[str, Any]
    first_at: datetime
    last_at: datetime
    times: int
    closed_at: datetime | None
    closed_because: str | None
    closed_by: str | None


def see(tx: Tx, sighting: Sighting) -> Finding:
    """Put a deviation on the list, audited, or count it again."""
    row = tx.the(
        """
        INSERT INTO findings (tenant, id, directory, account_id, worker_id, engagement_id, drift, subject, details)
        VALUES (%(tenant)s, %(id)s, %(directory)s, %(account_id)s, %(worker_id)s, %(engagement_id)s, %(drift)s, %(subject)s, %(details)s)
        ON CONFLICT (tenant, directory, account_id, drift, subject, coalesce(worker_id, '00000000-0000-0000-0000-000000000000'))
            WHERE closed_at IS NULL
        DO UPDATE SET times = findings.times + 1, last_at = clock_timestamp(), details = excluded.details,
            engagement_id = excluded.engagement_id
        RETURNING *
        """,
        tenant=tx.tenant,
        id=uuid7(),
        directory=sighting.directory,
        account_id=sighting.account_id,
        worker_id=sighting.worker_id,
        engagement_id=sighting.engagement_id,
        drift=sighting.drift,
        subject=sighting.subject,
        details=dict(sighting.details),
    )
    finding = _from_row(row)
    if finding.times == 1:
        _note(tx, "drift.found", finding, HUB, Outcome.PENDING)
    return finding


def get(tx: Tx, finding_id: UUID) -> Finding:
    """A line, open or closed. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM findings WHERE id = %(id)s", id=finding_id)
    if row is None:
        raise NotFound(f"finding {finding_id} does not exist", field="finding_id")
    return _from_row(row)


def list_open(
    tx: Tx, directory: str | None = None, *, drift: str | None = None, after: UUID | None = None, limit: int = 1000
) -> list[Finding]:
    """Open lines in the order in which they were found, those behind ``after``."""
    rows = tx.all(
        """
        SELECT * FROM findings
        WHERE closed_at IS NULL AND (%(directory)s::text IS NULL OR directory = %(directory)s)
          AND (%(drift)s::text IS NULL OR drift = %(drift)s) AND (%(after)s::uuid IS NULL OR id > %(after)s)
        ORDER BY id LIMIT %(limit)s
        """,
        directory=directory,
        drift=drift,
        after=after,
        limit=limit,
    )
    return [_from_row(row) for row in rows]


def count_open(tx: Tx, directory: str) -> int:
    """How many lines of a directory are open."""
    row = tx.the(
        "SELECT count(*) AS number FROM findings WHERE directory = %(directory)s AND closed_at IS NULL", directory=directory
    )
    return int(row["number"])


def with_open(tx: Tx, directory: str, account_ids: Collection[str]) -> frozenset[str]:
    """Which of these accounts have an open line."""
    rows = tx.all(
        """
        SELECT DISTINCT account_id FROM findings
        WHERE directory = %(directory)s AND account_id = ANY(%(ids)s) AND closed_at IS NULL
        """,
        directory=directory,
        ids=list(account_ids),
    )
    return frozenset(row["account_id"] for row in rows)


def close_others(
    tx: Tx, directory: str, account_id: str, standing: Collection[UUID], *, because: str = "gone", worker_id: UUID | None = None
) -> list[Finding]:
    """Close the open lines of an account, or of a ``worker_id`` without one, that are not ``standing`` any more; those."""
    rows = tx.all(
        """
        UPDATE findings SET closed_at = clock_timestamp(), closed_because = %(because)s, closed_by = %(by)s
        WHERE directory = %(directory)s AND account_id = %(account_id)s AND closed_at IS NULL AND NOT id = ANY(%(standing)s)
          AND (%(worker_id)s::uuid IS NULL OR worker_id = %(worker_id)s)
        RETURNING *
        """,
        because=because,
        by=HUB.id,
        directory=directory,
        account_id=account_id,
        standing=list(standing),
        worker_id=worker_id,
    )
    closed = [_from_row(row) for row in rows]
    for finding in closed:
        _note(tx, "drift.gone", finding, HUB, Outcome.SUCCESS)
    return closed


def _note(tx: Tx, action: str, finding: Finding, actor: Actor, outcome: Outcome) -> None:
    audit.note(
        tx, action, target=("finding", str(finding.id)), actor=actor, outcome=outcome, engagement_id=finding.engagement_id,
        system=finding.directory, reason_code=finding.drift, account_id=finding.account_id, subject=finding.subject,
    )  # fmt: skip


def _from_row(row: Row) -> Finding:
    return Finding(**{name: row[name] for name in Finding.__slots__})
