"""Timers: what has to happen at an instant. Due is what the database's clock says, so a worker's wrong clock fires nothing early."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import structlog

from ledger.database import Database, Tx
from ledger.ids import uuid7

log = structlog.get_logger()

_LONGEST_PAUSE_SECONDS = 300
_TOGETHER = 50


class TimerKind(StrEnum):
    """What a timer is for."""

    START = "start"
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


Handler = Callable[[Tx, Timer], None]
HandlerOfMany = Callable[[Tx, Sequence[Timer]], None]


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
    handlers: Mapping[TimerKind, Handler],
    *,
    together: Mapping[TimerKind, HandlerOfMany] | None = None,
    now: datetime | None = None,
    limit: int = 1000,
) -> int:
    """Fire what is due, of all tenants; how many fired. ``now`` defaults to the database's clock.

    Each timer is marked as fired in the transaction in which its handler works, so it fires exactly once however many processes call
    this. One whose handler fails is tried again after a growing pause and does not stop the others. Those of one tenant and of a kind in
    ``together`` share transactions, ``_TOGETHER`` at a time in the order of their engagements; where that fails each is fired by itself.
    """
    firing = _Firing(database, handlers, together or {}, now)
    with database.system() as tx:
        due = tx.all("SELECT due_tenant, due_id FROM stint_due_timers(coalesce(%(now)s, now()), %(limit)s)", now=now, limit=limit)
    by_tenant: dict[str, list[UUID]] = {}
    for row in due:
        by_tenant.setdefault(row["due_tenant"], []).append(row["due_id"])
    return sum(firing.of_tenant(tenant, ids) for tenant, ids in by_tenant.items())


@dataclass(frozen=True)
class _Firing:
    """One sweep over the timers that are due."""

    database: Database
    handlers: Mapping[TimerKind, Handler]
    together: Mapping[TimerKind, HandlerOfMany]
    now: datetime | None

    def of_tenant(self, tenant: str, ids: Sequence[UUID]) -> int:
        fired = 0
        for start in range(0, len(ids), _TOGETHER):
            some = ids[start : start + _TOGETHER]
            done = self._fire_together(tenant, some) if self.together and len(some) > 1 else frozenset()
            fired += len(done) + sum(self._fire(tenant, timer_id) for timer_id in some if timer_id not in done)
        return fired

    def _fire_together(self, tenant: str, ids: Collection[UUID]) -> frozenset[UUID]:
        """Fire those that may share a transaction; none of them where that fails."""
        try:
            with self.database.transaction(tenant) as tx:
                timers = _claimed(tx, ids, list(self.together), self.now)
                for kind in dict.fromkeys(timer.kind for timer in timers):
                    self.together[kind](tx, [timer for timer in timers if timer.kind is kind])
        except Exception:
            log.exception("timers.not_fired_together", tenant=tenant, timers=len(ids))
            return frozenset()
        _tell(timers)
        return frozenset(timer.id for timer in timers)

    def _fire(self, tenant: str, timer_id: UUID) -> bool:
        try:
            with self.database.transaction(tenant) as tx:
                timers = _claimed(tx, [timer_id], list(TimerKind), self.now)
                for timer in timers:
                    self.handlers[timer.kind](tx, timer)
        except Exception:
            log.exception("timer.failed", tenant=tenant, timer_id=str(timer_id))
            _postpone(self.database, tenant, timer_id)
            return False
        _tell(timers)
        return bool(timers)


def _tell(timers: Iterable[Timer]) -> None:
    for timer in timers:
        log.info(
            "timer.fired", tenant=timer.tenant, timer_id=str(timer.id), kind=timer.kind, engagement_id=str(timer.engagement_id)
        )


def _claimed(tx: Tx, ids: Collection[UUID], kinds: Collection[TimerKind], now: datetime | None) -> list[Timer]:
    """Mark timers as fired, except those that have fired, moved, are being fired elsewhere or are of another kind; in order."""
    rows = tx.all(
        """
        UPDATE timers SET fired_at = now(), due_at = NULL
        WHERE id IN (
            SELECT id FROM timers
            WHERE id = ANY(%(ids)s) AND kind = ANY(%(kinds)s) AND due_at <= coalesce(%(now)s, now())
            ORDER BY engagement_id, id
            FOR UPDATE SKIP LOCKED
        )
        RETURNING id, tenant, engagement_id, kind, fires_at, detail
        """,
        ids=list(ids),
        kinds=list(kinds),
        now=now,
    )
    timers = [Timer(**{**row, "kind": TimerKind(row["kind"])}) for row in rows]
    return sorted(timers, key=lambda timer: (timer.engagement_id, timer.id))


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
