"""Work orders that come with another person: nothing of them is taken, and somebody says whether it is the same human after all.

The engagement goes on as it is known; before its access was decided it waits. What happens to its end is in
``ledger.intake.work_orders``.
"""

from __future__ import annotations

from uuid import UUID

from ledger import engagement_rows, failures
from ledger.database import Tx
from ledger.identity import cases, identities, person_changes, workers
from ledger.identity.cases import ANOTHER_PERSON, OTHER_PERSONS_ORDER, person_subject
from ledger.identity.correlation import PERSON, PERSON_ID, link_person, owner_of
from ledger.identity.person_changes import Answer, PersonChange
from ledger.intake import inbox
from ledger.queueing.jobs import defer_joiner, defer_projection
from workforce.engagement import Engagement, WorkOrder
from workforce.errors import Refused
from workforce.events import HUB, Actor
from workforce.likeness import alike, strangers
from workforce.states import STANDING, EngagementState

_LET_GO_ON = frozenset({EngagementState.APPROVED, EngagementState.COLLECTING})
"""States behind the review in which the joiner has decided nothing yet."""


def names_another(tx: Tx, known: Engagement, order: WorkOrder, version: str) -> bool:
    """Whether ``version`` of the known engagement's work order is about somebody else than it is known by.

    By the source's id of the person, wherever both are told: one that is the worker's, by whatever it is linked, is no change.
    An id that comes for the first time, or is told no more, is none either, unless the person has neither a mailbox nor any part
    of the name in common. While a change stands, only the worker's own id ends it, if they are known by one. Raises ``Refused``
    for an id that no database keeps.
    """
    if version <= known.source_version:
        return False
    said, had = order.external.person_id, known.external.person_id
    standing = person_changes.standing(tx, known.id)
    if said == had and standing is None:
        return False
    if said is None:
        return (standing is not None and had is not None) or strangers(known.worker.profile, order.worker)
    return said != had and _is_anothers(tx, known, order, said)


def with_standing_id(order: WorkOrder, known: Engagement | None) -> WorkOrder:
    """``order`` with the person's id that holds: a source that stops telling it says nothing about who it is."""
    if known is None or order.external.person_id is not None:
        return order
    external = order.external.model_copy(update={"person_id": known.external.person_id})
    return order.model_copy(update={"external": external})


def is_behind(tx: Tx, known: Engagement, version: str) -> bool:
    """Whether ``version`` is news, but older than one that was not taken because of whom it names."""
    standing = person_changes.standing(tx, known.id)
    return standing is not None and known.source_version < version < standing.version


def ask(tx: Tx, known: Engagement, order: WorkOrder, version: str) -> Engagement:
    """Ask a person, once for each change, who it is; nothing of ``order`` is kept but the source's id of the person. Audited.

    What has no access yet waits for the answer, and whoever is about to give it some is fenced. ``known`` is locked.
    """
    said, standing = order.external.person_id, person_changes.standing(tx, known.id)
    if standing is not None and said is not None and standing.person_id not in {None, said}:
        person_changes.take_back(tx, standing)
        failures.resolve(tx, person_subject(known))
        standing = None
    if standing is None:
        _open(tx, known, order, version)
    else:
        person_changes.heard_again(tx, standing, said, version)
    _tell(tx, known)
    return _kept_from_access(tx, known)


def named_again(tx: Tx, engagement: Engagement, version: str) -> Engagement:
    """The source names the engagement's own worker in ``version``: what stood is over, and what waited for it goes on. Audited.

    Where that is what was known before, read once more, it says nothing of what came since.
    """
    standing = person_changes.standing(tx, engagement.id)
    if standing is None or version < standing.version:
        return engagement
    person_changes.take_back(tx, standing)
    engagement_rows.note(tx, "identity.person_taken_back", engagement, HUB, case=standing.id)
    return _go_on(tx, engagement, HUB)


def same(tx: Tx, change_id: UUID, actor: Actor, reason: str) -> Engagement:
    """It is the same human: the id is the worker's too from now on. Audited. The caller has the work order read again.

    Raises ``NotFound``; ``Refused`` (causes ``decided``, ``identity_conflict`` where the id is known to be another worker's).
    """
    change, engagement = _unanswered(tx, change_id)
    if change.person_id is None:
        _forget_id(tx, engagement)
    else:
        _require_free(tx, engagement, change.person_id)
        link_person(tx, engagement.vms_system, engagement.worker.id, change.person_id)
    person_changes.answer(tx, change, engagement.worker.id, Answer.SAME, actor, reason)
    engagement_rows.note(tx, "identity.same", engagement, actor, case=change.id, worker=engagement.worker.id, reason=reason)
    return _go_on(tx, engagement_rows.get(tx, engagement.id), actor)


def different(tx: Tx, change_id: UUID, actor: Actor, reason: str) -> Engagement:
    """It is somebody else: nothing of the work order is taken until it names the worker again; the engagement is to be ended.

    Audited. Raises ``NotFound``, ``Refused`` (cause ``decided``).
    """
    change, engagement = _unanswered(tx, change_id)
    person_changes.answer(tx, change, engagement.worker.id, Answer.DIFFERENT, actor, reason)
    engagement_rows.note(tx, "identity.different", engagement, actor, case=change.id, reason=reason)
    _close_lines(tx, engagement, actor)
    _tell(tx, engagement)
    return engagement


def close_what_is_over(tx: Tx, system: str) -> None:
    """Take off the failure list what a person answered with another human, once the engagement's ending has begun."""
    rows = tx.all(
        """
        SELECT engagements.id FROM person_changes
        JOIN engagements ON engagements.tenant = person_changes.tenant AND engagements.id = engagement_id
        WHERE over_at IS NULL AND decision = 'different' AND vms_system = %(system)s AND tombstoned_at IS NOT NULL
          AND EXISTS (SELECT 1 FROM failures
              WHERE engagement_id = engagements.id AND closed_at IS NULL AND cause = ANY(%(causes)s))
        """,
        system=system,
        causes=[ANOTHER_PERSON, OTHER_PERSONS_ORDER],
    )
    for row in rows:
        _close_lines(tx, engagement_rows.get(tx, row["id"]), HUB)


def _is_anothers(tx: Tx, known: Engagement, order: WorkOrder, said: str) -> bool:
    if said != said.encode(errors="ignore").decode().replace("\0", ""):
        message = f"work order {order.terms.vms_id}: the person's id holds a character that no database keeps; correct it there"
        raise Refused(message, cause="unstorable_text", field=PERSON_ID)
    owner = owner_of(tx, known.vms_system, said)
    if owner is not None:
        return owner != known.worker.id
    if known.external.person_id or identities.external_id(tx, known.vms_system, PERSON, known.worker.id):
        return True
    return strangers(known.worker.profile, order.worker)


def _open(tx: Tx, known: Engagement, order: WorkOrder, version: str) -> None:
    agree = alike(known.worker.profile, order.worker)
    change = person_changes.add(tx, known, order.external.person_id, version, agree)
    engagement_rows.note(tx, "identity.case_opened", known, HUB, reason_code=ANOTHER_PERSON, case=change.id, alike=agree)


def _tell(tx: Tx, engagement: Engagement) -> None:
    """See that what stands is on the failure list, once; where the answer was given and the ending has begun, nothing is left."""
    standing = person_changes.standing(tx, engagement.id)
    if standing is None or (standing.decision is not None and engagement.tombstoned_at is not None):
        return
    cases.park_person(tx, engagement, ANOTHER_PERSON if standing.decision is None else OTHER_PERSONS_ORDER)


def _kept_from_access(tx: Tx, known: Engagement) -> Engagement:
    """Where the joiner has decided nothing yet, it does not: the engagement waits, and a runner that has begun is stale."""
    if known.tombstoned_at is not None or known.state in STANDING:
        return known
    tx.execute("UPDATE engagements SET epoch = epoch + 1, runner = NULL WHERE id = %(id)s", id=known.id)
    return cases.wait(tx, engagement_rows.get(tx, known.id))


def _unanswered(tx: Tx, change_id: UUID) -> tuple[PersonChange, Engagement]:
    engagement = engagement_rows.lock(tx, person_changes.get(tx, change_id).engagement_id)
    change = person_changes.get(tx, change_id)
    if change.decision is not None:
        raise Refused(f"case {change_id} was decided before: {change.decision}", cause="decided", field="case")
    return change, engagement


def _require_free(tx: Tx, engagement: Engagement, person_id: str) -> None:
    owner = owner_of(tx, engagement.vms_system, person_id)
    if owner is not None and owner != engagement.worker.id:
        message = (
            f"the person's id is known to be that of {workers.get(tx, owner).marker}; two workers are never made one. Answer:"
            f" different, and end this engagement, or have {engagement.vms_system} name {engagement.worker.marker} by their own id"
        )
        raise Refused(message, cause="identity_conflict", field=PERSON_ID)


def _forget_id(tx: Tx, engagement: Engagement) -> None:
    """The work order tells no id any more: it is known by none from now on."""
    tx.execute("UPDATE engagements SET external = external || '{\"person_id\": null}' WHERE id = %(id)s", id=engagement.id)


def _go_on(tx: Tx, engagement: Engagement, actor: Actor) -> Engagement:
    _close_lines(tx, engagement, actor)
    for row in tx.all(
        "SELECT event_id FROM inbox WHERE engagement_id = %(id)s AND state = 'parked' AND cause = %(cause)s",
        id=engagement.id,
        cause=ANOTHER_PERSON,
    ):
        event = inbox.get(tx, row["event_id"])
        inbox.replay(tx, event.id, actor)
        defer_projection(tx, source=event.source, subject_id=event.subject_id, event_id=event.id)
    if engagement.state in _LET_GO_ON and engagement.envelope_id is not None:
        defer_joiner(tx, engagement.id)
    return cases.go_on(tx, engagement, actor)


def _close_lines(tx: Tx, engagement: Engagement, actor: Actor) -> None:
    for failure in failures.list_open(tx, engagement_id=engagement.id):
        if failure.cause in {ANOTHER_PERSON, OTHER_PERSONS_ORDER}:
            failures.close(tx, failure.id, actor)
