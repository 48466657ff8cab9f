"""Whose sign-in should be blocked and is not proven to be, of all endings of a tenant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.database import Tx


@dataclass(frozen=True, slots=True)
class Unblocked:
    """An engagement whose ending has begun, and the worker's accounts in one directory, as far as the ledger knows them.

    ``is_supported``: another engagement of the worker wants the sign-in as well; whether it counts yet has to be asked.
    """

    engagement_id: UUID
    epoch: int
    tombstoned_at: datetime
    account_ids: tuple[str, ...]
    is_supported: bool


def unblocked(tx: Tx, directory: str, *, but: Collection[UUID] = (), limit: int = 100) -> list[Unblocked]:
    """Endings in ``directory`` whose sign-in is not proven to be blocked, the oldest first, without those in ``but``.

    Those of which no account is known are left out: an account that may have been made has to be searched for.
    """
    rows = tx.all(
        """
        SELECT id, epoch, tombstoned_at, account_ids, is_supported
        FROM (
            SELECT engagements.id, engagements.epoch, engagements.tombstoned_at,
                ARRAY(
                    SELECT external_id FROM external_identities
                    WHERE system = %(directory)s AND kind = 'account' AND internal_id = engagements.worker_id
                    UNION
                    SELECT vendor_id FROM effects
                    WHERE effects.tenant = engagements.tenant AND engagement_id = engagements.id AND target = %(directory)s
                      AND kind = 'create_account' AND vendor_id IS NOT NULL
                ) AS account_ids,
                EXISTS (
                    SELECT 1 FROM grants AS others
                    WHERE others.tenant = engagements.tenant AND others.worker_id = engagements.worker_id
                      AND others.engagement_id <> engagements.id AND others.directory = %(directory)s AND others.kind = 'sign_in'
                      AND others.unwanted_at IS NULL AND others.revoked_at IS NULL
                ) AS is_supported
            FROM engagements
            WHERE tombstoned_at IS NOT NULL AND id <> ALL(%(but)s)
              AND (tenant, id) IN (
                  SELECT tenant, engagement_id FROM grants
                  WHERE directory = %(directory)s AND kind = 'sign_in' AND unwanted_at IS NOT NULL AND revoked_at IS NULL
              )
        ) AS ending
        WHERE account_ids <> '{}'
        ORDER BY tombstoned_at, id
        LIMIT %(limit)s
        """,
        directory=directory,
        but=list(but),
        limit=limit,
    )
    return [
        Unblocked(row["id"], row["epoch"], row["tombstoned_at"], tuple(sorted(row["account_ids"])), row["is_supported"])
        for row in rows
    ]


def note_blocked(tx: Tx, directory: str, epochs: Mapping[UUID, int]) -> None:
    """Note that the sign-in of these engagements (id → epoch at which it was looked at) was read back as blocked; not of those that moved on."""
    tx.execute(
        """
        UPDATE grants SET revoked_at = clock_timestamp()
        FROM engagements, unnest(%(ids)s::uuid[], %(epochs)s::int[]) AS seen (engagement_id, epoch)
        WHERE engagements.id = seen.engagement_id AND engagements.epoch = seen.epoch
          AND grants.tenant = engagements.tenant AND grants.engagement_id = engagements.id
          AND directory = %(directory)s AND kind = 'sign_in' AND unwanted_at IS NOT NULL AND revoked_at IS NULL
        """,
        ids=list(epochs),
        epochs=list(epochs.values()),
        directory=directory,
    )


def directories_of(tx: Tx, engagement_ids: Collection[UUID]) -> list[str]:
    """The directories in which sign-in of one of these engagements is not proven to be blocked."""
    rows = tx.all(
        """
        SELECT DISTINCT directory FROM grants
        WHERE engagement_id = ANY(%(ids)s) AND kind = 'sign_in' AND unwanted_at IS NOT NULL AND revoked_at IS NULL
        ORDER BY directory
        """,
        ids=list(engagement_ids),
    )
    return [row["directory"] for row in rows]


def still_being_blocked(tx: Tx, engagement_ids: Collection[UUID], *, since_seconds: float) -> int:
    """For how many of these engagements sign-in is not proven to be blocked somewhere, and the ending began within ``since_seconds``."""
    row = tx.the(
        """
        SELECT count(DISTINCT engagements.id) AS number
        FROM engagements JOIN grants ON grants.tenant = engagements.tenant AND grants.engagement_id = engagements.id
        WHERE engagements.id = ANY(%(ids)s) AND kind = 'sign_in' AND unwanted_at IS NOT NULL AND revoked_at IS NULL
          AND tombstoned_at > clock_timestamp() - make_interval(secs => %(seconds)s)
        """,
        ids=list(engagement_ids),
        seconds=since_seconds,
    )
    return int(row["number"])
