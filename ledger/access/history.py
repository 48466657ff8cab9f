"""Who had access at an instant, from what was read back: a grant counts from when it was seen in force until it was seen gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ledger.database import Row, Tx
from ledger.trail import audit
from workforce.access import Entitlement, EntitlementKind
from workforce.events import Actor


@dataclass(frozen=True, slots=True)
class Held:
    """One entitlement that one engagement gave a person. ``since`` ≤ the instant asked for < ``until``; ``None``: it is not gone yet.

    ``reason`` says why: package, version, who approved.
    """

    engagement_id: UUID
    vms_id: str
    worker_id: UUID
    marker: str
    account_id: str | None
    entitlement: Entitlement
    reason: Mapping[str, Any]
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Question:
    """Who had access to ``directory`` (a connector instance) at ``at``; of one engagement or one person alone where they are given."""

    directory: str
    at: datetime
    engagement_id: UUID | None = None
    worker_id: UUID | None = None


def who_had_access(tx: Tx, question: Question, actor: Actor) -> list[Held]:
    """The answer, by person, engagement and entitlement. Who asked for what, and how much was shown, is audited."""
    found = held_at(tx, question)
    audit.note(
        tx,
        "access_history.read",
        target=("directory", question.directory),
        actor=actor,
        engagement_id=question.engagement_id,
        system=question.directory,
        at=question.at,
        worker_id=question.worker_id,
        rows=len(found),
    )
    return found


def held_at(tx: Tx, question: Question) -> list[Held]:
    """What was held at the instant. A grant that was read back at that very instant counts; one that was read back as gone then does not."""
    rows = tx.all(
        """
        SELECT grants.engagement_id, engagements.vms_id, grants.worker_id, workers.marker, grants.account_id, grants.kind,
               grants.entitlement, grants.reason, grants.granted_at, grants.revoked_at
        FROM grants
        JOIN engagements ON engagements.tenant = grants.tenant AND engagements.id = grants.engagement_id
        JOIN workers ON workers.tenant = grants.tenant AND workers.id = grants.worker_id
        WHERE grants.directory = %(directory)s
          AND granted_at <= %(at)s AND (revoked_at IS NULL OR %(at)s < revoked_at)
          AND (%(engagement_id)s::uuid IS NULL OR grants.engagement_id = %(engagement_id)s)
          AND (%(worker_id)s::uuid IS NULL OR grants.worker_id = %(worker_id)s)
        ORDER BY workers.marker, engagements.vms_id, grants.engagement_id, grants.kind, grants.entitlement, grants.granted_at
        """,
        directory=question.directory,
        at=question.at,
        engagement_id=question.engagement_id,
        worker_id=question.worker_id,
    )
    return [_held(row) for row in rows]


def recorded_since(tx: Tx) -> Mapping[str, datetime]:
    """Directory → since when what is held there has been recorded. Of earlier instants the ledger knows nothing."""
    rows = tx.all("SELECT directory, min(wanted_at) AS since FROM grants GROUP BY directory ORDER BY directory")
    return {row["directory"]: row["since"] for row in rows}


def _held(row: Row) -> Held:
    same = ("engagement_id", "vms_id", "worker_id", "marker", "account_id", "reason")
    return Held(
        entitlement=Entitlement(EntitlementKind(row["kind"]), row["entitlement"]),
        since=row["granted_at"],
        until=row["revoked_at"],
        **{name: row[name] for name in same},
    )
