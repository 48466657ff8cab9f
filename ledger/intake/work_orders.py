"""Work orders become engagements. The desired state advances only by newer versions that are about the same person."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from ledger import engagement_rows
from ledger.database import Tx
from ledger.ending import ends
from ledger.ending.ends import bring_end_forward
from ledger.identity import cases as identity_cases
from ledger.identity import reassignment, workers
from ledger.identity.correlation import Clues, Correlated, correlate
from ledger.ids import uuid7
from ledger.queueing import timers
from workforce.engagement import DECIDE_THE_END, Engagement, EngagementTerms, WorkOrder
from workforce.errors import NotFound
from workforce.events import HUB, Actor
from workforce.lineage import SourceLineage
from workforce.states import EngagementState

__all__ = ["Change", "bring_end_forward", "hold", "source_lineage", "upsert_work_order"]


class Change(StrEnum):
    """What a work order did to the ledger. ``ANOTHER_PERSON``: it names somebody else; only an earlier end of it was taken."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    ANOTHER_PERSON = "another_person"


def upsert_work_order(
    tx: Tx,
    vms_system: str,
    order: WorkOrder,
    source_version: str,
    *,
    person_id: str | None = None,
    lineage: SourceLineage | None = None,
    again: bool = False,
    actor: Actor = HUB,
) -> tuple[Engagement, Change]:
    """Make or advance the engagement of a work order, and arm its end. The caller audits what it means.

    A new work order makes a new worker, unless ``person_id`` (the VMS's own id of the person) is known already; names and addresses
    never match anybody. ``lineage`` says how the terms came about. ``again`` takes terms that another mapping made of the version that is
    known. One that names another person than the engagement is known by is not taken (see ``ledger.identity.reassignment``), but
    for an earlier end: revocation waits for no answer. ``end_at`` is computed once and moves only when the source says something
    new of it; ``ledger.ending.ends`` says what follows. Raises ``Refused`` for an unknown zone.
    """
    hold(tx, vms_system, order.terms.vms_id)
    known = engagement_rows.by_vms_id(tx, vms_system, order.terms.vms_id)
    if known is None:
        created = _create(tx, vms_system, order, source_version, person_id, actor)
        _keep_lineage(tx, created.id, lineage)
        return created, Change.CREATED
    known = engagement_rows.lock(tx, known.id)  # the ending may have begun since it was read
    if reassignment.is_behind(tx, known, source_version):
        return known, Change.STALE
    if reassignment.names_another(tx, known, order, source_version):
        return _of_another(tx, known, order, source_version), Change.ANOTHER_PERSON
    if not _advances(tx, known, source_version, again=again):
        return known, Change.STALE
    _keep_lineage(tx, known.id, lineage)
    at_version = known.model_copy(update={"source_version": source_version})
    updated, change = _update(tx, at_version, reassignment.with_standing_id(order, known))
    return reassignment.named_again(tx, updated, source_version), change


def hold(tx: Tx, vms_system: str, vms_id: str) -> None:
    """Keep everybody else who takes this work order out until the commit. Before the engagement's row is locked, never after it."""
    key = f"{tx.tenant}:{vms_system}:{vms_id}"
    tx.one("SELECT pg_advisory_xact_lock(hashtextextended('work_order:' || %(key)s, 0))", key=key)


def source_lineage(tx: Tx, engagement_id: UUID) -> SourceLineage | None:
    """How the engagement's terms came about; ``None`` where that was not kept. Raises ``NotFound``."""
    row = tx.one("SELECT source_lineage FROM engagements WHERE id = %(id)s", id=engagement_id)
    if row is None:
        raise NotFound(f"engagement {engagement_id} does not exist", field="engagement_id")
    return None if row["source_lineage"] is None else SourceLineage.model_validate(row["source_lineage"])


def _create(tx: Tx, vms_system: str, order: WorkOrder, source_version: str, person_id: str | None, actor: Actor) -> Engagement:
    end_at = order.terms.end_instant()
    who = _worker(tx, vms_system, order, person_id, actor)
    engagement_id = uuid7()
    tx.execute(
        """
        INSERT INTO engagements (tenant, id, worker_id, vms_system, terms, external, source_version, state, end_at)
        VALUES (%(tenant)s, %(id)s, %(worker_id)s, %(vms_system)s, %(terms)s, %(external)s, %(source_version)s, %(state)s, %(end_at)s)
        """,
        tenant=tx.tenant,
        id=engagement_id,
        worker_id=who.worker.id,
        vms_system=vms_system,
        terms=order.terms.model_dump(mode="json"),
        external=order.external.model_dump(mode="json"),
        source_version=source_version,
        state=EngagementState.REQUESTED,
        end_at=end_at,
    )
    timers.arm(tx, engagement_id, timers.TimerKind.END, end_at)
    return identity_cases.review(tx, engagement_rows.get(tx, engagement_id), who.likenesses)


def _worker(tx: Tx, vms_system: str, order: WorkOrder, person_id: str | None, actor: Actor) -> Correlated:
    """Whose it is; whom they look like is for a person to decide."""
    return correlate(tx, vms_system, order, Clues(person_id or order.external.person_id), actor)


def _advances(tx: Tx, known: Engagement, source_version: str, *, again: bool) -> bool:
    """Store the version if it is newer. Versions compare by code point, as ``SourceRecord`` defines them."""
    statement = """
        UPDATE engagements SET source_version = %(version)s
        WHERE id = %(id)s AND (source_version < %(version)s OR (%(again)s AND source_version = %(version)s))
    """
    return tx.execute(statement, version=source_version, again=again, id=known.id) == 1


def _keep_lineage(tx: Tx, engagement_id: UUID, lineage: SourceLineage | None) -> None:
    if lineage is not None:
        tx.execute(
            "UPDATE engagements SET source_lineage = %(lineage)s WHERE id = %(id)s",
            lineage=lineage.model_dump(mode="json"),
            id=engagement_id,
        )


def _of_another(tx: Tx, known: Engagement, order: WorkOrder, source_version: str) -> Engagement:
    """Ask who it is; the stint may stop earlier all the same, as the order says."""
    asked = reassignment.ask(tx, known, order, source_version)
    return bring_end_forward(tx, asked.id, _with_end(known.terms, order.terms))


def _with_end(terms: EngagementTerms, said: EngagementTerms) -> EngagementTerms:
    """``terms`` with the end of ``said``: as an instant, where its last day lies before their first one."""
    ends_as = {name: getattr(said, name) for name in DECIDE_THE_END}
    if said.ends_on < terms.starts_on:
        return terms.model_copy(update={"terminates_at": said.end_instant()})
    return terms.model_copy(update=ends_as)


def _update(tx: Tx, known: Engagement, order: WorkOrder) -> tuple[Engagement, Change]:
    changed = known.with_order(order)
    if changed == known:
        return known, Change.UNCHANGED
    workers.set_profile(tx, known.worker, order.worker)
    reported = changed.reported_terms
    tx.execute(
        """
        UPDATE engagements
        SET terms = %(terms)s, reported_terms = %(reported)s, external = %(external)s, end_at = %(end_at)s,
            updated_at = clock_timestamp()
        WHERE id = %(id)s
        """,
        terms=changed.terms.model_dump(mode="json"),
        reported=None if reported is None else reported.model_dump(mode="json"),
        external=order.external.model_dump(mode="json"),
        end_at=changed.end_at,
        id=known.id,
    )
    return ends.follow(tx, known, engagement_rows.get(tx, known.id)), Change.UPDATED
