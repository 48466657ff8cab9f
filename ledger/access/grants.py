"""Grants: what each engagement supports in each directory, with its reason, and what was proven of it by reading back.

A row is one life of one entitlement: wanted → granted (read back) → unwanted → revoked (read back). What an engagement should have are its
rows that are still wanted; what a person should have is the union over all engagements (``provisioning.desired``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from ledger import engagement_rows
from ledger.database import Row, Tx
from ledger.ids import uuid7
from workforce.access import Entitlement, EntitlementKind
from workforce.engagement import Engagement
from workforce.states import STANDING


@dataclass(frozen=True, slots=True)
class Grant:
    """One life of one entitlement. ``reason`` says why: package, version, who approved. Instants are UTC, by the database's clock."""

    id: UUID
    worker_id: UUID
    engagement_id: UUID
    directory: str
    entitlement: Entitlement
    reason: Mapping[str, Any]
    ends_at: datetime
    wanted_at: datetime
    account_id: str | None = None
    granted_at: datetime | None = None
    unwanted_at: datetime | None = None
    unwanted_because: str | None = None
    revoked_at: datetime | None = None


def want(
    tx: Tx,
    engagement: Engagement,
    directory: str,
    wanted: Mapping[Entitlement, Mapping[str, Any]],
    *,
    because: str = "not_in_package",
) -> None:
    """Make ``wanted`` (entitlement → reason) what the engagement supports in ``directory``; what is not in it is wanted no more.

    What is wanted already keeps its row and its reason; its end follows the engagement's.
    """
    known = {grant.entitlement: grant for grant in wanted_of(tx, engagement.id, directory)}
    for entitlement, reason in wanted.items():
        if entitlement not in known:
            _insert(tx, engagement, directory, entitlement, reason)
    unwant(tx, engagement.id, [grant.id for each, grant in known.items() if each not in wanted], because=because)
    tx.execute(
        """
        UPDATE grants SET ends_at = %(ends_at)s
        WHERE engagement_id = %(id)s AND directory = %(directory)s AND unwanted_at IS NULL AND ends_at <> %(ends_at)s
        """,
        ends_at=engagement.end_at,
        id=engagement.id,
        directory=directory,
    )


def unwant(tx: Tx, engagement_id: UUID, grant_ids: Collection[UUID], *, because: str) -> int:
    """Want the given rows of the engagement no more; how many were."""
    return tx.execute(
        """
        UPDATE grants SET unwanted_at = clock_timestamp(), unwanted_because = %(because)s
        WHERE engagement_id = %(engagement_id)s AND id = ANY(%(ids)s) AND unwanted_at IS NULL
        """,
        because=because,
        engagement_id=engagement_id,
        ids=list(grant_ids),
    )


def unwant_all(tx: Tx, engagement_id: UUID, *, because: str) -> int:
    """Want nothing of the engagement any more; how many rows were wanted. ``because`` tells them from others when they are restored."""
    return unwant(tx, engagement_id, [grant.id for grant in wanted_of(tx, engagement_id)], because=because)


def restore(tx: Tx, engagement: Engagement, *, because: str) -> list[Grant]:
    """Want again exactly what ``unwant_all(…, because=because)`` ended, with the same reasons; the new rows."""
    rows = tx.all(
        "SELECT * FROM grants WHERE engagement_id = %(id)s AND unwanted_because = %(because)s ORDER BY id",
        id=engagement.id,
        because=because,
    )
    for grant in map(_grant, rows):
        _insert(tx, engagement, grant.directory, grant.entitlement, grant.reason)
    return wanted_of(tx, engagement.id)


def proven(tx: Tx, engagement_id: UUID, directory: str, account_id: str, held: Collection[Entitlement]) -> int:
    """Note that ``held`` was read back from the account; how many of the engagement's wanted rows that proves for the first time."""
    return tx.execute(
        """
        UPDATE grants SET granted_at = clock_timestamp(), account_id = %(account_id)s
        WHERE engagement_id = %(engagement_id)s AND directory = %(directory)s AND granted_at IS NULL AND unwanted_at IS NULL
          AND kind || ' ' || entitlement = ANY(%(held)s)
        """,
        account_id=account_id,
        engagement_id=engagement_id,
        directory=directory,
        held=_keys(held),
    )


def revoked(tx: Tx, rows: Iterable[Grant], gone: Collection[Entitlement]) -> int:
    """Note that ``gone`` was read back as gone, or that somebody else needs it from now on; how many of ``rows`` that closes.

    ``rows`` is what ``to_revoke`` told before the directory was asked. Whatever became unwanted while it answered was not looked for, and
    stays to be revoked.
    """
    return tx.execute(
        """
        UPDATE grants SET revoked_at = clock_timestamp()
        WHERE id = ANY(%(ids)s) AND revoked_at IS NULL AND unwanted_at IS NOT NULL
        """,
        ids=[grant.id for grant in rows if grant.entitlement in gone],
    )


def not_yet(tx: Tx, engagement_id: UUID, directory: str, entitlement: Entitlement) -> int:
    """What was given already is wanted for later only: its life ends, and another begins that was not proven yet; how many did."""
    given = [g for g in wanted_of(tx, engagement_id, directory) if g.entitlement == entitlement and g.granted_at is not None]
    for grant in given:
        unwant(tx, engagement_id, [grant.id], because="not_started")
        revoked(tx, [grant], {entitlement})
        _insert(tx, engagement_rows.get(tx, engagement_id), directory, entitlement, grant.reason)
    return len(given)


def wanted_of(tx: Tx, engagement_id: UUID, directory: str | None = None) -> list[Grant]:
    """What the engagement supports now, in one directory or in all."""
    rows = tx.all(
        """
        SELECT * FROM grants
        WHERE engagement_id = %(id)s AND unwanted_at IS NULL AND (%(directory)s::text IS NULL OR directory = %(directory)s)
        ORDER BY directory, kind, entitlement
        """,
        id=engagement_id,
        directory=directory,
    )
    return [_grant(row) for row in rows]


def to_revoke(tx: Tx, engagement_id: UUID, directory: str | None = None) -> list[Grant]:
    """What the engagement wants no more and of which it is not proven that it is gone. It may never have been given."""
    rows = tx.all(
        """
        SELECT * FROM grants
        WHERE engagement_id = %(id)s AND unwanted_at IS NOT NULL AND revoked_at IS NULL
          AND (%(directory)s::text IS NULL OR directory = %(directory)s)
        ORDER BY directory, kind, entitlement
        """,
        id=engagement_id,
        directory=directory,
    )
    return [_grant(row) for row in rows]


def history_of(tx: Tx, engagement_id: UUID) -> list[Grant]:
    """Every row of the engagement, oldest first."""
    rows = tx.all("SELECT * FROM grants WHERE engagement_id = %(id)s ORDER BY wanted_at, id", id=engagement_id)
    return [_grant(row) for row in rows]


def supports(tx: Tx, worker_id: UUID, directory: str) -> list[tuple[UUID, frozenset[Entitlement]]]:
    """What each engagement of the worker that is cleared or active and not ending wants in ``directory``: (engagement, entitlements)."""
    rows = tx.all(
        """
        SELECT grants.engagement_id, grants.kind, grants.entitlement
        FROM grants JOIN engagements ON engagements.id = grants.engagement_id AND engagements.tenant = grants.tenant
        WHERE grants.worker_id = %(worker_id)s AND grants.directory = %(directory)s AND grants.unwanted_at IS NULL
          AND engagements.tombstoned_at IS NULL AND engagements.suspended_at IS NULL AND engagements.state = ANY(%(states)s)
        """,
        worker_id=worker_id,
        directory=directory,
        states=sorted(STANDING),
    )
    found: dict[UUID, set[Entitlement]] = {}
    for row in rows:
        found.setdefault(row["engagement_id"], set()).add(_entitlement(row))
    return [(engagement_id, frozenset(entitlements)) for engagement_id, entitlements in sorted(found.items())]


def is_anything_held(tx: Tx, worker_id: UUID, directory: str) -> bool:
    """Whether something was read back of the worker's account in ``directory`` that was not seen to be gone since, for any engagement."""
    row = tx.one(
        """
        SELECT 1 FROM grants
        WHERE worker_id = %(worker_id)s AND directory = %(directory)s AND granted_at IS NOT NULL AND revoked_at IS NULL LIMIT 1
        """,
        worker_id=worker_id,
        directory=directory,
    )
    return row is not None


def _insert(tx: Tx, engagement: Engagement, directory: str, entitlement: Entitlement, reason: Mapping[str, Any]) -> None:
    tx.execute(
        """
        INSERT INTO grants (tenant, id, worker_id, engagement_id, directory, kind, entitlement, reason, ends_at)
        VALUES (%(tenant)s, %(id)s, %(worker_id)s, %(engagement_id)s, %(directory)s, %(kind)s, %(entitlement)s, %(reason)s, %(ends_at)s)
        ON CONFLICT DO NOTHING
        """,
        tenant=tx.tenant,
        id=uuid7(),
        worker_id=engagement.worker.id,
        engagement_id=engagement.id,
        directory=directory,
        kind=entitlement.kind,
        entitlement=entitlement.id,
        reason=dict(reason),
        ends_at=engagement.end_at,
    )


def _keys(entitlements: Collection[Entitlement]) -> list[str]:
    return [f"{each.kind.value} {each.id}" for each in entitlements]


def _entitlement(row: Row) -> Entitlement:
    return Entitlement(EntitlementKind(row["kind"]), row["entitlement"])


def _grant(row: Row) -> Grant:
    names = ("id", "worker_id", "engagement_id", "directory", "reason", "ends_at", "wanted_at", "account_id", "granted_at", "unwanted_at",
             "unwanted_because", "revoked_at")  # fmt: skip
    return Grant(entitlement=_entitlement(row), **{name: row[name] for name in names})
