"""From a source record to an engagement in the ledger: mapped, validated, advanced only by newer versions, its timers armed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from compliance.alerts import alert_instants
from config.hub import Hub
from flows.mapping.lineage import field_lineage
from flows.mapping.versions import Versions, used
from ledger import engagement_rows, engagements, failures
from ledger.database import Tx
from ledger.identity import identities, reassignment
from ledger.identity.reassignment import with_standing_id
from ledger.intake import sources, work_orders
from ledger.intake.work_orders import Change, source_lineage, upsert_work_order
from ledger.queueing import timers
from ledger.queueing.jobs import defer_joiner
from ledger.queueing.timers import TimerKind
from ledger.trail import audit
from mappings.engine import CompiledMapping
from mappings.paths import parse_path
from workforce.engagement import Agreement, Engagement, WorkOrder, canonical
from workforce.errors import Refused, RetryLater
from workforce.guards import violations, with_standing_band
from workforce.lineage import MappedField, SourceLineage
from workforce.ports import RecordSource, SourceRecord
from workforce.states import EngagementState

RECORD = "record"
"""The kind under which a system's id for an engagement's record is kept."""


@dataclass(frozen=True, slots=True)
class MappedOrder:
    """A work order as a source's record gave it, and how. ``of_another``: it names another person than its engagement's."""

    order: WorkOrder
    lineage: SourceLineage
    of_another: bool = False


@dataclass(frozen=True, slots=True)
class Intake:
    """One tenant's intake of work orders from one VMS instance. With ``looks_only`` nothing is kept of what was looked at."""

    hub: Hub
    tenant: str
    system: str
    looks_only: bool = False

    def source(self) -> RecordSource:
        """The VMS as a source of records."""
        return self.hub.tenant(self.tenant).instance(self.system).source()

    def subject(self, external_id: str) -> str:
        """What the failure list calls a record of the source."""
        return f"{self.system}:{external_id}"

    @property
    def mapping_id(self) -> str:
        """The mapping that reads the system's records."""
        return f"{self.hub.tenant(self.tenant).instance(self.system).connector.key}__engagement"

    @property
    def versions(self) -> Versions:
        """The tenant's mappings."""
        return Versions(self.hub, self.tenant, looks_only=self.looks_only)

    def take(self, record: SourceRecord) -> MappedOrder:
        """The record in canonical form, by the version that its engagement is pinned to.

        Guards hold it against the terms that are known, unless it is about another person: then ``store`` asks who that is.
        Raises ``Refused`` naming the field; nothing has been written then.
        """
        with self.hub.database.transaction(self.tenant) as tx:
            known = engagements.by_vms_id(tx, self.system, record.external_id)
            mapping = self.mapping(tx, record, known)
        taken = map_order(mapping, self.system, record)
        if known is not None and known.source_version < record.version:
            with self.hub.database.transaction(self.tenant) as tx:
                if reassignment.names_another(tx, known, taken.order, record.version):
                    return replace(taken, of_another=True)
        return guarded(taken, known)

    def mapping(self, tx: Tx, record: SourceRecord, known: Engagement | None) -> CompiledMapping:
        """The version that reads ``record``: its engagement's, if there is one already. Raises ``Misconfigured``."""
        changed = known is not None and known.source_version < record.version
        return self.versions.of(tx, self.mapping_id, known, changed=changed)

    def store(self, tx: Tx, record: SourceRecord, taken: MappedOrder) -> tuple[Engagement, Change]:
        """Advance the engagement as ``advance`` does, if ``taken`` is still what counts. Part of the caller's transaction.

        Raises ``RetryLater`` where another version of the mapping came in force, the engagement moved, or a person said who it
        is about, since it was taken.
        """
        work_orders.hold(tx, self.system, record.external_id)
        known = engagements.by_vms_id(tx, self.system, record.external_id)
        known = known and engagement_rows.lock(tx, known.id)
        if used(self.mapping(tx, record, known)) != taken.lineage.mapping:
            raise RetryLater(f"{self.mapping_id}: another version came in force meanwhile", cause="mapping_moved")
        return self.advance(tx, record, taken)

    def advance(self, tx: Tx, record: SourceRecord, taken: MappedOrder) -> tuple[Engagement, Change]:
        """Advance the engagement if the source is newer or another mapping read it, pin it to that mapping, and arm its timers.

        Whatever was wrong with an earlier version of the record waits for nobody any more. One that names another person is not
        kept as the record that was read last: what is mapped again is the engagement's own. Part of the caller's transaction.
        """
        known = engagements.by_vms_id(tx, self.system, record.external_id)
        if known is not None and reassignment.names_another(tx, known, taken.order, record.version):
            return self._keep_back(tx, record, taken, known)
        if taken.of_another:
            message = f"work order {record.external_id}: who it is about was settled meanwhile"
            raise RetryLater(message, cause="person_settled")
        sources.remember(tx, self.system, record)
        engagement, change = self._upsert(tx, record, taken)
        if engagement.source_version <= record.version:
            failures.resolve(tx, self.subject(record.external_id))
        if change is Change.STALE:
            return engagement, change
        engagement = engagements.pin_mappings(tx, engagement.id, self._pins(tx, engagement, taken, change), migrate=True)
        if change is Change.CREATED:
            identities.link(tx, self.system, RECORD, engagement.id, record.external_id)
        if change in {Change.CREATED, Change.UPDATED}:
            self.arm_alerts(tx, engagement)
            self._note(tx, engagement, record, taken, change)
        return engagement, change

    def arm_alerts(self, tx: Tx, engagement: Engagement) -> None:
        """Have the alerts before the contract's end come when they are due now; none once the ending has begun."""
        if engagement.tombstoned_at is not None:
            return
        terms, now = engagement.terms, self.hub.clock.now()
        timers.cancel(tx, engagement.id, TimerKind.ALERT)
        for offset, instant in alert_instants(terms.ends_on, terms.time_zone, created_at=now):
            timers.arm(tx, engagement.id, TimerKind.ALERT, instant, detail=f"contract_end-{offset}d")

    def _keep_back(self, tx: Tx, record: SourceRecord, taken: MappedOrder, known: Engagement) -> tuple[Engagement, Change]:
        """A person is asked who it is. The stint may stop earlier all the same, and the native expiry follows that."""
        engagement, change = self._upsert(tx, record, taken)
        failures.resolve(tx, self.subject(record.external_id))
        if engagement.end_at < known.end_at:
            self.arm_alerts(tx, engagement)
            if engagement.goes_on:
                defer_joiner(tx, engagement.id)
        return engagement, change

    def _upsert(self, tx: Tx, record: SourceRecord, taken: MappedOrder) -> tuple[Engagement, Change]:
        known = engagements.by_vms_id(tx, self.system, record.external_id)
        before = None if known is None else source_lineage(tx, known.id)
        again = before is None or before.mapping != taken.lineage.mapping
        return upsert_work_order(tx, self.system, taken.order, record.version, lineage=taken.lineage, again=again)

    def _pins(self, tx: Tx, engagement: Engagement, taken: MappedOrder, change: Change) -> dict[str, str]:
        """The version that read the record; and where it changed something, those to which the engagement's other mappings drain."""
        outgoing = {id_: label for id_, label in engagement.mapping_pins.items() if id_ != taken.lineage.mapping.mapping_id}
        drained = self.versions.drained(tx, outgoing) if change is Change.UPDATED else {}
        return {**drained, taken.lineage.mapping.mapping_id: taken.lineage.mapping.version}

    def _note(self, tx: Tx, engagement: Engagement, record: SourceRecord, taken: MappedOrder, change: Change) -> None:
        audit.note(
            tx,
            "engagement.requested" if change is Change.CREATED else "engagement.changed",
            engagement_id=engagement.id,
            system=self.system,
            vms_id=record.external_id,
            version=record.version,
            end_at=engagement.end_at,
            mapping=taken.lineage.mapping.mapping_id,
            mapping_version=taken.lineage.mapping.version,
        )


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
    """``taken`` with what holds from before, if every guard lets it pass.

    Raises ``Refused`` naming every field, as canonical and as the source calls it.
    """
    terms, before = taken.order.terms, known.terms if known else None
    found = violations(terms, before)
    if not found:
        order = with_standing_id(taken.order, known)
        return replace(taken, order=order.model_copy(update={"terms": with_standing_band(terms, before)}))
    origins = {each.field: _origin(taken.lineage.fields, each.field) for each in found}
    sentence = "; ".join(f"{each.field} (from {origins[each.field]}): {each.message}" for each in found)
    message = f"work order {taken.lineage.external_id}: {sentence}"
    raise Refused(message, cause=found[0].cause, field=origins[found[0].field])


def _origin(fields: Mapping[str, MappedField], canonical_field: str) -> str:
    """What a canonical field, or the part that it lies in, was read from, as the source calls it."""
    found = next((field for target, field in fields.items() if f"{canonical_field}.".startswith(f"{target}.")), None)
    return ", ".join(parse_path(path).label for path in found.read) if found and found.read else "a constant of the mapping"


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
