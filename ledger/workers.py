"""Workers as stored. Namesakes are never merged: a worker is known by its id and its marker, not by name or address."""

from __future__ import annotations

from uuid import UUID

from ledger import audit
from ledger.database import Row, Tx
from ledger.ids import uuid7
from workforce.engagement import Worker, WorkerProfile
from workforce.errors import NotFound
from workforce.events import HUB, Actor
from workforce.markers import new_marker

_PROFILE = tuple(WorkerProfile.model_fields)


def create(tx: Tx, profile: WorkerProfile, *, actor: Actor = HUB) -> Worker:
    """A new worker with a fresh marker."""
    worker = Worker(id=uuid7(), tenant=tx.tenant, marker=new_marker(), profile=profile)
    tx.execute(
        """
        INSERT INTO workers (tenant, id, marker, given_name, family_name, personal_email, country, phone)
        VALUES (%(tenant)s, %(id)s, %(marker)s,
                %(given_name)s, %(family_name)s, %(personal_email)s, %(country)s, %(phone)s)
        """,
        tenant=tx.tenant,
        id=worker.id,
        marker=worker.marker,
        **profile.model_dump(),
    )
    audit.note(tx, "worker.created", target=("worker", str(worker.id)), actor=actor, marker=worker.marker)
    return worker


def get(tx: Tx, worker_id: UUID) -> Worker:
    """The worker. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM workers WHERE id = %(id)s", id=worker_id)
    if row is None:
        raise NotFound(f"worker {worker_id} does not exist", field="worker_id")
    return from_row(row)


def by_marker(tx: Tx, marker: str) -> Worker | None:
    """The worker whose accounts carry ``marker``."""
    row = tx.one("SELECT * FROM workers WHERE marker = %(marker)s", marker=marker)
    return None if row is None else from_row(row)


def set_profile(tx: Tx, worker: Worker, profile: WorkerProfile) -> None:
    """Store ``profile``."""
    tx.execute(
        """
        UPDATE workers
        SET given_name = %(given_name)s, family_name = %(family_name)s, personal_email = %(personal_email)s,
            country = %(country)s, phone = %(phone)s
        WHERE id = %(id)s
        """,
        id=worker.id,
        **profile.model_dump(),
    )


def from_row(row: Row) -> Worker:
    """A worker from the columns of ``workers``."""
    profile = WorkerProfile(**{name: row[name] for name in _PROFILE})
    return Worker(id=row["id"], tenant=row["tenant"], marker=row["marker"], profile=profile)
