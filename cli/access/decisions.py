"""``stint access approvals|approve|decline`` and ``stint reviews``: what approvers and sponsors are asked, and what they say."""

from __future__ import annotations

from typing import Any

from cli.actor import person, stated
from cli.reading import find_engagement
from config.hub import Hub
from flows.access import approving, reviews
from ledger import engagements
from ledger.access import approvals
from ledger.access import reviews as access_reviews
from ledger.access.approvals import ApprovalState, Decision
from workforce.attestation import Answer


def approval_rows(hub: Hub, tenant: str, engagement: str | None = None) -> list[dict[str, Any]]:
    """What waits for an approver or, for one engagement, everything that was ever asked for."""
    config = hub.tenant(tenant)
    with hub.database.transaction(tenant) as tx:
        found = approvals.state(tx, find_engagement(tx, engagement).id) if engagement else approvals.waiting(tx)
        orders = {each.engagement_id: engagements.get(tx, each.engagement_id).terms for each in found}
    who = {(package.package, package.version): package.approvers for package in config.access.packages}
    return [
        {
            "engagement_id": str(each.engagement_id),
            "work_order": orders[each.engagement_id].vms_id,
            "role": orders[each.engagement_id].role,
            "package": each.package,
            "version": each.version,
            "state": each.state.value,
            "approvers": list(who.get((each.package, each.version), ())),
            "asked_at": each.asked_at,
            "decided_at": each.decided_at,
            "decided_by": each.decided_by,
            "reason": each.reason,
        }
        for each in found
    ]


def decide(
    hub: Hub, tenant: str, engagement: str, *, package: str, version: int | None, approved: bool, by: str, reason: str | None
) -> dict[str, Any]:
    """Take a decision about a version of a package, without ``version`` about the one that waits or was asked for last."""
    by = stated(by, "as")
    config = hub.tenant(tenant)
    with hub.database.transaction(tenant) as tx:
        engagement_id = find_engagement(tx, engagement).id
        asked = [
            each for each in approvals.state(tx, engagement_id) if each.package == package and version in {None, each.version}
        ]
        waiting = [each for each in asked if each.state is ApprovalState.WAITING]
        meant = (waiting or asked or [approvals.get(tx, engagement_id, package, version)])[-1]
        decision = Decision(engagement_id, package, meant.version, approved, by, reason)
        decided = approving.decide(tx, config, decision, person())
    return {"engagement_id": str(engagement_id), "package": package, "version": decided.version, "state": decided.state.value}


def review_rows(hub: Hub, tenant: str, engagement: str | None = None) -> list[dict[str, Any]]:
    """The reviews that wait for an answer or, for one engagement, all there ever were."""
    sponsors = hub.tenant(tenant).document.access.sponsors
    with hub.database.transaction(tenant) as tx:
        found = (
            access_reviews.history_of(tx, find_engagement(tx, engagement).id) if engagement else access_reviews.open_reviews(tx)
        )
        about = {each.engagement_id: engagements.get(tx, each.engagement_id) for each in found}
    return [
        {
            "engagement_id": str(each.engagement_id),
            "work_order": about[each.engagement_id].terms.vms_id,
            "role": about[each.engagement_id].terms.role,
            "asked": reviews.may_answer(each, about[each.engagement_id], sponsors),
            "asked_at": each.asked_at,
            "told_at": each.told_at,
            "reminded_at": each.reminded_at,
            "due_at": each.due_at,
            "escalated_at": each.escalated_at,
            "suspended_at": each.suspended_at,
            "answer": each.answer.value if each.answer else None,
            "answered_at": each.answered_at,
            "answered_by": each.answered_by,
            "reason": each.reason,
        }
        for each in found
    ]


def answer(hub: Hub, tenant: str, engagement: str, said: Answer, *, by: str, reason: str | None) -> dict[str, Any]:
    """Take a sponsor's answer; what follows from it: nothing, access given back, or the ending."""
    by = stated(by, "as")
    config = hub.tenant(tenant)
    with hub.database.transaction(tenant) as tx:
        engagement_id = find_engagement(tx, engagement).id
        review = reviews.answer_review(tx, config, engagement_id, said, by=by, reason=reason, actor=person())
    follows = "ending" if said is Answer.REMOVE else "given_back" if review.suspended_at else "nothing_changes"
    return {"engagement_id": str(engagement_id), "answer": said.value, "follows": follows}
