"""``stint reconcile …``: run it, see what it found, and decide about what the brake holds."""

from __future__ import annotations

import getpass
from typing import Any
from uuid import UUID

from config.hub import Hub
from flows import feed_brake
from flows.reconcile import reconcile
from ledger import findings, held_changes
from ledger.database import Tx
from ledger.findings import Finding
from ledger.held_changes import HeldChange
from ledger.reconciliations import Scope
from workforce.errors import NotFound, Refused
from workforce.events import Actor, ActorType

MOST = 10_000
"""Lines that are listed at most."""


def run(hub: Hub, tenant: str, directory: str | None, scope: Scope) -> list[dict[str, Any]]:
    """Reconcile one directory of the tenant, or all, here and now; what each run came to. Raises ``NotFound`` naming those there are."""
    known = hub.tenant(tenant).document.systems.directories
    if directory is not None and directory not in known:
        raise NotFound(f"{directory!r} is no directory of {tenant}; directories: {', '.join(known)}", field="directory")
    return [_run(hub, tenant, name, scope) for name in ([directory] if directory else known)]


def finding_rows(hub: Hub, tenant: str, *, directory: str | None = None, drift: str | None = None) -> list[dict[str, Any]]:
    """What stands, in the order in which it was found."""
    with hub.database.transaction(tenant) as tx:
        return [_finding(each) for each in findings.list_open(tx, directory, drift=drift, limit=MOST)]


def held_rows(hub: Hub, tenant: str, *, source: str | None = None) -> list[dict[str, Any]]:
    """What the brake holds, oldest first."""
    with hub.database.transaction(tenant) as tx:
        return [_held(each) for each in held_changes.waiting(tx, source, limit=MOST)]


def decide(hub: Hub, tenant: str, change: UUID | None, source: str | None, *, release: bool, reason: str) -> int:
    """Release or discard one held change, or all of a source; how many. Raises ``NotFound``; ``Refused`` where it was decided already."""
    act = feed_brake.release if release else feed_brake.discard
    vms = hub.tenant(tenant).document.systems.vms
    actor = Actor(ActorType.HUMAN, getpass.getuser(), auth="cli")
    if not reason.strip():
        raise Refused("--reason: say why; it stands in the audit trail", cause="no_reason", field="reason")
    with hub.database.transaction(tenant) as tx:
        return act(tx, _meant(tx, change, source), vms=vms, reason=reason, actor=actor)


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


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": str(finding.id),
        "directory": finding.directory,
        "drift": finding.drift,
        "account": finding.account_id or None,
        "subject": finding.subject,
        "engagement": finding.engagement_id and str(finding.engagement_id),
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
