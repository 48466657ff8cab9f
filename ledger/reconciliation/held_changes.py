"""What the brake held, and what it let through within the hour. A held change waits until a person releases it or throws it away."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from ledger.database import Row, Tx
from ledger.ids import uuid7
from ledger.trail import audit
from workforce.errors import NotFound, Refused
from workforce.events import HUB, Actor, Outcome


class Decision(StrEnum):
    """What became of a held change."""

    RELEASED = "released"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class WantedChange:
    """What a source wants. ``subject`` is unique within source and kind; ``details`` are ids, versions and instants."""

    kind: str
    subject: str
    engagement_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeldChange:
    """A change as it was noted. One that was let through is not ``held``."""

    id: UUID
    source: str
    kind: str
    subject: str
    engagement_id: UUID | None
    details: Mapping[str, Any]
    noted_at: datetime
    held: bool
    decided_at: datetime | None = None
    decided_by: str | None = None
    decision: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StandingEnd:
    """When a stint that runs stops, as far as is known, and by which version of the source's record."""

    engagement_id: UUID
    end_at: datetime
    source_version: str


def hold(tx: Tx, source: str, wanted: WantedChange, *, pending: bool = False) -> None:
    """Note a change that is not made now; one that waits already takes on the newest details. A ``pending`` one is not decided yet."""
    tx.execute(
        """
        INSERT INTO held_changes (tenant, id, source, kind, subject, engagement_id, details, held)
        VALUES (%(tenant)s, %(id)s, %(source)s, %(kind)s, %(subject)s, %(engagement_id)s, %(details)s, true)
        ON CONFLICT (tenant, source, kind, subject) WHERE held AND decided_at IS NULL DO UPDATE SET details = excluded.details
        """,
        tenant=tx.tenant,
        id=uuid7(),
        source=source,
        kind=wanted.kind,
        subject=wanted.subject,
        engagement_id=wanted.engagement_id,
        details={**wanted.details, "pending": pending},
    )


def keep_back(tx: Tx, pending: Iterable[HeldChange]) -> None:
    """What was not decided yet waits for a person, audited."""
    for change in pending:
        tx.execute("UPDATE held_changes SET details = details || '{\"pending\": false}' WHERE id = %(id)s", id=change.id)
        audit.note(
            tx, "change.held", target=("held_change", change.subject), outcome=Outcome.PENDING, engagement_id=change.engagement_id,
            system=change.source, reason_code="mass_change", kind=change.kind, wanted=dict(change.details),
        )  # fmt: skip


def let_through(tx: Tx, change_id: UUID) -> None:
    """The change passed, just now: it counts for the hour."""
    tx.execute("UPDATE held_changes SET held = false, noted_at = clock_timestamp() WHERE id = %(id)s", id=change_id)


def within_the_hour(tx: Tx, source: str, kinds: Collection[str]) -> int:
    """How many changes of these kinds were let through within the last hour, by the database's clock."""
    row = tx.the(
        """
        SELECT count(*) AS number FROM held_changes
        WHERE source = %(source)s AND kind = ANY(%(kinds)s) AND NOT held AND noted_at > clock_timestamp() - interval '1 hour'
        """,
        source=source,
        kinds=list(kinds),
    )
    return int(row["number"])


def waiting(tx: Tx, source: str | None = None, *, pending: bool = False, limit: int = 100_000) -> list[HeldChange]:
    """What waits for a person, oldest first; with ``pending``, what is not decided yet."""
    rows = tx.all(
        """
        SELECT * FROM held_changes
        WHERE held AND decided_at IS NULL AND (%(source)s::text IS NULL OR source = %(source)s)
          AND coalesce((details ->> 'pending')::boolean, false) = %(pending)s
        ORDER BY noted_at, id LIMIT %(limit)s
        """,
        source=source,
        pending=pending,
        limit=limit,
    )
    return [_from_row(row) for row in rows]


def newest_of(tx: Tx, source: str, kinds: Collection[str], subject: str) -> HeldChange | None:
    """The newest change of a subject that was ever held, decided or not."""
    row = tx.one(
        """
        SELECT * FROM held_changes
        WHERE source = %(source)s AND kind = ANY(%(kinds)s) AND held AND subject = %(subject)s
        ORDER BY noted_at DESC, id DESC LIMIT 1
        """,
        source=source,
        kinds=list(kinds),
        subject=subject,
    )
    return None if row is None else _from_row(row)


def noted(tx: Tx, source: str, subjects: Collection[str]) -> dict[str, HeldChange]:
    """The newest change of each subject, be it held, decided or let through."""
    rows = tx.all(
        """
        SELECT DISTINCT ON (subject) * FROM held_changes
        WHERE source = %(source)s AND subject = ANY(%(subjects)s) ORDER BY subject, noted_at DESC, id DESC
        """,
        source=source,
        subjects=list(subjects),
    )
    return {row["subject"]: _from_row(row) for row in rows}


def get(tx: Tx, change_id: UUID) -> HeldChange:
    """One change. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM held_changes WHERE id = %(id)s AND held", id=change_id)
    if row is None:
        raise NotFound(f"no held change {change_id}; see: stint reconcile held", field="change")
    return _from_row(row)


def decide(tx: Tx, change_id: UUID, decision: Decision, *, reason: str, actor: Actor = HUB) -> HeldChange:
    """Close a held change, audited. Raises ``NotFound``; ``Refused`` (cause ``already_decided``) where somebody else did."""
    changed = tx.execute(
        """
        UPDATE held_changes
        SET decided_at = clock_timestamp(), decided_by = %(actor)s, decision = %(decision)s, reason = %(reason)s
        WHERE id = %(id)s AND held AND decided_at IS NULL
        """,
        actor=actor.id,
        decision=decision,
        reason=reason,
        id=change_id,
    )
    change = get(tx, change_id)
    if not changed:
        raise Refused(f"held change {change_id} was {change.decision} by {change.decided_by} already", cause="already_decided")
    audit.note(
        tx, f"change.{decision}", target=("held_change", change.subject), actor=actor, engagement_id=change.engagement_id,
        system=change.source, kind=change.kind, reason=reason,
    )  # fmt: skip
    return change


def running_ends(tx: Tx, vms_system: str, vms_ids: Collection[str]) -> dict[str, StandingEnd]:
    """When the stints of these work orders stop, of those that run or may begin to: work order → end."""
    rows = tx.all(
        """
        SELECT vms_id, id, end_at, source_version FROM engagements
        WHERE vms_system = %(vms_system)s AND vms_id = ANY(%(vms_ids)s) AND tombstoned_at IS NULL
          AND state NOT IN ('ended', 'declined', 'cancelled')
        """,
        vms_system=vms_system,
        vms_ids=list(vms_ids),
    )
    return {row["vms_id"]: StandingEnd(row["id"], row["end_at"], row["source_version"]) for row in rows}


def running(tx: Tx, vms_system: str) -> int:
    """How many stints of the VMS run or may begin to."""
    row = tx.the(
        """
        SELECT count(*) AS number FROM engagements
        WHERE vms_system = %(vms_system)s AND tombstoned_at IS NULL AND state NOT IN ('ended', 'declined', 'cancelled')
        """,
        vms_system=vms_system,
    )
    return int(row["number"])


def _from_row(row: Row) -> HeldChange:
    return HeldChange(**{name: row[name] for name in HeldChange.__slots__})
