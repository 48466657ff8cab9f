"""``stint mappings …``: what the commands answer. Nothing here prints."""

from __future__ import annotations

import getpass
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from cli.check import read_folder
from cli.reading import find_engagement
from config.hub import Hub
from config.mapping_ends import mapping_ends
from config.secrets import SecretStore
from config.tenant import Fault, read_tenant
from flows.promotion import Promoting, Touched, running, touched
from flows.rehearsal import Rehearsal
from flows.versions import Versions
from ledger import promotions, sources
from ledger.promotions import Promotion, PromotionState
from mappings.diff import Difference, Reading, differences
from mappings.explain import FieldExplanation
from mappings.overlays import Conflict
from mappings.registry import MappingRegistry
from workforce.errors import Misconfigured, NotFound
from workforce.events import Actor, ActorType

MASK = "•••"


def the_actor() -> Actor:
    """Whoever runs the command."""
    return Actor(ActorType.HUMAN, getpass.getuser(), auth="cli")


def promoting(hub: Hub, tenant: str) -> Promoting:
    """Promotions by whoever runs the command."""
    return Promoting(hub, tenant, the_actor())


def migrate_one(hub: Hub, tenant: str, mapping_id: str, key: str) -> None:
    """Move one running engagement, named by its id or its work order's, to the version in force. Raises ``NotFound``, ``Refused``."""
    with hub.database.transaction(tenant) as tx:
        engagement = find_engagement(tx, key)
    promoting(hub, tenant).migrate(mapping_id, engagement.id)


def mapping_rows(hub: Hub, tenant: str) -> list[dict[str, Any]]:
    """Every mapping: its versions, the one in force, what waits, and how many running engagements are pinned to which version."""
    registry, today = hub.tenant(tenant).mappings, datetime.now(UTC).date()
    pinned = Counter((id_, label) for each in running(hub, tenant) for id_, label in each.mapping_pins.items())
    with hub.database.transaction(tenant) as tx:
        in_force = {id_: promotions.current(tx, id_, today) for id_ in registry.ids()}
        waiting = {id_: promotions.proposed(tx, id_) for id_ in registry.ids()}
    return [
        {
            "mapping": id_,
            "in_force": (now.version if (now := in_force[id_]) else None),
            "since": (now.decided_at.isoformat(timespec="seconds") if now and now.decided_at else None),
            "versions": registry.labels(id_),
            "engagements": {label: pinned[id_, label] for label in registry.labels(id_) if pinned[id_, label]},
            "proposed": (proposal.version if (proposal := waiting[id_]) else None),
        }
        for id_ in registry.ids()
    ]


def history_rows(hub: Hub, tenant: str, mapping_id: str) -> list[dict[str, Any]]:
    """Every promotion of a mapping, the newest first: who, when, why, and what became of running engagements."""
    with hub.database.transaction(tenant) as tx:
        return [_promotion(line) for line in promotions.history(tx, mapping_id)]


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
        chosen = label or Versions(hub, tenant).current(tx, mapping_id).version
    mapping = hub.tenant(tenant).mappings.effective(mapping_id, chosen)
    return chosen, _as_yaml(mapping.model_dump(mode="json", by_alias=True, exclude_unset=True))


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


def explanation(
    hub: Hub, tenant: str, mapping_id: str, label: str | None, record_id: str
) -> tuple[str, tuple[FieldExplanation, ...]]:
    """How a version makes each field of one recorded record. Raises ``NotFound`` for a record that was never read."""
    config, source = hub.tenant(tenant), mapping_id.partition("__")[0]
    systems = [name for _, name, _ in config.document.systems.parts() if config.instance(name).connector.key == source]
    with hub.database.transaction(tenant) as tx:
        found = [known[0] for system in systems if (known := sources.latest(tx, system, record_id))]
        if not found:
            raise NotFound(f"no record {record_id!r} of {source} was read yet", field="record")
        chosen = label or Versions(hub, tenant).current(tx, mapping_id).version
    return chosen, config.mappings.get(mapping_id, chosen).explain(found[0].values)


def explained(found: FieldExplanation, *, sensitive: bool) -> dict[str, str]:
    """One field's explanation as text; values of sensitive fields are masked unless asked for."""

    def told(value: object) -> str:
        return MASK if found.sensitive and not sensitive and value is not None else str(value)

    steps = [f"{step.name}: {told(step.value)}" for step in found.steps]
    result = str(found.fault) if found.fault else told(found.value) if found.applies else "the condition does not hold"
    return {
        "target": found.target,
        "read": "; ".join(f"{reading.path} = {told(reading.value)}" for reading in found.readings),
        "steps": " → ".join(steps),
        "result": result,
        "origin": str(found.origin or ""),
        "strength": str(found.strength),
    }


def rehearsal_rows(shown: Rehearsal, *, sensitive: bool) -> dict[str, Any]:
    """A dry run as data; sensitive values are masked unless asked for."""

    def rows(changes: list[Any]) -> list[dict[str, Any]]:
        return [{**asdict(change), **_masked(change, sensitive=sensitive)} for change in changes]

    return {
        "mapping": shown.mapping_id,
        "version": shown.version,
        "compared_with": dict(shown.compared_with),
        "records": shown.records,
        "engagements_that_follow": shown.engagements,
        "changes": rows(shown.changes),
        "writes": rows(shown.writes),
        "held": [asdict(each) for each in shown.held],
        "mended": shown.mended,
    }


def summary_rows(shown: Rehearsal) -> list[tuple[str, str, int, str]]:
    """(system, field, how many records, an example) of every field that changes or would be written, by system and field."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for change in [*shown.changes, *shown.writes]:
        groups.setdefault((change.system, change.target), []).append(change)
    return [(system, target, len(found), _example(found[0])) for (system, target), found in sorted(groups.items())]


def held_rows(shown: Rehearsal, *, each: bool) -> list[tuple[str, int, str, str, str]]:
    """(system, how many records, whether they are set aside today, one of them, why), by reason unless ``each`` is asked for."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for held in shown.held:
        when = "new" if held.is_new else "already today"
        groups.setdefault((held.system, when, held.message, held.subject if each else ""), []).append(held.subject)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return [(system, len(found), when, found[0], message) for (system, when, message, _), found in ordered]


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


def _masked(change: Any, *, sensitive: bool) -> dict[str, Any]:
    if sensitive or not change.sensitive:
        return {}
    return {name: None if getattr(change, name) is None else MASK for name in ("before", "after")}


def _example(change: Any) -> str:
    shown = {"before": change.before, "after": change.after, **_masked(change, sensitive=False)}
    before, after = ("nothing" if value is None else str(value) for value in (shown["before"], shown["after"]))
    return f"{change.subject}: {before} → {after}"


def _as_yaml(content: object) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=130, default_flow_style=None)
