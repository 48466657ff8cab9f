"""Work orders that name another person than their engagement is known by, as stored: at most one such change stands at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ledger.database import Row, Tx
from ledger.ids import uuid7
from workforce.engagement import Engagement
from workforce.errors import NotFound
from workforce.events import HUB, Actor


class Answer(StrEnum):
    """Whether the person is the same human after all. ``TAKEN_BACK``: the source said otherwise before anybody answered."""

    SAME = "same"
    DIFFERENT = "different"
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class PersonChange:
    """One question: is whom the work order names now still the engagement's worker? ``alike`` names the fields that agree.

    ``person_id`` is the source's own, ``None`` where it tells none any more; ``version`` is that of the record that said so
    last. It stands until ``over_at``: answered or not, nothing of the work order is taken meanwhile.
    """

    id: UUID
    engagement_id: UUID
    worker_id: UUID
    person_id: str | None
    version: str
    alike: tuple[str, ...]
    opened_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision: Answer | None
    reason: str | None
    over_at: datetime | None


def standing(tx: Tx, engagement_id: UUID) -> PersonChange | None:
    """The change that keeps the work order's versions from being taken."""
    row = tx.one("SELECT * FROM person_changes WHERE engagement_id = %(id)s AND over_at IS NULL", id=engagement_id)
    return None if row is None else _change(row)


def find(tx: Tx, change_id: UUID) -> PersonChange | None:
    """One change, standing or over."""
    row = tx.one("SELECT * FROM person_changes WHERE id = %(id)s", id=change_id)
    return None if row is None else _change(row)


def get(tx: Tx, change_id: UUID) -> PersonChange:
    """One change. Raises ``NotFound``."""
    found = find(tx, change_id)
    if found is None:
        raise NotFound(f"no such case {change_id}; see: stint workers cases", field="case")
    return found


def list_changes(tx: Tx, *, open_only: bool = True, limit: int = 1000) -> list[PersonChange]:
    """The changes, oldest first; with ``open_only`` those that nobody answered."""
    rows = tx.all(
        """
        SELECT * FROM person_changes WHERE decided_at IS NULL OR NOT %(open_only)s
        ORDER BY opened_at, id LIMIT %(limit)s
        """,
        open_only=open_only,
        limit=limit,
    )
    return [_change(row) for row in rows]


def worker_of(tx: Tx, system: str, person_id: str) -> UUID | None:
    """Whose id a person said that it is, when it came up with a work order of ``system``."""
    row = tx.one(
        """
        SELECT person_changes.worker_id
        FROM person_changes JOIN engagements ON engagements.tenant = person_changes.tenant AND engagements.id = engagement_id
        WHERE decision = 'same' AND person_id = %(person_id)s AND vms_system = %(system)s
        ORDER BY decided_at DESC LIMIT 1
        """,
        person_id=person_id,
        system=system,
    )
    return None if row is None else row["worker_id"]


def add(tx: Tx, engagement: Engagement, person_id: str | None, version: str, alike: tuple[str, ...]) -> PersonChange:
    """Keep a change that nobody was asked about yet. None stands."""
    row = tx.the(
        """
        INSERT INTO person_changes (tenant, id, engagement_id, worker_id, person_id, version, alike)
        VALUES (%(tenant)s, %(id)s, %(engagement_id)s, %(worker_id)s, %(person_id)s, %(version)s, %(alike)s)
        RETURNING *
        """,
        tenant=tx.tenant,
        id=uuid7(),
        engagement_id=engagement.id,
        worker_id=engagement.worker.id,
        person_id=person_id,
        version=version,
        alike=list(alike),
    )
    return _change(row)


def heard_again(tx: Tx, change: PersonChange, person_id: str | None, version: str) -> None:
    """Keep that a later version says the same; an id that was not told before is told by now."""
    tx.execute(
        "UPDATE person_changes SET version = %(version)s, person_id = coalesce(person_id, %(person_id)s) WHERE id = %(id)s",
        version=version,
        person_id=person_id,
        id=change.id,
    )


def answer(tx: Tx, change: PersonChange, worker_id: UUID, given: Answer, actor: Actor, reason: str) -> None:
    """Keep what a person, or the source itself, answered; only ``DIFFERENT`` lets the change stand."""
    tx.execute(
        """
        UPDATE person_changes
        SET worker_id = %(worker_id)s, decided_at = clock_timestamp(), decided_by = %(actor)s,
            decision = %(given)s, reason = %(reason)s
        WHERE id = %(id)s
        """,
        worker_id=worker_id,
        actor=actor.id,
        given=given,
        reason=reason,
        id=change.id,
    )
    if given is not Answer.DIFFERENT:
        _end(tx, change)


def take_back(tx: Tx, change: PersonChange) -> None:
    """The source names somebody else again. What was answered stays answered."""
    if change.decision is None:
        answer(tx, change, change.worker_id, Answer.TAKEN_BACK, HUB, "the source took it back")
    else:
        _end(tx, change)


def _end(tx: Tx, change: PersonChange) -> None:
    tx.execute("UPDATE person_changes SET over_at = clock_timestamp() WHERE id = %(id)s", id=change.id)


def _change(row: Row) -> PersonChange:
    fields = {name: row[name] for name in PersonChange.__slots__}
    decision = Answer(row["decision"]) if row["decision"] else None
    return PersonChange(**{**fields, "alike": tuple(row["alike"]), "decision": decision})
