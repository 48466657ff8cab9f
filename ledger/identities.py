"""Who somebody is elsewhere: ids in other systems, and the login that is reserved for ever."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from ledger import audit
from ledger.database import Tx
from workforce.errors import AlreadyTaken, Refused


def link(tx: Tx, system: str, kind: str, internal_id: UUID, external_id: str) -> None:
    """Keep that ``internal_id`` is ``external_id`` in ``system``. The same pair again is no change.

    Raises ``AlreadyTaken`` when either side is linked to something else.
    """
    statement = """
        INSERT INTO external_identities (tenant, system, kind, internal_id, external_id)
        VALUES (%(tenant)s, %(system)s, %(kind)s, %(internal_id)s, %(external_id)s)
        ON CONFLICT DO NOTHING
    """
    ids = {"tenant": tx.tenant, "system": system, "kind": kind, "internal_id": internal_id, "external_id": external_id}
    if tx.execute(statement, **ids):
        audit.note(tx, "identity.linked", target=(kind, str(internal_id)), system=system, external_id=external_id)
    elif by_external(tx, system, kind, external_id) != internal_id:
        raise AlreadyTaken(
            f"{system}: the {kind} {external_id} or its counterpart {internal_id} is linked to another; decide which link is right",
            cause="identity_conflict",
            field="external_id",
        )


def external_id(tx: Tx, system: str, kind: str, internal_id: UUID) -> str | None:
    """The id in ``system`` of something of ours."""
    row = tx.one(
        """
        SELECT external_id FROM external_identities
        WHERE system = %(system)s AND kind = %(kind)s AND internal_id = %(internal_id)s
        """,
        system=system,
        kind=kind,
        internal_id=internal_id,
    )
    return None if row is None else str(row["external_id"])


def by_external(tx: Tx, system: str, kind: str, external_id: str) -> UUID | None:
    """Our id of something in ``system``."""
    row = tx.one(
        """
        SELECT internal_id FROM external_identities
        WHERE system = %(system)s AND kind = %(kind)s AND external_id = %(external_id)s
        """,
        system=system,
        kind=kind,
        external_id=external_id,
    )
    return None if row is None else UUID(str(row["internal_id"]))


def login_of(tx: Tx, worker_id: UUID) -> str | None:
    """The login that is reserved for the worker."""
    row = tx.one("SELECT login FROM logins WHERE worker_id = %(worker_id)s", worker_id=worker_id)
    return None if row is None else str(row["login"])


def reserve_login(tx: Tx, worker_id: UUID, candidates: Iterable[str]) -> str:
    """The worker's login: the one it has, else the first candidate that nobody in the tenant has ever had (case aside).

    Raises ``Refused`` (cause ``no_login_left``).
    """
    known = login_of(tx, worker_id)
    if known is not None:
        return known
    for candidate in candidates:
        statement = """
            INSERT INTO logins (tenant, login, worker_id) VALUES (%(tenant)s, %(login)s, %(worker_id)s)
            ON CONFLICT DO NOTHING
        """
        if tx.execute(statement, tenant=tx.tenant, login=candidate, worker_id=worker_id):
            audit.note(tx, "login.reserved", target=("worker", str(worker_id)))
            return candidate
        known = login_of(tx, worker_id)  # the conflict may be our own reservation, made by another runner just now
        if known is not None:
            return known
    raise Refused(f"worker {worker_id}: every candidate login is taken; give a longer list", cause="no_login_left", field="login")
