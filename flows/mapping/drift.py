"""What changed on the other side: by which cause records wait, and what the mapping's next version could say to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from config.hub import Hub
from flows.feeds.intake import Intake
from flows.mapping.versions import Versions
from ledger import engagements, failures
from ledger.database import Tx
from ledger.failures import Failure, FailureGroup
from ledger.intake import sources
from mappings.drift import DRIFT, Cause, Drifted, proposal
from mappings.faults import FaultKind
from workforce.errors import HubError
from workforce.ports import SourceRecord

_OF_FIELDS = frozenset({FaultKind.UNKNOWN_FIELD, FaultKind.VANISHED_FIELD})


@dataclass(frozen=True, slots=True)
class Drift:
    """One cause by which records wait. ``proposal`` is empty where the records are wrong and not the mapping.

    ``first`` is what to run before an edit is checked: the fields of the system as they are now.
    """

    group: FailureGroup
    cause: Cause
    proposal: str = ""
    first: str = ""


def drifts(hub: Hub, tenant: str) -> list[Drift]:
    """Every cause by which several records may wait, the largest first."""
    with hub.database.transaction(tenant) as tx:
        groups = failures.groups(tx)
    found = [(group, cause) for group in groups if (cause := Cause.of_key(group.key, group.field))]
    causes = [cause for _, cause in found]
    return [
        Drift(group, cause, _proposal(hub, tenant, group, cause, causes), _first(hub, tenant, cause))
        if cause.kind in DRIFT
        else Drift(group, cause)
        for group, cause in found
    ]


def _proposal(hub: Hub, tenant: str, group: FailureGroup, cause: Cause, causes: Iterable[Cause]) -> str:
    versions = Versions(hub, tenant, looks_only=True)
    try:
        with hub.database.transaction(tenant) as tx:
            now = versions.current(tx, cause.mapping_id)
            record = _a_record_of(hub, tx, failures.list_open(tx, group_key=group.key, limit=1))
        values: Mapping[str, object] = record.values if record else {}
        besides = [Cause.of_fault(cause.mapping_id, fault) for fault in now.faults(values)] if record else []
        others = [each for each in (*besides, *causes) if each.mapping_id == cause.mapping_id and each != cause]
        tables = versions.registry.tables(now.mapping_id, now.version)
    except HubError as error:
        return "".join(f"# {line}\n" for line in str(error).splitlines())
    return proposal(cause, Drifted(now.mapping, tables, others, values))


def _a_record_of(hub: Hub, tx: Tx, lines: list[Failure]) -> SourceRecord | None:
    """The record that a line of the list is about, as it was last read; ``None`` where it is about something else."""
    for line in lines:
        intake = Intake(hub, tx.tenant, hub.tenant(tx.tenant).document.systems.vms)
        vms_id = line.subject.removeprefix(intake.subject(""))
        if line.engagement_id is not None:
            vms_id = engagements.get(tx, line.engagement_id).terms.vms_id
        known = sources.latest(tx, intake.system, vms_id)
        return known[0] if known else None
    return None


def _first(hub: Hub, tenant: str, cause: Cause) -> str:
    """The command that tells what fields the source has now, where its mapping is held against these."""
    source = cause.mapping_id.partition("__")[0]
    telling = [
        instance.name
        for instance in hub.tenant(tenant).instances.values()
        if instance.connector.key == source and instance.connector.can.schemas is not None
    ]
    return f"stint connectors schema {telling[0]} --write DIR" if telling and cause.kind in _OF_FIELDS else ""
