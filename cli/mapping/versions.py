"""``stint mappings …``: what the commands answer. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.actor import person
from cli.check import read_folder
from cli.reading import find_engagement
from config.hub import Hub
from config.mapping_ends import mapping_ends
from config.secrets import SecretStore
from config.tenant import Fault, read_tenant
from flows.mapping.promotion import Promoting, Touched, touched
from flows.mapping.versions import Versions
from ledger.database import Tx
from ledger.mapping import pins, promotions
from ledger.mapping.promotions import Promotion, PromotionState
from mappings.diff import Difference, Reading, differences
from mappings.overlays import Conflict
from mappings.registry import MappingRegistry
from mappings.written import as_yaml, mapping_as_written
from workforce.errors import Misconfigured, NotFound


def promoting(hub: Hub, tenant: str) -> Promoting:
    """Promotions by whoever runs the command."""
    return Promoting(hub, tenant, person())


def migrate_one(hub: Hub, tenant: str, mapping_id: str, key: str) -> None:
    """Move one running engagement, named by its id or its work order's, to the version in force. Raises ``NotFound``, ``Refused``."""
    with hub.database.transaction(tenant) as tx:
        engagement = find_engagement(tx, key)
    promoting(hub, tenant).migrate(mapping_id, engagement.id)


def mapping_rows(hub: Hub, tenant: str) -> list[dict[str, Any]]:
    """Every mapping: its versions, the one in force, what waits, and how many running engagements are pinned to which version."""
    registry, versions = hub.tenant(tenant).mappings, Versions(hub, tenant, looks_only=True)
    with hub.database.transaction(tenant) as tx:
        pinned = pins.counts(tx)
        return [_mapping_row(tx, versions, id_, registry.labels(id_), pinned) for id_ in registry.ids()]


def _mapping_row(
    tx: Tx, versions: Versions, mapping_id: str, labels: list[str], pinned: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    now, waiting = versions.in_force(tx, mapping_id), promotions.proposed(tx, mapping_id)
    coming = promotions.coming(tx, mapping_id, versions.today)
    return {
        "mapping": mapping_id,
        "in_force": now and now.version,
        "since": now and now.decided_at and now.decided_at.isoformat(timespec="seconds"),
        "versions": labels,
        "engagements": {label: number for (id_, label), number in pinned.items() if id_ == mapping_id},
        "proposed": waiting and waiting.version,
        "coming": {line.version: line.effective_from.isoformat() for line in coming[:1]},
    }


def history_rows(hub: Hub, tenant: str, mapping_id: str) -> list[dict[str, Any]]:
    """Every promotion of a mapping, the newest first: who, when, why, and what became of running engagements.

    Raises ``NotFound`` for a mapping that is not there and never was, naming those there are.
    """
    known = hub.tenant(tenant).mappings.ids()
    with hub.database.transaction(tenant) as tx:
        lines = [_promotion(line) for line in promotions.history(tx, mapping_id)]
    if not lines and mapping_id not in known:
        raise NotFound(f"there is no mapping {mapping_id!r}; known: {', '.join(sorted(known))}", field="mapping")
    return lines


def promoted(promotion: Promotion, whom: Touched) -> dict[str, Any]:
    """What a promotion, a proposal or its decision did, and whom it concerns."""
    return {
        "ok": True,
        **_promotion(promotion),
        "waits_for_a_second_person": promotion.state is PromotionState.PROPOSED,
        "running_engagements": whom.engagements,
        "systems": list(whom.systems),
    }


def whom_it_touches(hub: Hub, tenant: str, mapping_id: str) -> Touched:
    """The running engagements and systems that another version of the mapping concerns."""
    return touched(hub, tenant, mapping_id)


def version_text(hub: Hub, tenant: str, mapping_id: str, label: str | None) -> tuple[str, str]:
    """The label and the effective YAML of a version, with its base if it has one; of the one in force where none is named."""
    with hub.database.transaction(tenant) as tx:
        chosen = label or Versions(hub, tenant, looks_only=True).current(tx, mapping_id).version
    mapping = hub.tenant(tenant).mappings.effective(mapping_id, chosen)
    return chosen, as_yaml(mapping_as_written(mapping))


def compare(registry: MappingRegistry, mapping_id: str, old: str, new: str) -> tuple[list[Difference], list[Conflict]]:
    """How two versions differ by meaning; and for an overlay, what a newer shipped version has a person look at."""
    readings = (Reading(registry.effective(mapping_id, label), registry.tables(mapping_id, label)) for label in (old, new))
    first, second = readings
    overlays = [label for label in (old, new) if label.startswith("t")]
    newest = [label for label in registry.labels(mapping_id) if label.startswith("v")][-1:]
    shown = [conflict for label in overlays for onto in newest for conflict in registry.conflicts(mapping_id, label, onto)]
    return differences(first, second), shown


def folder_faults(folder: Path, secrets: SecretStore) -> list[Fault]:
    """Every fault of the mappings in a tenant's folder: files, bases, tables, examples, and both ends. Raises ``Misconfigured``."""
    if not folder.is_dir():
        raise Misconfigured(f"{folder} is no folder; searched: {folder.absolute()}", cause="no_folder")
    _, found = read_tenant(read_folder(folder), secrets)
    return [
        Fault(str(folder / fault.file), fault.key, fault.message)
        for fault in found
        if fault.file.startswith(("mappings/", "schemas/"))
    ]


def applied_faults(hub: Hub, tenant: str) -> list[Fault]:
    """The same for what is applied, with what was promoted and changed since; the library's own faults besides."""
    config = hub.tenant(tenant)
    with hub.database.transaction(tenant) as tx:
        fixed = promotions.released(tx)
    found = [*config.mappings.check_all(mapping_ends), *config.mappings.check_own(config.ends, fixed)]
    return [Fault(f"{fault.file}:{fault.line}:{fault.column}", fault.key, fault.message) for fault in found]


def _promotion(line: Promotion) -> dict[str, Any]:
    return {
        "mapping": line.mapping_id,
        "version": line.version,
        "sha256": line.sha256,
        "kind": str(line.kind),
        "state": str(line.state),
        "running": str(line.running),
        "reason": line.reason,
        "effective_from": line.effective_from.isoformat(),
        "proposed_by": line.proposed_by,
        "proposed_at": line.proposed_at.isoformat(timespec="seconds"),
        "decided_by": line.decided_by,
        "decided_at": line.decided_at and line.decided_at.isoformat(timespec="seconds"),
    }
