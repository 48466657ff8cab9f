"""``stint reconcile …``: run it, see what it found, and decide about what the brake holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from cli.actor import person, stated
from config.hub import Hub
from flows.feeds import feed_brake
from flows.reconciliation.reconcile import reconcile
from ledger import engagements
from ledger.database import Tx
from ledger.reconciliation import findings, held_changes, reconciliations
from ledger.reconciliation.findings import Finding
from ledger.reconciliation.held_changes import HeldChange
from ledger.reconciliation.reconciliations import Scope
from provisioning.policies import Drift
from workforce.errors import NotFound

MOST = 10_000
"""Lines that are listed at most."""


def run(hub: Hub, tenant: str, directory: str | None, scope: Scope) -> list[dict[str, Any]]:
    """Reconcile one directory of the tenant, or all, here and now; what each run came to. Raises ``NotFound`` naming those there are."""
    return [_run(hub, tenant, name, scope) for name in _directories(hub, tenant, directory)]


def finding_rows(hub: Hub, tenant: str, *, directory: str | None = None, drift: Drift | None = None) -> list[dict[str, Any]]:
    """What stands, in the order in which it was found. Raises ``NotFound`` for a directory that is none."""
    _directories(hub, tenant, directory)
    with hub.database.transaction(tenant) as tx:
        return [_finding(tx, each) for each in findings.list_open(tx, directory, drift=drift, limit=MOST)]


def last_read(hub: Hub, tenant: str, directory: str | None = None) -> dict[str, datetime | None]:
    """Directory → when it was last read whole; ``None``: never."""
    with hub.database.transaction(tenant) as tx:
        runs = {
            each: reconciliations.newest(tx, each, Scope.FULL, finished=True) for each in _directories(hub, tenant, directory)
        }
    return {name: run.finished_at if run else None for name, run in runs.items()}


def held_rows(hub: Hub, tenant: str, *, source: str | None = None) -> list[dict[str, Any]]:
    """What the brake holds, oldest first. Raises ``NotFound`` for a source that is neither a feed nor a directory, and holds nothing."""
    systems = hub.tenant(tenant).document.systems
    with hub.database.transaction(tenant) as tx:
        known = {systems.vms, *systems.directories, *(each.source for each in held_changes.waiting(tx, limit=MOST))}
        if source is not None and source not in known:
            raise NotFound(
                f"{source!r} is no feed or directory of {tenant}; there are: {', '.join(sorted(known))}", field="source"
            )
        return [_held(each) for each in held_changes.waiting(tx, source, limit=MOST)]


def decide(hub: Hub, tenant: str, change: UUID | None, source: str | None, *, release: bool, reason: str) -> int:
    """Release or discard one held change, or all of a source; how many. Raises ``NotFound``; ``Refused`` where it was decided already."""
    act = feed_brake.release if release else feed_brake.discard
    vms = hub.tenant(tenant).document.systems.vms
    actor = person()
    why = stated(reason, "reason")
    with hub.database.transaction(tenant) as tx:
        return act(tx, _meant(tx, change, source), vms=vms, reason=why, actor=actor)


def _directories(hub: Hub, tenant: str, directory: str | None) -> tuple[str, ...]:
    known = hub.tenant(tenant).document.systems.directories
    if directory is not None and directory not in known:
        raise NotFound(f"{directory!r} is no directory of {tenant}; directories: {', '.join(known)}", field="directory")
    return (directory,) if directory else known


def _meant(tx: Tx, change: UUID | None, source: str | None) -> list[HeldChange]:
    if change is not None:
        return [held_changes.get(tx, change)]
    found = held_changes.waiting(tx, source)
    if not found:
        waiting = sorted({each.source for each in held_changes.waiting(tx)})
        raise NotFound(f"nothing of {source!r} is held; held: {', '.join(waiting) or 'nothing'}", field="source")
    return found


def _run(hub: Hub, tenant: str, directory: str, scope: Scope) -> dict[str, Any]:
    done = reconcile(hub, tenant, directory, scope)
    return {
        "directory": done.directory,
        "scope": done.scope.value,
        "accounts_read": done.accounts_read,
        "findings": done.findings,
        "mended": done.mended,
        "held": done.held,
    }


def _finding(tx: Tx, finding: Finding) -> dict[str, Any]:
    concerned = engagements.get(tx, finding.engagement_id) if finding.engagement_id else None
    return {
        "id": str(finding.id),
        "directory": finding.directory,
        "drift": finding.drift,
        "account": finding.account_id or None,
        "subject": finding.subject,
        "engagement": finding.engagement_id and str(finding.engagement_id),
        "work_order": concerned and concerned.terms.vms_id,
        "since": finding.first_at.isoformat(timespec="seconds"),
        "times": finding.times,
        "details": dict(finding.details),
    }


def _held(change: HeldChange) -> dict[str, Any]:
    return {
        "id": str(change.id),
        "source": change.source,
        "kind": change.kind,
        "subject": change.subject,
        "engagement": change.engagement_id and str(change.engagement_id),
        "since": change.noted_at.isoformat(timespec="seconds"),
        "details": {name: value for name, value in change.details.items() if name != "pending"},
    }
