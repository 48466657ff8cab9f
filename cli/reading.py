"""What the reading commands show, as plain values."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import yaml

from config.hub import Hub
from config.tenant import TenantDocument
from ledger import documents, engagements
from ledger.database import Tx
from ledger.trail import audit
from ledger.trail.verify import verify_tenant
from ledger.writing import effect_history
from workforce.engagement import Engagement
from workforce.errors import Misconfigured, NotFound
from workforce.summaries import EngagementSummary

LIST_LIMIT = 200


def the_tenant(hub: Hub, tenant: str | None) -> str:
    """The tenant meant: the given one, or the only one. Raises ``Misconfigured`` naming those there are."""
    names = hub.tenant_names()
    if tenant in names:
        return tenant
    if tenant is None and len(names) == 1:
        return names[0]
    listed = ", ".join(names) or "none yet; next: stint config apply DIR"
    asked = f"there is no tenant {tenant!r}" if tenant else "say which with --tenant" if names else "there is no tenant"
    raise Misconfigured(f"{asked}; tenants: {listed}", cause="unknown_tenant", field="tenant")


def engagement_rows(hub: Hub, tenant: str) -> list[EngagementSummary]:
    """The newest engagements."""
    with hub.database.transaction(tenant) as tx:
        return [EngagementSummary.of(engagement) for engagement in engagements.newest(tx, limit=LIST_LIMIT)]


def engagement_detail(hub: Hub, tenant: str, key: str) -> dict[str, Any]:
    """One engagement by its id or its work order's id, with its effects and its audit trail. Raises ``NotFound``."""
    with hub.database.transaction(tenant) as tx:
        engagement = find_engagement(tx, key)
        done = effect_history.list_for(tx, engagement.id)
        trail = audit.entries(tx, engagement_id=engagement.id)
    return {
        "engagement": {**EngagementSummary.of(engagement).model_dump(mode="json"), "marker": engagement.worker.marker},
        "effects": [(e.target, str(e.kind), str(e.state), e.attempt, e.vendor_id) for e in done],
        "audit": [
            {
                "seq": line.seq,
                "at": line.event["recorded_at"],
                "action": line.event["action"],
                "system": line.event["target"].get("system"),
                "outcome": line.event["outcome"],
            }
            for line in trail
        ],
    }


def find_engagement(tx: Tx, key: str) -> Engagement:
    """The engagement by its id, or its work order's id. Raises ``NotFound``."""
    try:
        return engagements.get(tx, UUID(key))
    except ValueError:
        found = engagements.by_vms_id(tx, vms_of(tx), key)
    except NotFound:
        found = None
    if found is None:
        raise NotFound(f"no engagement {key!r}; see: stint engagements list", field="engagement")
    return found


def vms_of(tx: Tx) -> str:
    """The instance that is the tenant's VMS, read from its documents alone: no secret is needed. Raises ``Misconfigured``."""
    version = documents.current(tx)
    try:
        return TenantDocument.model_validate(yaml.safe_load(version.files["tenant.yaml"])).systems.vms
    except (KeyError, ValueError, yaml.YAMLError):
        message = f"tenant.yaml of version {version.version} is missing or has faults; mend it and run: stint config apply DIR"
        raise Misconfigured(message, cause="tenant_faulty", field="tenant.yaml") from None


def verify_audit(hub: Hub, tenant: str) -> dict[str, Any]:
    """The verdict on the tenant's audit trail, against the checkpoints outside the database."""
    report = verify_tenant(hub.database, tenant, hub.settings.checkpoints, hub.signer().public_key)
    return {"ok": report.ok, "events": report.events, "checkpoints": report.checkpoints, "faults": list(report.faults)}
