"""From a source record to an engagement in the ledger: mapped, validated, advanced only by newer versions, its timers armed."""

from __future__ import annotations

from dataclasses import dataclass

from compliance.alerts import alert_instants
from config.hub import Hub
from ledger import audit, identities, sources, timers
from ledger.database import Tx
from ledger.timers import TimerKind
from ledger.work_orders import Change, upsert_work_order
from workforce.engagement import Agreement, Engagement, WorkOrder, canonical
from workforce.ports import RecordSource, SourceRecord
from workforce.states import EngagementState

RECORD = "record"
"""The kind under which a system's id for an engagement's record is kept."""


@dataclass(frozen=True, slots=True)
class Intake:
    """One tenant's intake of work orders from one VMS instance."""

    hub: Hub
    tenant: str
    system: str

    def source(self) -> RecordSource:
        """The VMS as a source of records."""
        return self.hub.tenant(self.tenant).instance(self.system).source()

    def work_order(self, record: SourceRecord) -> WorkOrder:
        """The record in canonical form. Raises ``Refused`` naming the field; nothing has been written then."""
        connector = self.hub.tenant(self.tenant).instance(self.system).connector.key
        mapping = self.hub.mappings.get(f"{connector}__engagement", on=self.hub.clock.now().date())
        return canonical(WorkOrder, mapping.apply(record.values).values, source=f"work order {record.external_id}")

    def store(self, tx: Tx, record: SourceRecord, work_order: WorkOrder) -> tuple[Engagement, Change]:
        """Advance the engagement if the source is newer, and arm its timers. Part of the caller's transaction."""
        sources.remember(tx, self.system, record)
        engagement, change = upsert_work_order(tx, self.system, work_order, record.version)
        if change is Change.CREATED:
            identities.link(tx, self.system, RECORD, engagement.id, record.external_id)
        if change in {Change.CREATED, Change.UPDATED} and engagement.tombstoned_at is None:
            self._arm_alerts(tx, engagement)
        if change in {Change.CREATED, Change.UPDATED}:
            audit.note(
                tx,
                "engagement.requested" if change is Change.CREATED else "engagement.changed",
                target=("engagement", str(engagement.id)),
                engagement_id=engagement.id,
                system=self.system,
                vms_id=record.external_id,
                version=record.version,
                end_at=engagement.end_at,
            )
        return engagement, change

    def _arm_alerts(self, tx: Tx, engagement: Engagement) -> None:
        terms, now = engagement.terms, self.hub.clock.now()
        timers.cancel(tx, engagement.id, TimerKind.ALERT)
        for offset, instant in alert_instants(terms.ends_on, terms.time_zone, created_at=now):
            timers.arm(tx, engagement.id, TimerKind.ALERT, instant, detail=f"contract_end-{offset}d")


def read_agreement_of(hub: Hub, tenant: str, envelope_id: str) -> tuple[Agreement, SourceRecord]:
    """The agreement as its source shows it now, in canonical form. Raises ``Refused`` naming the field."""
    config = hub.tenant(tenant)
    instance = config.instance(config.document.systems.esign)
    record = instance.signing().status(envelope_id)
    mapping = hub.mappings.get(f"{instance.connector.key}__agreement", on=hub.clock.now().date())
    return canonical(Agreement, mapping.apply(record.values).values, source=f"envelope {envelope_id}"), record


def concerns_access(engagement: Engagement, change: Change) -> bool:
    """Whether new terms concern access that has been granted: the native expiry has to follow the end."""
    return change is Change.UPDATED and engagement.state in {EngagementState.CLEARED, EngagementState.ACTIVE}
