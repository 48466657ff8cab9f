"""Endings that have to be looked after: those that began lately, those that are not proven yet, and those with licences left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from ledger.database import Tx

_LIMIT = 10_000
_SELECT = "SELECT id, worker_id, tombstoned_at, end_at, revoked_verified_at FROM engagements "


@dataclass(frozen=True, slots=True)
class Ended:
    """An engagement whose ending has begun, at ``tombstoned_at``. ``proven_at``: when its access was first proven to be gone."""

    engagement_id: UUID
    worker_id: UUID
    tombstoned_at: datetime
    end_at: datetime
    proven_at: datetime | None


@dataclass(frozen=True, slots=True)
class KnownAccount:
    """An account that the ledger knows as the worker's, in one directory (connector instance)."""

    worker_id: UUID
    directory: str
    account_id: str


def begun_since(tx: Tx, instant: datetime) -> list[Ended]:
    """Endings that began since ``instant``, the oldest first."""
    return _found(tx, "WHERE tombstoned_at >= %(instant)s ORDER BY tombstoned_at, id LIMIT %(limit)s", instant=instant)


def unproven(tx: Tx) -> list[Ended]:
    """Endings of which it is not proven that the access is gone, however old, the oldest end first."""
    return _found(tx, "WHERE tombstoned_at IS NOT NULL AND revoked_verified_at IS NULL ORDER BY end_at, id LIMIT %(limit)s")


def accounts_since(tx: Tx, instant: datetime) -> list[KnownAccount]:
    """The accounts of the workers of whom an ending began since ``instant``: those linked to them, and those ever made for them."""
    rows = tx.all(
        """
        WITH ended AS (SELECT DISTINCT worker_id FROM engagements WHERE tombstoned_at >= %(instant)s)
        SELECT ended.worker_id, system AS directory, external_id AS account_id
        FROM ended JOIN external_identities ON internal_id = ended.worker_id AND kind = 'account'
        UNION
        SELECT ended.worker_id, target, vendor_id
        FROM ended
        JOIN engagements USING (worker_id)
        JOIN effects ON effects.tenant = engagements.tenant AND effects.engagement_id = engagements.id
        WHERE effects.kind = 'create_account' AND vendor_id IS NOT NULL
        ORDER BY 2, 3
        """,
        instant=instant,
    )
    return [KnownAccount(row["worker_id"], row["directory"], row["account_id"]) for row in rows]


def with_licences_left(tx: Tx, worker_id: UUID) -> list[UUID]:
    """The worker's engagements whose ending has begun and that still hold a licence which is wanted no more."""
    rows = tx.all(
        """
        SELECT DISTINCT engagements.id
        FROM grants JOIN engagements ON engagements.tenant = grants.tenant AND engagements.id = grants.engagement_id
        WHERE grants.worker_id = %(worker_id)s AND kind = 'licence' AND unwanted_at IS NOT NULL AND revoked_at IS NULL
          AND tombstoned_at IS NOT NULL
        ORDER BY engagements.id
        """,
        worker_id=worker_id,
    )
    return [row["id"] for row in rows]


def trail_head(tx: Tx) -> tuple[int, str]:
    """Number and hash (hex) of the newest event of the tenant's audit trail; 0 and nothing while there is none."""
    row = tx.one("SELECT seq, encode(event_hash, 'hex') AS hash FROM audit_events ORDER BY seq DESC LIMIT 1")
    return (0, "") if row is None else (row["seq"], row["hash"])


def _found(tx: Tx, chosen: LiteralString, **values: object) -> list[Ended]:
    rows = tx.all(_SELECT + chosen, limit=_LIMIT, **values)
    return [Ended(r["id"], r["worker_id"], r["tombstoned_at"], r["end_at"], r["revoked_verified_at"]) for r in rows]
