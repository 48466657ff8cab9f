"""Whose work order this is: a person who is known, by an id that says so, or somebody new. Never by name or address."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from ledger.database import Tx
from ledger.identity import identities, person_changes, workers
from workforce.engagement import Worker, WorkOrder
from workforce.events import Actor
from workforce.likeness import alike, strangers
from workforce.markers import is_marker

PERSON = "person"
"""The kind under which a source's id of a person is kept."""
PERSON_ID = "external.person_id"


@dataclass(frozen=True, slots=True)
class Clues:
    """What may tell who somebody is, besides what is linked already.

    ``person_id`` is the source's own id of the person, ``marker`` ours, where the source carries it back; ``tax_id_owner`` is the worker
    whom the vault finds by the keyed hash of a tax id.
    """

    person_id: str | None = None
    marker: str | None = None
    tax_id_owner: UUID | None = None


@dataclass(frozen=True, slots=True)
class Likeness:
    """A worker who may be the same person, and the names of the fields that agree."""

    candidate: UUID
    alike: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Correlated:
    """The worker of a work order; ``likenesses`` are for a person to decide about before anything is provisioned."""

    worker: Worker
    likenesses: tuple[Likeness, ...] = ()


def correlate(tx: Tx, system: str, order: WorkOrder, clues: Clues, actor: Actor) -> Correlated:
    """The known worker whom an id names, with the profile of the order; else a new one, and whom they look like.

    In this order: the link that is kept for the source's id of the person, or a person's word on it; our marker; the source's id
    in an earlier engagement; the tax id. An id that names somebody who has neither a mailbox nor a part of the name in common is
    not believed: a person decides.
    """
    known, clue = _named(tx, system, clues)
    if known is not None and not strangers(known.profile, order.worker):
        link_person(tx, system, known.id, clues.person_id)
        if known.profile != order.worker:
            workers.set_profile(tx, known, order.worker)
        return Correlated(workers.get(tx, known.id))
    worker = workers.create(tx, order.worker, actor=actor)
    found = [
        Likeness(other.id, alike(other.profile, order.worker)) for other in workers.look_alikes(tx, order.worker, but=worker.id)
    ]
    if known is not None:
        found = [Likeness(known.id, (clue,)), *(each for each in found if each.candidate != known.id)]
    if not found:
        link_person(tx, system, worker.id, clues.person_id)
    return Correlated(worker, tuple(found))


def link_person(tx: Tx, system: str, worker_id: UUID, person_id: str | None) -> None:
    """Keep the source's id of a person, where neither side is linked yet.

    One source may have several ids of one person, as engagements come and go: the first is linked, the others are found by their engagements.
    """
    if not person_id or identities.by_external(tx, system, PERSON, person_id) is not None:
        return
    if identities.external_id(tx, system, PERSON, worker_id) is None:
        identities.link(tx, system, PERSON, worker_id, person_id)


def owner_of(tx: Tx, system: str, person_id: str) -> UUID | None:
    """The worker whom a source's id of a person names, as far as it is known."""
    found, _ = _named(tx, system, Clues(person_id))
    return None if found is None else found.id


def _named(tx: Tx, system: str, clues: Clues) -> tuple[Worker | None, str]:
    """Who an id names, and which."""
    if clues.person_id and (linked := _linked(tx, system, clues.person_id)):
        return workers.get(tx, linked), PERSON_ID
    for text in (clues.marker, clues.person_id):
        if text and is_marker(text) and (marked := workers.by_marker(tx, text)):
            return marked, "marker"
    if clues.person_id and (engaged := _engaged_as(tx, system, clues.person_id)):
        return workers.get(tx, engaged), PERSON_ID
    if clues.tax_id_owner is not None:
        return workers.get(tx, clues.tax_id_owner), "tax_id"
    return None, ""


def _linked(tx: Tx, system: str, person_id: str) -> UUID | None:
    return identities.by_external(tx, system, PERSON, person_id) or person_changes.worker_of(tx, system, person_id)


def _engaged_as(tx: Tx, system: str, person_id: str) -> UUID | None:
    """The one worker of the source's engagements that carry ``person_id``; none where they are several, or of one it is not decided."""
    rows = tx.all(
        """
        SELECT worker_id, bool_or(EXISTS (
            SELECT 1 FROM identity_cases WHERE engagement_id = engagements.id AND decided_at IS NULL
        )) AS undecided
        FROM engagements
        WHERE vms_system = %(system)s AND external ->> 'person_id' = %(person_id)s
        GROUP BY worker_id
        LIMIT 2
        """,
        system=system,
        person_id=person_id,
    )
    return rows[0]["worker_id"] if len(rows) == 1 and not rows[0]["undecided"] else None
