"""One valid thing of each kind for the tests of the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from ledger import engagements
from ledger.database import Database, Tx
from workforce.effects import Effect, EffectKind
from workforce.engagement import Engagement, WorkOrder, canonical
from workforce.states import EngagementState

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_work_order(vms_id: str = "WO-1", *, worker: dict[str, Any] | None = None, **terms: Any) -> WorkOrder:
    """A work order; each one is for a person of their own, who looks like nobody else."""
    family_name = "Lovelace" if vms_id == "WO-1" else f"Lovelace {vms_id}"
    values = {
        "worker": {
            "given_name": "Ada", "family_name": family_name, "personal_email": f"ada.{vms_id.lower()}@example.org", "country": "DE",
            **(worker or {}),
        },
        "terms": {
            "vms_id": vms_id, "role": "Data Engineer", "client_unit": "Analytics", "supplier": "Difference Staffing",
            "sponsor_email": "charles@acme.example", "location": "Berlin", "time_zone": "Europe/Berlin", "starts_on": "2026-11-23",
            "ends_on": "2027-02-26", "rate": {"amount": "95.00", "currency": "EUR", "unit": "hour"}, **terms,
        },
    }  # fmt: skip
    return canonical(WorkOrder, values, source="test")


def an_engagement(tx: Tx, vms_id: str = "WO-1", *, active: bool = False) -> Engagement:
    engagement, _ = engagements.upsert_work_order(tx, "fieldglass", a_work_order(vms_id), "2026-11-20")
    for state in (EngagementState.CLEARED, EngagementState.ACTIVE) if active else ():
        engagement = engagements.transition(tx, engagement.id, state)
    return engagement


def stored_engagement(database: Database, vms_id: str = "WO-1", *, active: bool = False) -> Engagement:
    with database.transaction("acme") as tx:
        return an_engagement(tx, vms_id, active=active)


def an_effect(engagement: Engagement, kind: EffectKind = EffectKind.CREATE_ACCOUNT, **difference: Any) -> Effect:
    fields: dict[str, Any] = {"target": "entra", "epoch": engagement.epoch, **difference}
    return Effect("acme", UUID(str(engagement.id)), kind=kind, **fields)


def wait_until_somebody_waits(dsn: str) -> None:
    """Return once a connection to the database waits for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(dsn, autocommit=True) as owner:
        for _ in range(20_000):
            if owner.execute(waiting).fetchone():
                return
    raise AssertionError("nobody waits")
