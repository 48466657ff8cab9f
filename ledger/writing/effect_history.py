"""Looking at an engagement's effects, and giving those that wait for a person another chance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.database import Tx
from ledger.trail import audit
from workforce.effects import EffectKind
from workforce.events import Actor
from workforce.states import EffectState


@dataclass(frozen=True, slots=True)
class EffectLine:
    """An effect as the console shows it. ``cause`` and ``message`` are those of its last failure."""

    effect_id: UUID
    target: str
    kind: EffectKind
    detail: str
    lifecycle: int
    state: EffectState
    attempt: int
    vendor_id: str | None
    started_at: datetime | None
    changed_at: datetime
    cause: str | None
    message: str | None


def list_for(tx: Tx, engagement_id: UUID) -> list[EffectLine]:
    """The engagement's effects in the order of their first intent."""
    rows = tx.all(
        """
        SELECT effect_id, target, kind, detail, lifecycle, state, attempt, vendor_id, started_at, changed_at, cause, message
        FROM effects WHERE engagement_id = %(engagement_id)s
        ORDER BY created_at, effect_id
        """,
        engagement_id=engagement_id,
    )
    return [EffectLine(**{**row, "kind": EffectKind(row["kind"]), "state": EffectState(row["state"])}) for row in rows]


def retries(tx: Tx, engagement_id: UUID) -> int:
    """How many of the engagement's effects took more than one call."""
    row = tx.the(
        "SELECT count(*) AS number FROM effects WHERE engagement_id = %(engagement_id)s AND attempt > 1",
        engagement_id=engagement_id,
    )
    return int(row["number"])


def reopen(tx: Tx, engagement_id: UUID, actor: Actor) -> int:
    """Put the engagement's refused and parked effects back to intended, for a replay; how many."""
    rows = tx.all(
        """
        UPDATE effects SET state = 'intended', changed_at = clock_timestamp()
        WHERE engagement_id = %(engagement_id)s AND state IN ('refused', 'parked')
        RETURNING effect_id, target, kind
        """,
        engagement_id=engagement_id,
    )
    for row in rows:
        audit.note(
            tx,
            "effect.reopened",
            target=("effect", str(row["effect_id"])),
            actor=actor,
            engagement_id=engagement_id,
            system=row["target"],
            kind=row["kind"],
        )
    return len(rows)
