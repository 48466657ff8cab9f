"""Workers as stored. Namesakes are never merged: a worker is known by its id and its marker, not by name or address."""

from __future__ import annotations

from uuid import UUID

from ledger.database import Row, Tx
from ledger.ids import uuid7
from ledger.trail import audit
from workforce.engagement import Worker, WorkerProfile
from workforce.errors import NotFound
from workforce.events import HUB, Actor
from workforce.likeness import like_address, like_name
from workforce.markers import new_marker

_PROFILE = tuple(WorkerProfile.model_fields)


def create(tx: Tx, profile: WorkerProfile, *, actor: Actor = HUB) -> Worker:
    """A new worker with a fresh marker."""
    worker = Worker(id=uuid7(), tenant=tx.tenant, marker=new_marker(), profile=profile)
    tx.execute(
        """
        INSERT INTO workers (tenant, id, marker, given_name, family_name, personal_email, country, phone, like_name, like_address)
        VALUES (%(tenant)s, %(id)s, %(marker)s,
                %(given_name)s, %(family_name)s, %(personal_email)s, %(country)s, %(phone)s, %(like_name)s, %(like_address)s)
        """,
        tenant=tx.tenant,
        id=worker.id,
        marker=worker.marker,
        like_name=like_name(profile),
        like_address=like_address(profile),
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
            country = %(country)s, phone = %(phone)s, like_name = %(like_name)s, like_address = %(like_address)s
        WHERE id = %(id)s
        """,
        id=worker.id,
        like_name=like_name(profile),
        like_address=like_address(profile),
        **profile.model_dump(),
    )


def look_alikes(tx: Tx, profile: WorkerProfile, *, but: UUID) -> list[Worker]:
    """The workers, ``but`` one, who may be the same person by mailbox, or by name and country, oldest first.

    Only those who have, or had, an engagement count. Until the commit, nobody else who looks alike is looked for: of two who come at the
    same moment the second sees the first.
    """
    keys = {"like_name": like_name(profile), "like_address": like_address(profile)}
    for key in sorted(key.hex() for key in keys.values()):
        tx.one("SELECT pg_advisory_xact_lock(hashtextextended('look_alike:' || %(key)s, 0))", key=f"{tx.tenant}:{key}")
    _work_out_likeness(tx)
    rows = tx.all(
        """
        SELECT * FROM workers
        WHERE id <> %(but)s AND (like_name = %(like_name)s OR like_address = %(like_address)s)
          AND EXISTS (SELECT 1 FROM engagements WHERE worker_id = workers.id)
        ORDER BY created_at, id
        """,
        but=but,
        **keys,
    )
    return [from_row(row) for row in rows]


def do_not_rehire(tx: Tx, worker_id: UUID) -> str | None:
    """Why the worker is not to be engaged again without a reviewer; ``None`` where nothing speaks against it."""
    row = tx.one("SELECT do_not_rehire FROM workers WHERE id = %(id)s", id=worker_id)
    return None if row is None else row["do_not_rehire"]


def set_do_not_rehire(tx: Tx, worker: Worker, reason: str | None, actor: Actor, *, because: str) -> None:
    """Note, or with ``None`` take back, that a reviewer decides about each new engagement of the worker. Audited with ``because``."""
    tx.execute("UPDATE workers SET do_not_rehire = %(reason)s WHERE id = %(id)s", reason=reason, id=worker.id)
    action = "worker.rehire_allowed" if reason is None else "worker.do_not_rehire"
    audit.note(tx, action, target=("worker", str(worker.id)), actor=actor, marker=worker.marker, reason=because)


def _work_out_likeness(tx: Tx) -> None:
    """Work out what was not kept of workers who were made before it was."""
    while rows := tx.all("SELECT * FROM workers WHERE like_address IS NULL LIMIT 500 FOR UPDATE"):
        for worker in map(from_row, rows):
            set_profile(tx, worker, worker.profile)


def from_row(row: Row) -> Worker:
    """A worker from the columns of ``workers``."""
    profile = WorkerProfile(**{name: row[name] for name in _PROFILE})
    return Worker(id=row["id"], tenant=row["tenant"], marker=row["marker"], profile=profile)
