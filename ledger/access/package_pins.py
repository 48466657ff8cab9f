"""Which versions of access packages running engagements are pinned to."""

from __future__ import annotations

from uuid import UUID

from ledger.database import Tx
from workforce.states import OVER


def counts(tx: Tx) -> dict[tuple[str, int], int]:
    """(package, version) → how many running engagements are pinned to it."""
    rows = tx.all(
        """
        SELECT pin.key AS package, pin.value::integer AS version, count(*) AS number
        FROM engagements, jsonb_each_text(access_pins) AS pin
        WHERE tombstoned_at IS NULL AND state <> ALL(%(over)s)
        GROUP BY pin.key, pin.value ORDER BY pin.key, pin.value::integer
        """,
        over=[str(state) for state in OVER],
    )
    return {(row["package"], row["version"]): row["number"] for row in rows}


def elsewhere(tx: Tx, package: str, version: int) -> list[UUID]:
    """Running engagements that are pinned to another version of the package, the oldest first."""
    rows = tx.all(
        """
        SELECT id FROM engagements
        WHERE (access_pins ->> %(package)s)::integer <> %(version)s AND tombstoned_at IS NULL AND state <> ALL(%(over)s)
        ORDER BY created_at, id
        """,
        package=package,
        version=version,
        over=[str(state) for state in OVER],
    )
    return [row["id"] for row in rows]


def alike(tx: Tx) -> list[tuple[UUID, int]]:
    """Running engagements of the same role, client unit and location: one of them, and how many there are."""
    rows = tx.all(
        """
        SELECT (array_agg(id ORDER BY id))[1] AS one, count(*) AS number
        FROM engagements WHERE tombstoned_at IS NULL AND state <> ALL(%(over)s)
        GROUP BY terms ->> 'role', terms ->> 'client_unit', terms ->> 'location'
        """,
        over=[str(state) for state in OVER],
    )
    return [(row["one"], row["number"]) for row in rows]
