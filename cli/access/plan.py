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
    """The plan of the engagement with that id, or that work order, and what approvers were asked about its packages so far.

    Raises ``NotFound``, and what deciding the access raises.
    """
    with hub.database.transaction(tenant) as tx:
        engagement_id = find_engagement(tx, engagement).id
        asked = approvals.state(tx, engagement_id)
    plan = plan_engagement(hub, tenant, engagement_id)
    return plan, [each for each in asked if plan.packages.get(each.package) == each.version]


def plan_json(plan: AccessPlan, asked: Sequence[Approval] | None = None) -> dict[str, Any]:
    """The plan as plain values. What nobody was asked yet has no ``asked_at``: the joiner asks with its next run."""
    engagement, to_ask = plan.engagement, _to_ask(plan, asked)
    return {
        "engagement_id": str(engagement.id),
        "work_order": engagement.terms.vms_id,
        "state": engagement.state.value,
        "signed": engagement.signed_at is not None,
        "starts_at": engagement.terms.start_instant(),
        "ends_at": engagement.end_at,
        "suspended": engagement.suspended_at is not None,
        "packages": dict(plan.packages),
        "waiting": [
            {"package": e.package, "version": e.version, "asked_at": None if e in to_ask else e.asked_at} for e in plan.waiting
        ],
        "declined": [
            {"package": e.package, "version": e.version, "by": e.decided_by, "reason": e.reason} for e in _declined(asked)
        ],
        "directories": [_directory_json(each) for each in plan.directories],
    }


def change_rows(plan: AccessPlan) -> list[tuple[str, str, str, str]]:
    """(directory, what, which, why) of everything that would be done, kept for another engagement, or keeps it from being done."""
    return [row for each in plan.directories for row in _rows(each)]


def remarks(plan: AccessPlan, asked: Sequence[Approval] | None = None) -> Iterator[str]:
    """What the reader should know besides; without ``asked``, everything that waits is taken to have been asked for."""
    engagement, to_ask = plan.engagement, _to_ask(plan, asked)
    for each in plan.waiting:
        waits = "needs an approver, who is asked with the next run" if each in to_ask else "waits for an approver"
        yield f"{each.package} v{each.version} {waits}; nothing of it is given before: stint access approvals"
    for each in _declined(asked):
        yield f"{each.package} v{each.version} was declined by {each.decided_by}: {each.reason}. Nothing of it is given."
    if engagement.suspended_at is not None:
        yield "Its access is withheld until its review is answered: stint reviews list"
    if engagement.tombstoned_at is not None:
        left = "this is what there is left" if change_rows(plan) else "nothing of what it gave is left"
        yield f"Its ending has begun: {left} to take away."
    elif engagement.signed_at is None:
        yield "No signed agreement is known; nothing is done before there is one."


def _to_ask(plan: AccessPlan, asked: Sequence[Approval] | None) -> list[Approval]:
    """What waits in the rehearsal alone: the ledger has not asked anybody."""
    known = None if asked is None else {(each.package, each.version) for each in asked}
    return [each for each in plan.waiting if known is not None and (each.package, each.version) not in known]


def _declined(asked: Sequence[Approval] | None) -> list[Approval]:
    return [each for each in asked or () if each.state is ApprovalState.DECLINED]


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
