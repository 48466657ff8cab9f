"""Timers: what has to happen at an instant. Due is what the database's clock says, so a worker's wrong clock fires nothing early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import structlog

from ledger.database import Database, Tx
from ledger.ids import uuid7

log = structlog.get_logger()

_LONGEST_PAUSE_SECONDS = 300


class TimerKind(StrEnum):
    """What a timer is for."""

    END = "end"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Timer:
    """An armed timer."""

    id: UUID
    tenant: str
    engagement_id: UUID
    kind: TimerKind
    fires_at: datetime
    detail: str


def arm(tx: Tx, engagement_id: UUID, kind: TimerKind, fires_at: datetime, detail: str = "") -> None:
    """Set the timer of this engagement, kind and detail; if there is one, fired or not, move it."""
    tx.execute(
        """
        INSERT INTO timers (tenant, id, engagement_id, kind, detail, fires_at, due_at)
        VALUES (%(tenant)s, %(id)s, %(engagement_id)s, %(kind)s, %(detail)s, %(fires_at)s, %(fires_at)s)
        ON CONFLICT (tenant, engagement_id, kind, detail) DO UPDATE
        SET fires_at = excluded.fires_at, due_at = excluded.fires_at, fired_at = NULL, failures = 0
        """,
        tenant=tx.tenant,
        id=uuid7(),
        engagement_id=engagement_id,
        kind=kind,
        detail=detail,
        fires_at=fires_at,
    )


def cancel(tx: Tx, engagement_id: UUID, kind: TimerKind, detail: str | None = None) -> int:
    """Unset the timers of this kind (and detail, if given); how many were waiting."""
    return tx.execute(
        """
        UPDATE timers SET due_at = NULL
        WHERE engagement_id = %(engagement_id)s AND kind = %(kind)s AND due_at IS NOT NULL
          AND (%(detail)s::text IS NULL OR detail = %(detail)s)
        """,
        engagement_id=engagement_id,
        kind=kind,
        detail=detail,
    )


def cancel_all(tx: Tx, engagement_id: UUID) -> None:
    """Unset every timer of the engagement."""
    for kind in TimerKind:
        cancel(tx, engagement_id, kind)


def armed(tx: Tx, engagement_id: UUID) -> list[Timer]:
    """The engagement's waiting timers, earliest first."""
    rows = tx.all(
        """
        SELECT id, tenant, engagement_id, kind, fires_at, detail FROM timers
        WHERE engagement_id = %(engagement_id)s AND due_at IS NOT NULL
        ORDER BY fires_at, kind, detail
        """,
        engagement_id=engagement_id,
    )
    return [Timer(**{**row, "kind": TimerKind(row["kind"])}) for row in rows]


def next_due(database: Database) -> datetime | None:
    """When the next timer of any tenant is due."""
    with database.system() as tx:
        found: datetime | None = tx.the("SELECT stint_next_timer() AS due_at")["due_at"]
        return found


def fire_due(
    database: Database,
    handlers: Mapping[TimerKind, Callable[[Tx, Timer], None]],
    *,
    now: datetime | None = None,
    limit: int = 100,
) -> int:
    """Fire what is due, of all tenants; how many fired. ``now`` defaults to the database's clock.

    Each timer is marked as fired in the transaction in which its handler works, so it fires exactly once however many processes call
    this. One whose handler fails is tried again after a growing pause and does not stop the others.
    """
    with database.system() as tx:
        due = tx.all("SELECT due_tenant, due_id FROM stint_due_timers(coalesce(%(now)s, now()), %(limit)s)", now=now, limit=limit)
    return sum(_fire(database, row["due_tenant"], row["due_id"], handlers, now) for row in due)


def _fire(
    database: Database,
    tenant: str,
    timer_id: UUID,
    handlers: Mapping[TimerKind, Callable[[Tx, Timer], None]],
    now: datetime | None,
) -> bool:
    try:
        with database.transaction(tenant) as tx:
            timer = _claimed(tx, timer_id, now)
            if timer is None:
                return False
            handlers[timer.kind](tx, timer)
    except Exception:
        log.exception("timer.failed", tenant=tenant, timer_id=str(timer_id))
        _postpone(database, tenant, timer_id)
        return False
    log.info("timer.fired", tenant=tenant, timer_id=str(timer_id), kind=timer.kind, engagement_id=str(timer.engagement_id))
    return True


def _claimed(tx: Tx, timer_id: UUID, now: datetime | None) -> Timer | None:
    """Mark the timer as fired, unless it has fired, moved or is being fired elsewhere."""
    row = tx.one(
        """
        UPDATE timers SET fired_at = now(), due_at = NULL
        WHERE id = (
            SELECT id FROM timers WHERE id = %(id)s AND due_at <= coalesce(%(now)s, now()) FOR UPDATE SKIP LOCKED
        )
        RETURNING id, tenant, engagement_id, kind, fires_at, detail
        """,
        id=timer_id,
        now=now,
    )
    return None if row is None else Timer(**{**row, "kind": TimerKind(row["kind"])})


def _postpone(database: Database, tenant: str, timer_id: UUID) -> None:
    with database.transaction(tenant) as tx:
        tx.execute(
            """
            UPDATE timers
            SET failures = failures + 1,
                due_at = now() + least(power(2, least(failures, 20)), %(longest)s) * interval '1 second'
            WHERE id = %(id)s AND due_at IS NOT NULL
            """,
            id=timer_id,
            longest=_LONGEST_PAUSE_SECONDS,
        )
