"""``stint access plan``: what would be done to an engagement's accounts now, and why, without doing any of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cli.reading import find_engagement
from config.hub import Hub
from flows.access.plan import AccessPlan, DirectoryPlan, plan_engagement
from ledger.access import approvals
from ledger.access.approvals import Approval, ApprovalState


def access_plan(hub: Hub, tenant: str, engagement: str) -> tuple[AccessPlan, list[Approval]]:
    """The plan of the engagement with that id, or that work order, and what an approver refused of it.

    Raises ``NotFound``, and what deciding the access raises.
    """
    with hub.database.transaction(tenant) as tx:
        engagement_id = find_engagement(tx, engagement).id
        asked = approvals.state(tx, engagement_id)
    plan = plan_engagement(hub, tenant, engagement_id)
    refused = [each for each in asked if each.state is ApprovalState.DECLINED and plan.packages.get(each.package) == each.version]
    return plan, refused


def plan_json(plan: AccessPlan, refused: Sequence[Approval] = ()) -> dict[str, Any]:
    """The plan as plain values."""
    engagement = plan.engagement
    return {
        "engagement_id": str(engagement.id),
        "work_order": engagement.terms.vms_id,
        "state": engagement.state.value,
        "signed": engagement.signed_at is not None,
        "starts_at": engagement.terms.start_instant(),
        "ends_at": engagement.end_at,
        "suspended": engagement.suspended_at is not None,
        "packages": dict(plan.packages),
        "waiting": [{"package": each.package, "version": each.version, "asked_at": each.asked_at} for each in plan.waiting],
        "declined": [{"package": e.package, "version": e.version, "by": e.decided_by, "reason": e.reason} for e in refused],
        "directories": [_directory_json(each) for each in plan.directories],
    }


def change_rows(plan: AccessPlan) -> list[tuple[str, str, str, str]]:
    """(directory, what, which, why) of everything that would be done, kept for another engagement, or keeps it from being done."""
    return [row for each in plan.directories for row in _rows(each)]


def remarks(plan: AccessPlan, refused: Sequence[Approval] = ()) -> Iterator[str]:
    """What the reader should know besides."""
    engagement = plan.engagement
    for each in plan.waiting:
        yield f"{each.package} v{each.version} waits for an approver; nothing of it is given before: stint access approvals"
    for each in refused:
        yield f"{each.package} v{each.version} was declined by {each.decided_by}: {each.reason}. Nothing of it is given."
    if engagement.suspended_at is not None:
        yield "Its access is withheld until its review is answered: stint reviews list"
    if engagement.tombstoned_at is not None:
        yield "Its ending has begun: this is what there is left to take away."
    elif engagement.signed_at is None:
        yield "No signed agreement is known; nothing is done before there is one."


def _directory_json(plan: DirectoryPlan) -> dict[str, Any]:
    return {
        "system": plan.system,
        "account_id": plan.account_id,
        "creates": plan.creates,
        "enabled": plan.enabled,
        "changes": [{"kind": each.kind.value, "detail": each.detail, "why": plan.reason(each)} for each in plan.changes],
        "kept": sorted(map(str, plan.kept)),
        "fields": list(plan.fields),
        "fault": plan.fault and {"cause": plan.fault.cause, "message": str(plan.fault)},
    }


def _rows(plan: DirectoryPlan) -> Iterator[tuple[str, str, str, str]]:
    if plan.fault:
        yield plan.system, "CANNOT", plan.fault.cause, str(plan.fault)
    if plan.creates:
        yield plan.system, "create account", "enabled" if plan.enabled else "disabled until the start instant", ""
    for change in plan.changes:
        yield plan.system, change.kind.value.replace("_", " "), change.detail, plan.reason(change)
    for entitlement in sorted(plan.kept):
        yield plan.system, "keep", str(entitlement), plan.why.of(entitlement) if plan.why else ""
    if plan.fields and not plan.creates:
        yield plan.system, "update account", ", ".join(plan.fields), "what the mapping says"
