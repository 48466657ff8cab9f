"""Work orders become engagements. The desired state advances only when the source's version is newer."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from ledger import engagement_rows, identities, timers, workers
from ledger.database import Tx
from ledger.ids import uuid7
from workforce.engagement import Engagement, EngagementTerms, Worker, WorkOrder
from workforce.events import HUB, Actor
from workforce.states import EngagementState

PERSON = "person"
_DECIDE_THE_END = ("ends_on", "time_zone", "cutoff", "close_of_business", "terminates_at")


class Change(StrEnum):
    """What a work order did to the ledger."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"


def upsert_work_order(
    tx: Tx,
    vms_system: str,
    order: WorkOrder,
    source_version: str,
    *,
    person_id: str | None = None,
    actor: Actor = HUB,
) -> tuple[Engagement, Change]:
    """Make or advance the engagement of a work order, and arm its end. The caller audits what it means.

    A new work order makes a new worker, unless ``person_id`` (the VMS's own id of the person) is known already; names and addresses
    never match anybody. ``end_at`` is computed once and moves only when a field that decides it changes; once the ending has begun it
    stays. Raises ``Refused`` for an unknown zone.
    """
    key = f"{tx.tenant}:{vms_system}:{order.terms.vms_id}"
    tx.one("SELECT pg_advisory_xact_lock(hashtextextended('work_order:' || %(key)s, 0))", key=key)
    known = engagement_rows.by_vms_id(tx, vms_system, order.terms.vms_id)
    if known is None:
        return _create(tx, vms_system, order, source_version, person_id, actor), Change.CREATED
    known = engagement_rows.lock(tx, known.id)  # the ending may have begun since it was read
    if not _advances(tx, known, source_version):
        return known, Change.STALE
    return _update(tx, known.model_copy(update={"source_version": source_version}), order)


def _create(tx: Tx, vms_system: str, order: WorkOrder, source_version: str, person_id: str | None, actor: Actor) -> Engagement:
    end_at = order.terms.end_instant()
    worker = _worker(tx, vms_system, order, person_id, actor)
    engagement_id = uuid7()
    tx.execute(
        """
        INSERT INTO engagements (tenant, id, worker_id, vms_system, terms, source_version, state, end_at)
        VALUES (%(tenant)s, %(id)s, %(worker_id)s, %(vms_system)s, %(terms)s, %(source_version)s, %(state)s, %(end_at)s)
        """,
        tenant=tx.tenant,
        id=engagement_id,
        worker_id=worker.id,
        vms_system=vms_system,
        terms=order.terms.model_dump(mode="json"),
        source_version=source_version,
        state=EngagementState.REQUESTED,
        end_at=end_at,
    )
    timers.arm(tx, engagement_id, timers.TimerKind.END, end_at)
    return engagement_rows.get(tx, engagement_id)


def _worker(tx: Tx, vms_system: str, order: WorkOrder, person_id: str | None, actor: Actor) -> Worker:
    known = identities.by_external(tx, vms_system, PERSON, person_id) if person_id else None
    if known is not None:
        return workers.get(tx, known)
    worker = workers.create(tx, order.worker, actor=actor)
    if person_id:
        identities.link(tx, vms_system, PERSON, worker.id, person_id)
    return worker


def _advances(tx: Tx, known: Engagement, source_version: str) -> bool:
    """Store the version if it is newer. Versions compare by code point, as ``SourceRecord`` defines them."""
    statement = """
        UPDATE engagements SET source_version = %(version)s WHERE id = %(id)s AND source_version < %(version)s
    """
    return tx.execute(statement, version=source_version, id=known.id) == 1


def _update(tx: Tx, known: Engagement, order: WorkOrder) -> tuple[Engagement, Change]:
    if (order.worker, order.terms) == (known.worker.profile, known.terms):
        return known, Change.UNCHANGED
    workers.set_profile(tx, known.worker, order.worker)
    end_at = _end_at(known, order.terms)
    tx.execute(
        "UPDATE engagements SET terms = %(terms)s, end_at = %(end_at)s, updated_at = clock_timestamp() WHERE id = %(id)s",
        terms=order.terms.model_dump(mode="json"),
        end_at=end_at,
        id=known.id,
    )
    if end_at != known.end_at:
        timers.arm(tx, known.id, timers.TimerKind.END, end_at)
    return engagement_rows.get(tx, known.id), Change.UPDATED


def _end_at(known: Engagement, terms: EngagementTerms) -> datetime:
    moved = any(getattr(known.terms, name) != getattr(terms, name) for name in _DECIDE_THE_END)
    return terms.end_instant() if moved and known.tombstoned_at is None else known.end_at
