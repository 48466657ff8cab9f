"""Persons about whom a person decides: two records that may be one, and somebody who is not to be engaged again without a reviewer.

The engagement waits in review, and nothing is provisioned for it, until every question about it is answered. A third question
is asked by ``ledger.identity.reassignment``: whether a work order that names another person is still the worker's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ledger import engagement_rows, failures
from ledger.database import Row, Tx
from ledger.identity import person_changes, workers
from ledger.identity.correlation import Likeness, link_person
from ledger.ids import uuid7
from ledger.queueing.jobs import defer_alarm, defer_joiner
from workforce.engagement import Engagement
from workforce.errors import NotFound, Refused
from workforce.events import HUB, Actor
from workforce.states import ENGAGEMENT_TRANSITIONS, EngagementState, require_transition

POSSIBLE_SAME_PERSON = "possible_same_person"
DO_NOT_REHIRE = "do_not_rehire"
ANOTHER_PERSON = "another_person"
"""The work order names another person than before, and nobody has said yet whether it is the same human."""
OTHER_PERSONS_ORDER = "other_persons_order"
"""It does, and a person said that it is somebody else."""


class Decision(StrEnum):
    """Whether two records are one person."""

    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class IdentityCase:
    """One question: is ``worker_id``, made for ``engagement_id``, the known ``candidate_id``? ``alike`` names the fields that agree."""

    id: UUID
    engagement_id: UUID
    worker_id: UUID
    candidate_id: UUID
    alike: tuple[str, ...]
    opened_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    decision: Decision | None
    reason: str | None


def review(tx: Tx, engagement: Engagement, likenesses: Iterable[Likeness]) -> Engagement:
    """Have the new engagement wait for a person where somebody looks alike or is not to be engaged again; else it is as it was."""
    for likeness in likenesses:
        _open(tx, engagement, likeness)
    return wait(tx, engagement)


def wait(tx: Tx, engagement: Engagement) -> Engagement:
    """See that what keeps the engagement in review is on the failure list, once. Nothing keeps it: it stays as it is."""
    causes = _unanswered(tx, engagement)
    if not causes:
        return engagement
    if engagement.state is EngagementState.REQUESTED:
        engagement = _go(tx, engagement, EngagementState.IN_REVIEW, HUB, reason_code=causes[0])
    for cause in causes:
        _park(tx, engagement, cause)
    return engagement


def list_cases(tx: Tx, *, open_only: bool = True, engagement_id: UUID | None = None, limit: int = 1000) -> list[IdentityCase]:
    """The questions, oldest first."""
    rows = tx.all(
        """
        SELECT * FROM identity_cases
        WHERE (decided_at IS NULL OR NOT %(open_only)s) AND (%(engagement_id)s::uuid IS NULL OR engagement_id = %(engagement_id)s)
        ORDER BY opened_at, id
        LIMIT %(limit)s
        """,
        open_only=open_only,
        engagement_id=engagement_id,
        limit=limit,
    )
    return [_case(row) for row in rows]


def get(tx: Tx, case_id: UUID) -> IdentityCase:
    """One question. Raises ``NotFound``."""
    row = tx.one("SELECT * FROM identity_cases WHERE id = %(id)s", id=case_id)
    if row is None:
        raise NotFound(f"no such case {case_id}; see: stint workers cases", field="case")
    return _case(row)


def same(tx: Tx, case_id: UUID, actor: Actor, reason: str) -> Engagement:
    """The two are one person: the engagement moves to the known worker, and its own, which is empty, is left unused.

    What else was asked about the engagement is answered with it. Audited. Raises ``NotFound``; ``Refused`` (causes ``decided``,
    ``already_provisioned``, ``identity_undecided``).
    """
    case = _undecided(tx, case_id)
    engagement = engagement_rows.lock(tx, case.engagement_id)
    _require_movable(tx, case, engagement)
    known = workers.get(tx, case.candidate_id)
    tx.execute(
        "UPDATE engagements SET worker_id = %(worker_id)s, updated_at = clock_timestamp() WHERE id = %(id)s",
        worker_id=known.id,
        id=engagement.id,
    )
    workers.set_profile(tx, known, engagement.worker.profile)
    link_person(tx, engagement.vms_system, known.id, engagement.external.person_id)
    for each in list_cases(tx, engagement_id=engagement.id):
        _decide(tx, each, Decision.SAME if each.id == case.id else Decision.DIFFERENT, actor, reason)
    moved = engagement_rows.get(tx, engagement.id)
    unused = case.worker_id
    engagement_rows.note(tx, "identity.same", moved, actor, case=case.id, worker=known.id, unused=unused, reason=reason)
    return go_on(tx, moved, actor)


def different(tx: Tx, case_id: UUID, actor: Actor, reason: str) -> Engagement:
    """The two are two persons: the engagement keeps its own worker and goes on once nothing else is asked. Audited.

    Raises ``NotFound``, ``Refused`` (cause ``decided``).
    """
    case = _undecided(tx, case_id)
    engagement = engagement_rows.lock(tx, case.engagement_id)
    _decide(tx, case, Decision.DIFFERENT, actor, reason)
    engagement_rows.note(tx, "identity.different", engagement, actor, case=case.id, candidate=case.candidate_id, reason=reason)
    if not list_cases(tx, engagement_id=engagement.id):
        link_person(tx, engagement.vms_system, engagement.worker.id, engagement.external.person_id)
    return go_on(tx, engagement, actor)


def accept(tx: Tx, engagement_id: UUID, actor: Actor, reason: str) -> Engagement:
    """A reviewer lets this one engagement of somebody go on who is not to be engaged again. Audited.

    Raises ``NotFound``; ``Refused`` (cause ``not_in_review``) where it does not wait, (``identity_undecided``) where it is not yet known
    who it is.
    """
    engagement = engagement_rows.lock(tx, engagement_id)
    if engagement.state is not EngagementState.IN_REVIEW:
        raise Refused(
            f"{engagement.terms.vms_id} is {engagement.state}; nothing waits", cause="not_in_review", field="engagement"
        )
    if list_cases(tx, engagement_id=engagement_id) or person_changes.standing(tx, engagement_id):
        message = f"engagement {engagement_id}: first decide who it is; see: stint workers cases"
        raise Refused(message, cause="identity_undecided", field="engagement")
    engagement_rows.note(tx, "identity.accepted", engagement, actor, reason=reason)
    return _approve(tx, engagement, actor)


def lifted(tx: Tx, worker_id: UUID, actor: Actor) -> list[Engagement]:
    """Let the worker's engagements go on that waited for nothing else; those that did."""
    waiting = engagement_rows.list_all(tx, state=EngagementState.IN_REVIEW, worker_id=worker_id)
    after = [go_on(tx, engagement_rows.lock(tx, engagement.id), actor) for engagement in waiting]
    return [engagement for engagement in after if engagement.state is EngagementState.APPROVED]


def go_on(tx: Tx, engagement: Engagement, actor: Actor) -> Engagement:
    """From review to where it can be cleared, once every question is answered; what is not in review stays as it is."""
    if engagement.state is not EngagementState.IN_REVIEW:
        failures.resolve(tx, _subject(engagement), actor)
        return engagement
    if _unanswered(tx, engagement):
        failures.supersede(tx, _subject(engagement), cause=_unanswered(tx, engagement)[0], group_key=None, actor=actor)
        return wait(tx, engagement)
    return _approve(tx, engagement, actor)


def _approve(tx: Tx, engagement: Engagement, actor: Actor) -> Engagement:
    failures.resolve(tx, _subject(engagement), actor)
    approved = _go(tx, engagement, EngagementState.APPROVED, actor)
    if approved.envelope_id is not None:  # before it is signed nothing is to be done yet
        defer_joiner(tx, approved.id)
    return approved


def _unanswered(tx: Tx, engagement: Engagement) -> list[str]:
    """Why the engagement has to wait; whom it is about comes first. Once it was let go on, nothing does."""
    if engagement.state not in {EngagementState.REQUESTED, EngagementState.IN_REVIEW}:
        return []
    if list_cases(tx, engagement_id=engagement.id, limit=1):
        return [POSSIBLE_SAME_PERSON]
    if change := person_changes.standing(tx, engagement.id):
        return [ANOTHER_PERSON if change.decision is None else OTHER_PERSONS_ORDER]
    return [DO_NOT_REHIRE] if workers.do_not_rehire(tx, engagement.worker.id) is not None else []


def person_subject(engagement: Engagement) -> str:
    """What the failure list calls a work order that names another person than its engagement is known by."""
    return f"person:{engagement.id}"


def park_person(tx: Tx, engagement: Engagement, cause: str) -> None:
    """See that such a work order is on the failure list for ``cause`` alone, once; people are told once of each change."""
    subject, order = person_subject(engagement), engagement.terms.vms_id
    failures.supersede(tx, subject, cause=cause, group_key=None)
    if any(line.subject == subject for line in failures.list_open(tx, engagement_id=engagement.id)):
        return
    message = {
        ANOTHER_PERSON: "the work order names another person than before; nothing of it was taken but an earlier end. Compare in"
        " the VMS, then decide: stint workers cases",
        OTHER_PERSONS_ORDER: "the work order is another person's by now, as was decided; end this engagement: stint engagements"
        f" end {order} --now --reason …, and have the VMS make a new work order for the other person",
    }[cause]
    failure = failures.park(
        tx, cause=cause, message=message, field="external.person_id", engagement_id=engagement.id, subject=subject
    )
    if cause == ANOTHER_PERSON:
        defer_alarm(tx, failure.id)


def _park(tx: Tx, engagement: Engagement, cause: str) -> None:
    if cause in {ANOTHER_PERSON, OTHER_PERSONS_ORDER}:
        park_person(tx, engagement, cause)
        return
    message = {
        POSSIBLE_SAME_PERSON: "somebody who is known looks like the same person; decide: stint workers cases",
        DO_NOT_REHIRE: f"the person is marked as not to be engaged again; a reviewer decides: stint workers accept {engagement.id}",
    }[cause]
    failure = failures.park(tx, cause=cause, message=message, engagement_id=engagement.id, subject=_subject(engagement))
    if failure.count == 1:
        defer_alarm(tx, failure.id)


def _open(tx: Tx, engagement: Engagement, likeness: Likeness) -> None:
    opened = tx.execute(
        """
        INSERT INTO identity_cases (tenant, id, engagement_id, worker_id, candidate_id, alike)
        VALUES (%(tenant)s, %(id)s, %(engagement_id)s, %(worker_id)s, %(candidate_id)s, %(alike)s)
        ON CONFLICT DO NOTHING
        """,
        tenant=tx.tenant,
        id=uuid7(),
        engagement_id=engagement.id,
        worker_id=engagement.worker.id,
        candidate_id=likeness.candidate,
        alike=list(likeness.alike),
    )
    if opened:
        cause, who = POSSIBLE_SAME_PERSON, likeness.candidate
        engagement_rows.note(tx, "identity.case_opened", engagement, HUB, reason_code=cause, candidate=who, alike=likeness.alike)


def _undecided(tx: Tx, case_id: UUID) -> IdentityCase:
    engagement_rows.lock(tx, get(tx, case_id).engagement_id)
    case = get(tx, case_id)
    if case.decision is not None:
        raise Refused(f"case {case_id} was decided before: {case.decision}", cause="decided", field="case")
    return case


def _require_movable(tx: Tx, case: IdentityCase, engagement: Engagement) -> None:
    """Nothing was provisioned for the engagement's own worker, and it is known who the other one is."""
    if engagement.worker.id != case.worker_id or _has_accounts(tx, case.worker_id):
        message = f"engagement {engagement.id} has accounts of its own already; nothing is moved"
        raise Refused(message, cause="already_provisioned", field="case")
    row = tx.the(
        "SELECT EXISTS (SELECT 1 FROM identity_cases WHERE worker_id = %(id)s AND decided_at IS NULL) AS found",
        id=case.candidate_id,
    )
    if row["found"]:
        message = f"worker {case.candidate_id} waits for a decision too; decide that one first: stint workers cases"
        raise Refused(message, cause="identity_undecided", field="case")


def _decide(tx: Tx, case: IdentityCase, decision: Decision, actor: Actor, reason: str) -> None:
    tx.execute(
        """
        UPDATE identity_cases SET decided_at = clock_timestamp(), decided_by = %(actor)s, decision = %(decision)s, reason = %(reason)s
        WHERE id = %(id)s
        """,
        actor=actor.id,
        decision=decision,
        reason=reason,
        id=case.id,
    )


def _go(tx: Tx, engagement: Engagement, target: EngagementState, actor: Actor, *, reason_code: str | None = None) -> Engagement:
    """The one transition table decides; see ``engagements.transition``, which lies above this module."""
    require_transition(ENGAGEMENT_TRANSITIONS, engagement.state, target)
    tx.execute(
        "UPDATE engagements SET state = %(state)s, updated_at = clock_timestamp() WHERE id = %(id)s",
        state=target,
        id=engagement.id,
    )
    engagement_rows.note(tx, f"engagement.{target}", engagement, actor, reason_code=reason_code, was=engagement.state)
    return engagement_rows.get(tx, engagement.id)


def _has_accounts(tx: Tx, worker_id: UUID) -> bool:
    row = tx.the(
        "SELECT EXISTS (SELECT 1 FROM external_identities WHERE kind = 'account' AND internal_id = %(id)s) AS found", id=worker_id
    )
    return bool(row["found"])


def _subject(engagement: Engagement) -> str:
    return f"identity:{engagement.id}"


def _case(row: Row) -> IdentityCase:
    fields = {name: row[name] for name in IdentityCase.__slots__}
    decision = Decision(row["decision"]) if row["decision"] else None
    return IdentityCase(**{**fields, "alike": tuple(row["alike"]), "decision": decision})
