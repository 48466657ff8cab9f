"""Who owns a field, and what is told when somebody else changes it. An owner's word stands; a conflict is shown and stops nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from config.tenant import TenantDocument
from flows.alarms import raise_alarm
from ledger import failures
from ledger.database import Tx
from mappings.paths import parse_path
from provisioning.writing import FieldConflict
from workforce.engagement import Engagement
from workforce.events import HUB
from workforce.lineage import MappedField

CAUSE = "ownership_conflict"
HUB_OWNED = "stint"
VMS = "vms"


@dataclass(frozen=True, slots=True)
class Place:
    """A record in a system, as the failure list calls it."""

    system: str
    record_id: str

    def __str__(self) -> str:
        """``gusto:7ad93665``."""
        return f"{self.system}:{self.record_id}"


def owner_of(tenant: TenantDocument, canonical: str) -> str:
    """The part whose word counts for a canonical field: the longest entry of ``ownership`` that covers it, else the VMS.

    What the hub itself decides (logins, the instant of the end) is its own.
    """
    path = parse_path(canonical).text.split(".")
    if path[0] in {"account", "engagement"} or path == ["worker", "marker"]:
        return HUB_OWNED
    for length in range(len(path), 0, -1):
        owner = tenant.ownership.get(".".join(path[:length]))
        if owner is not None:
            return owner
    return VMS


def parts_of(tenant: TenantDocument, system: str) -> frozenset[str]:
    """The parts that an instance plays."""
    return frozenset(part for part, instance, _ in tenant.systems.parts() if instance == system)


def owners_of(tenant: TenantDocument, field: MappedField) -> frozenset[str]:
    """Whose word counts for what a target field was made of; nobody's where it was made of nothing."""
    return frozenset(owner_of(tenant, path) for path in field.read)


def kept_targets(tenant: TenantDocument, system: str, fields: Mapping[str, MappedField]) -> frozenset[str]:
    """The target fields that belong to ``system`` itself: those made of nothing but canonical fields that it owns."""
    parts = parts_of(tenant, system)
    return frozenset(target for target, field in fields.items() if field.read and owners_of(tenant, field) <= parts)


def show_conflicts(
    tx: Tx,
    tenant: TenantDocument,
    engagement: Engagement,
    place: Place,
    conflicts: Sequence[FieldConflict],
    fields: Mapping[str, MappedField],
) -> None:
    """Put what somebody else changed on the failure list, one line for each record; take the line off once all agrees."""
    if not conflicts:
        _resolve(tx, engagement.id, str(place))
        return
    failure = failures.park(
        tx,
        cause=CAUSE,
        message="; ".join(_sentence(tenant, place, conflict, fields[conflict.target]) for conflict in conflicts),
        field=conflicts[0].target,
        subject=str(place),
        engagement_id=engagement.id,
    )
    raise_alarm(tx, failure)


def close_conflicts(tx: Tx, engagement_id: UUID) -> None:
    """Take every conflict of an engagement off the failure list: its ending is complete, and nothing is contested any more."""
    _resolve(tx, engagement_id, None)


def _resolve(tx: Tx, engagement_id: UUID, subject: str | None) -> None:
    for line in failures.list_open(tx, engagement_id=engagement_id):
        if line.cause == CAUSE and subject in {None, line.subject}:
            failures.close(tx, line.id, HUB)


def _sentence(tenant: TenantDocument, place: Place, conflict: FieldConflict, field: MappedField) -> str:
    """What differs, whose word counts, and what to do next. No values: they may be sensitive."""
    owners, vms = owners_of(tenant, field), tenant.systems.vms
    made_of = ", ".join(sorted(field.read)) or "a constant of the mapping"
    if field.read and owners <= parts_of(tenant, place.system):
        return (
            f"{conflict.target}: {vms} says otherwise than {place.system}, to which {made_of} belongs, so {place.system} keeps its value;"
            f" correct it in {vms}, or in {place.system} if that one is wrong"
        )
    owner = " and ".join(_named(tenant, part) for part in sorted(owners)) or "the mapping"
    return (
        f"{conflict.target}: was changed in {place.system}, but {made_of} belongs to {owner};"
        f" change it there, or put it back in {place.system}. It is not copied to any other system"
    )


def _named(tenant: TenantDocument, part: str) -> str:
    """``the VMS (fieldglass)``."""
    instances = {name: instance for name, instance, _ in tenant.systems.parts()}
    return f"{part} ({instances[part]})" if part in instances else part
