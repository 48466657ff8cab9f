"""From a source record to an engagement in the ledger: mapped, validated, advanced only by newer versions, its timers armed."""

from __future__ import annotations

from dataclasses import dataclass

from compliance.alerts import alert_instants
from config.hub import Hub
from flows.lineage import field_lineage
from flows.versions import Versions, used
from ledger import audit, engagements, identities, sources, timers
from ledger.database import Tx
from ledger.timers import TimerKind
from ledger.work_orders import Change, source_lineage, upsert_work_order
from mappings.engine import CompiledMapping
from mappings.paths import parse_path
from workforce.engagement import Agreement, Engagement, WorkOrder, canonical
from workforce.errors import Refused
from workforce.guards import violations
from workforce.lineage import SourceLineage
from workforce.ports import RecordSource, SourceRecord
from workforce.states import EngagementState

RECORD = "record"
"""The kind under which a system's id for an engagement's record is kept."""


@dataclass(frozen=True, slots=True)
class MappedOrder:
    """A work order as a source's record gave it, and how."""

    order: WorkOrder
    lineage: SourceLineage


@dataclass(frozen=True, slots=True)
class Intake:
    """One tenant's intake of work orders from one VMS instance."""

    hub: Hub
    tenant: str
    system: str

    def source(self) -> RecordSource:
        """The VMS as a source of records."""
        return self.hub.tenant(self.tenant).instance(self.system).source()

    @property
    def mapping_id(self) -> str:
        """The mapping that reads the system's records."""
        return f"{self.hub.tenant(self.tenant).instance(self.system).connector.key}__engagement"

    def take(self, record: SourceRecord) -> MappedOrder:
        """The record in canonical form, by the version that its engagement is pinned to.

        Raises ``Refused`` naming the field; nothing has been written then.
        """
        with self.hub.database.transaction(self.tenant) as tx:
            known = engagements.by_vms_id(tx, self.system, record.external_id)
            mapping = self.mapping(tx, record, known)
        return guarded(map_order(mapping, self.system, record), known)

    def mapping(self, tx: Tx, record: SourceRecord, known: Engagement | None) -> CompiledMapping:
        """The version that reads ``record``: its engagement's, if there is one already. Raises ``Misconfigured``."""
        changed = known is not None and known.source_version < record.version
        return Versions(self.hub, self.tenant).of(tx, self.mapping_id, known, changed=changed)

    def store(self, tx: Tx, record: SourceRecord, taken: MappedOrder) -> tuple[Engagement, Change]:
        """Advance the engagement if the source is newer or another mapping read it, and arm its timers. Part of the caller's transaction."""
        sources.remember(tx, self.system, record)
        engagement, change = self._upsert(tx, record, taken)
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
                mapping=taken.lineage.mapping.mapping_id,
                mapping_version=taken.lineage.mapping.version,
            )
        return engagement, change

    def _upsert(self, tx: Tx, record: SourceRecord, taken: MappedOrder) -> tuple[Engagement, Change]:
        """The engagement, pinned to the version that read its record."""
        known = engagements.by_vms_id(tx, self.system, record.external_id)
        before = None if known is None else source_lineage(tx, known.id)
        again = before is not None and before.mapping != taken.lineage.mapping
        engagement, change = upsert_work_order(tx, self.system, taken.order, record.version, lineage=taken.lineage, again=again)
        if change is Change.STALE:
            return engagement, change
        pin = {taken.lineage.mapping.mapping_id: taken.lineage.mapping.version}
        return engagements.pin_mappings(tx, engagement.id, pin, migrate=True), change

    def _arm_alerts(self, tx: Tx, engagement: Engagement) -> None:
        terms, now = engagement.terms, self.hub.clock.now()
        timers.cancel(tx, engagement.id, TimerKind.ALERT)
        for offset, instant in alert_instants(terms.ends_on, terms.time_zone, created_at=now):
            timers.arm(tx, engagement.id, TimerKind.ALERT, instant, detail=f"contract_end-{offset}d")


def map_order(mapping: CompiledMapping, system: str, record: SourceRecord) -> MappedOrder:
    """``record`` of ``system`` in canonical form by ``mapping``, with its lineage. Raises ``Refused`` naming the field."""
    mapped = mapping.apply(record.values)
    order = canonical(WorkOrder, mapped.values, source=f"work order {record.external_id}")
    lineage = SourceLineage(
        system=system,
        external_id=record.external_id,
        record_version=record.version,
        mapping=used(mapping),
        fields=field_lineage(record.values, mapped),
    )
    return MappedOrder(order, lineage)


def guarded(taken: MappedOrder, known: Engagement | None) -> MappedOrder:
    """``taken``, if every guard lets it pass. Raises ``Refused`` naming every field, as canonical and as the source calls it."""
    found = violations(taken.order.terms, known.terms if known else None)
    if not found:
        return taken
    origins = {each.field: ", ".join(parse_path(path).label for path in taken.lineage.fields[each.field].read) for each in found}
    sentence = "; ".join(f"{each.field} (from {origins[each.field]}): {each.message}" for each in found)
    message = f"work order {taken.lineage.external_id}: {sentence}"
    raise Refused(message, cause=found[0].cause, field=origins[found[0].field])


def read_agreement_of(hub: Hub, tenant: str, envelope_id: str) -> tuple[Agreement, SourceRecord]:
    """The agreement as its source shows it now, in canonical form. Raises ``Refused`` naming the field."""
    config = hub.tenant(tenant)
    instance = config.instance(config.document.systems.esign)
    record = instance.signing().status(envelope_id)
    with hub.database.transaction(tenant) as tx:
        mapping = Versions(hub, tenant).current(tx, f"{instance.connector.key}__agreement")
    return canonical(Agreement, mapping.apply(record.values).values, source=f"envelope {envelope_id}"), record


def concerns_access(engagement: Engagement, change: Change) -> bool:
    """Whether new terms concern access that has been granted: the native expiry has to follow the end."""
    return change is Change.UPDATED and engagement.state in {EngagementState.CLEARED, EngagementState.ACTIVE}
