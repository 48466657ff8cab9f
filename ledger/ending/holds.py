"""Legal holds: while one stands, nothing of the person is deleted and no licence that keeps something is reclaimed. Revocation goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.database import Row, Tx
from ledger.identity import workers
from ledger.ids import uuid7
from ledger.trail import audit
from workforce.errors import NotFound, Refused
from workforce.events import Actor


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold on everything of one worker. ``matter`` is what it is for, ``scope`` what it covers, in its placer's words."""

    id: UUID
    worker_id: UUID
    matter: str
    scope: str
    placed_at: datetime
    placed_by: str
    released_at: datetime | None = None
    released_by: str | None = None
    release_reason: str | None = None


def place(tx: Tx, worker_id: UUID, *, matter: str, scope: str, actor: Actor) -> Hold:
    """Place a hold, audited without its words (they may name people). Raises ``NotFound``."""
    worker = workers.get(tx, worker_id)
    row = tx.the(
        """
        INSERT INTO holds (tenant, id, worker_id, matter, scope, placed_by)
        VALUES (%(tenant)s, %(id)s, %(worker_id)s, %(matter)s, %(scope)s, %(actor)s)
        RETURNING *
        """,
        tenant=tx.tenant,
        id=uuid7(),
        worker_id=worker.id,
        matter=matter,
        scope=scope,
        actor=actor.id,
    )
    hold = _hold(row)
    audit.note(tx, "hold.placed", target=("worker", str(worker_id)), actor=actor, hold_id=hold.id)
    return hold


def release(tx: Tx, hold_id: UUID, *, reason: str, actor: Actor) -> Hold:
    """Release a hold, audited. Raises ``NotFound``; ``Refused`` (cause ``hold_released``) for one that stands no more."""
    row = tx.one(
        """
        UPDATE holds SET released_at = clock_timestamp(), released_by = %(actor)s, release_reason = %(reason)s
        WHERE id = %(id)s AND released_at IS NULL
        RETURNING *
        """,
        actor=actor.id,
        reason=reason,
        id=hold_id,
    )
    if row is None:
        known = get(tx, hold_id)
        raise Refused(f"hold {hold_id} was released by {known.released_by} already", cause="hold_released", field="hold")
    hold = _hold(row)
    audit.note(tx, "hold.released", target=("worker", str(hold.worker_id)), actor=actor, hold_id=hold.id)
    return hold


def get(tx: Tx, hold_id: UUID) -> Hold:
    """A hold, standing or released. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM holds WHERE id = %(id)s", id=hold_id)
    if row is None:
        raise NotFound(f"hold {hold_id} does not exist; see: stint holds list", field="hold")
    return _hold(row)


def standing(tx: Tx, worker_id: UUID) -> list[Hold]:
    """The holds that stand on the worker, oldest first."""
    rows = tx.all(
        "SELECT * FROM holds WHERE worker_id = %(worker_id)s AND released_at IS NULL ORDER BY placed_at, id", worker_id=worker_id
    )
    return [_hold(row) for row in rows]


def list_all(tx: Tx, *, released: bool = False, limit: int = 1000) -> list[Hold]:
    """The holds that stand, oldest first; with ``released`` also those that do not any more."""
    rows = tx.all(
        "SELECT * FROM holds WHERE released_at IS NULL OR %(released)s ORDER BY placed_at, id LIMIT %(limit)s",
        released=released,
        limit=limit,
    )
    return [_hold(row) for row in rows]


def _hold(row: Row) -> Hold:
    return Hold(**{name: row[name] for name in Hold.__slots__})
