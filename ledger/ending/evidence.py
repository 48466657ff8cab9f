"""What people say of something that only a person can see: where a mailbox went, that a badge was returned. Rows are only added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.database import Row, Tx
from ledger.ids import uuid7
from ledger.trail import audit
from workforce.events import Actor


@dataclass(frozen=True, slots=True)
class Evidence:
    """One statement about ``subject`` (``licences``, a licence's id, ``badge``) of an engagement, and who made it."""

    id: UUID
    engagement_id: UUID
    subject: str
    statement: str
    given_at: datetime
    given_by: str


def give(tx: Tx, engagement_id: UUID, *, subject: str, statement: str, actor: Actor) -> Evidence:
    """Keep a statement, audited by its subject alone."""
    row = tx.the(
        """
        INSERT INTO evidence (tenant, id, engagement_id, subject, statement, given_by)
        VALUES (%(tenant)s, %(id)s, %(engagement_id)s, %(subject)s, %(told)s, %(actor)s)
        RETURNING *
        """,
        tenant=tx.tenant,
        id=uuid7(),
        engagement_id=engagement_id,
        subject=subject,
        told=statement,
        actor=actor.id,
    )
    given = _evidence(row)
    audit.note(
        tx,
        "evidence.given",
        actor=actor,
        engagement_id=engagement_id,
        evidence_id=given.id,
        subject=subject,
    )
    return given


def of(tx: Tx, engagement_id: UUID) -> list[Evidence]:
    """Everything that was stated about the engagement, oldest first."""
    rows = tx.all("SELECT * FROM evidence WHERE engagement_id = %(id)s ORDER BY given_at, id", id=engagement_id)
    return [_evidence(row) for row in rows]


def _evidence(row: Row) -> Evidence:
    return Evidence(**{name: row[name] for name in Evidence.__slots__})
