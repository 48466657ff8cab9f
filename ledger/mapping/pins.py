"""Which versions of mappings running engagements are pinned to: counted, and found without reading the engagements themselves."""

from __future__ import annotations

from uuid import UUID

from ledger.database import Tx
from workforce.states import OVER, EngagementState

_FIRST = UUID(int=0)


def counts(tx: Tx) -> dict[tuple[str, str], int]:
    """(mapping id, label) → how many running engagements are pinned to it."""
    rows = tx.all(
        """
        SELECT pin.key AS mapping_id, pin.value AS label, count(*) AS number
        FROM engagements, jsonb_each_text(mapping_pins) AS pin
        WHERE tombstoned_at IS NULL AND state <> ALL(%(over)s)
        GROUP BY pin.key, pin.value ORDER BY pin.key, pin.value
        """,
        over=[str(state) for state in OVER],
    )
    return {(row["mapping_id"], row["label"]): row["number"] for row in rows}


def elsewhere(tx: Tx, mapping_id: str, label: str, *, after: UUID | None = None, limit: int) -> list[UUID]:
    """Running engagements that are pinned to another version of the mapping than ``label``, by id, those behind ``after``."""
    rows = tx.all(
        """
        SELECT id FROM engagements
        WHERE id > %(after)s AND mapping_pins ->> %(mapping_id)s <> %(label)s
          AND tombstoned_at IS NULL AND state <> ALL(%(over)s)
        ORDER BY id LIMIT %(limit)s
        """,
        after=after or _FIRST,
        mapping_id=mapping_id,
        label=label,
        over=[str(state) for state in OVER],
        limit=limit,
    )
    return [row["id"] for row in rows]


def count_elsewhere(tx: Tx, mapping_id: str, label: str) -> int:
    """How many running engagements are pinned to another version of the mapping than ``label``."""
    return sum(number for (id_, pinned), number in counts(tx).items() if id_ == mapping_id and pinned != label)


def newest(tx: Tx, states: frozenset[EngagementState], *, limit: int) -> list[UUID]:
    """The engagements in one of ``states`` that were made last, newest first."""
    rows = tx.all(
        """
        SELECT id FROM engagements WHERE tombstoned_at IS NULL AND state = ANY(%(states)s)
        ORDER BY created_at DESC, id DESC LIMIT %(limit)s
        """,
        states=[str(state) for state in states],
        limit=limit,
    )
    return [row["id"] for row in rows]
