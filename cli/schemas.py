"""``stint connectors schema``: which fields a company's own system has, as the system tells it now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from config.tenant import Fault, TenantConfig
from connectors.contract import Instance
from flows.mapping.versions import Versions
from ledger.database import Tx
from mappings.check import check_mapping
from workforce.errors import HubError, Refused


def live_schemas(config: TenantConfig, name: str) -> dict[str, Any]:
    """The schemas of what is read from an instance and written to it. Raises ``Refused`` where its connector cannot ask."""
    instance = config.instance(name)
    if instance.connector.can.schemas is None:
        message = f"{name}: {instance.connector.title} has the same fields for everybody; see: stint connectors show {instance.connector.key}"
        raise Refused(message, cause="no_schema_to_ask_for", field="instance")
    found = instance.schemas().read()
    return {"source": _plain(found.source), "target": _plain(found.target)}


def write_schemas(folder: Path, name: str, found: Mapping[str, Any]) -> Path:
    """Keep the schemas in the tenant's folder; the file."""
    path = folder / "schemas" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {end: schema for end, schema in found.items() if schema is not None}
    path.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=130), encoding="utf-8")
    return path


def field_rows(schema: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str]]:
    """(field, type, whether it is required) of a schema, for people."""
    for name, about in (schema or {}).get("properties", {}).items():
        kinds = about.get("type", "any") if isinstance(about, Mapping) else "any"
        told = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
        yield name, told, "required" if name in (schema or {}).get("required", ()) else ""


def live_faults(tx: Tx, versions: Versions, config: TenantConfig) -> list[Fault]:
    """What the mappings in force say otherwise than the systems have it now: a field that is gone, a word that is new."""
    return [
        fault
        for instance in config.instances.values()
        if instance.connector.can.schemas
        for fault in _faults(tx, versions, instance)
    ]


def _faults(tx: Tx, versions: Versions, instance: Instance) -> Iterator[Fault]:
    try:
        found = instance.schemas().read()
    except HubError as error:
        yield Fault(f"connectors/{instance.name}.yaml", "schema", str(error))
        return
    key, registry = instance.connector.key, versions.registry
    ends = {f"{key}__engagement": (found.source, None), f"engagement__{key}": (None, found.target)}
    for mapping_id, (source, target) in ends.items():
        if mapping_id not in registry.ids() or (source is None and target is None):
            continue
        mapping = versions.current(tx, mapping_id)
        document = registry.source(mapping_id, mapping.version).document
        for fault in check_mapping(document, mapping.mapping, source_schema=source, target_schema=target):
            yield Fault(f"{fault.file}:{fault.line}", fault.key, f"{fault.message} ({instance.name} as it is now)")


def _plain(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if schema is None else dict(schema)
