"""Reading engagements."""

from __future__ import annotations

from uuid import UUID

from ledger.database import Row, Tx
from ledger.identity import workers
from ledger.trail import audit
from workforce.engagement import Engagement, EngagementTerms
from workforce.errors import NotFound
from workforce.events import Actor, Outcome
from workforce.states import EngagementState

_OWN = (
    "vms_system", "epoch", "end_at", "envelope_id", "signed_at", "tombstoned_at", "access_verified_at", "revoked_verified_at",
    "mapping_pins", "source_version", "external", "access_pins", "suspended_at",
    "reported_terms",
)  # fmt: skip
_SELECT = """
    SELECT to_jsonb(workers) AS worker, engagements.*
    FROM engagements JOIN workers ON workers.tenant = engagements.tenant AND workers.id = worker_id
"""


def get(tx: Tx, engagement_id: UUID) -> Engagement:
    """The engagement with its worker. Raises ``NotFound``."""
    row = tx.one(_SELECT + "WHERE engagements.id = %(id)s", id=engagement_id)
    if row is None:
        raise NotFound(f"engagement {engagement_id} does not exist", field="engagement_id")
    return _from_row(row)


def by_vms_id(tx: Tx, vms_system: str, vms_id: str) -> Engagement | None:
    """The engagement of a work order."""
    row = tx.one(_SELECT + "WHERE vms_system = %(vms_system)s AND vms_id = %(vms_id)s", vms_system=vms_system, vms_id=vms_id)
    return None if row is None else _from_row(row)


def list_all(
    tx: Tx, *, state: EngagementState | None = None, worker_id: UUID | None = None, limit: int = 1000, offset: int = 0
) -> list[Engagement]:
    """Engagements, the earliest end first, optionally of one state or worker."""
    chosen = """
        WHERE (%(state)s::text IS NULL OR state = %(state)s)
          AND (%(worker_id)s::uuid IS NULL OR worker_id = %(worker_id)s)
        ORDER BY end_at, engagements.id
        LIMIT %(limit)s OFFSET %(offset)s
    """
    rows = tx.all(_SELECT + chosen, state=state, worker_id=worker_id, limit=limit, offset=offset)
    return [_from_row(row) for row in rows]


def going_on(tx: Tx, worker_id: UUID) -> list[Engagement]:
    """The worker's engagements that support access: cleared or active, and not ending."""
    return [engagement for engagement in list_all(tx, worker_id=worker_id) if engagement.goes_on]


def newest(tx: Tx, *, limit: int = 100) -> list[Engagement]:
    """The engagements that were made last, newest first."""
    rows = tx.all(_SELECT + "ORDER BY engagements.created_at DESC, engagements.id DESC LIMIT %(limit)s", limit=limit)
    return [_from_row(row) for row in rows]


def lock(tx: Tx, engagement_id: UUID) -> Engagement:
    """Keep every other change of the engagement out until the commit; the engagement. Raises ``NotFound``."""
    # A statement of its own: what follows has to see what was committed while we waited.
    tx.one("SELECT 1 FROM engagements WHERE id = %(id)s FOR UPDATE", id=engagement_id)
    return get(tx, engagement_id)


def note(tx: Tx, action: str, engagement: Engagement, actor: Actor, *, reason_code: str | None = None, **details: object) -> None:
    """Tell the audit trail about the engagement."""
    audit.note(
        tx,
        action,
        target=None,
        actor=actor,
        outcome=Outcome.SUCCESS,
        engagement_id=engagement.id,
        system=None,
        reason_code=reason_code,
        **details,
    )


def _from_row(row: Row) -> Engagement:
    return Engagement(
        id=row["id"],
        tenant=row["tenant"],
        worker=workers.from_row(row["worker"]),
        terms=EngagementTerms.model_validate(row["terms"]),
        state=EngagementState(row["state"]),
        **{name: row[name] for name in _OWN},
    )
