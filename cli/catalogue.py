"""``stint connectors``: what there is to choose from, what its form asks for, and whether it lets us in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any

import yaml

from config.tenant import TenantConfig
from connectors import catalogue
from connectors.contract import Connector, Instance
from workforce.errors import HubError
from workforce.ports import CheckResult


def rows() -> list[dict[str, Any]]:
    """Every connector: key, title, kinds, capabilities, limits and evidence."""
    return [_row(catalogue.load(key)) for key in catalogue.known_keys()]


def _row(connector: Connector[Any, Any]) -> dict[str, Any]:
    return {
        "key": connector.key,
        "title": connector.title,
        "kinds": [connector.kind, *connector.also],
        "capabilities": connector.can.names(),
        "limits": connector.limits,
        "evidence": str(connector.evidence),
    }


def detail(key: str) -> dict[str, Any]:
    """One connector with its settings form (JSON Schema) and its answers to the quality scale. Raises ``Misconfigured``."""
    connector = catalogue.load(key)
    text = resources.files(f"connectors.{key}").joinpath("quality.yaml").read_text(encoding="utf-8")
    return {**_row(connector), "settings": connector.settings.model_json_schema(), "quality": yaml.safe_load(text)["rules"]}


def form_rows(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """(field, type, needed or default, what it is) of a settings form."""
    needed = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        default = (
            "needed" if name in needed else f"default {field['default']!r}" if field.get("default") not in (None, "") else ""
        )
        yield name, _type_of(field, schema), default, str(field.get("description", "")).split("\n")[0]


def _type_of(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return _type_of(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    if "anyOf" in field:
        return " | ".join(text for one in field["anyOf"] if (text := _type_of(one, schema)) != "null")
    if field.get("format") == "password":
        return "secret"
    if field.get("type") == "array":
        return f"list of {_type_of(field.get('items', {}), schema)}"
    return str(field.get("format") or field.get("const") or field.get("type") or "any")


def check(config: TenantConfig, name: str | None) -> list[tuple[Instance, CheckResult]]:
    """Ask one instance, or all at the same time, whether it lets us in. Raises ``Misconfigured`` for an unknown name."""
    instances = [config.instance(name)] if name else list(config.instances.values())
    if not instances:
        return []
    with ThreadPoolExecutor(8) as pool:
        return list(zip(instances, pool.map(ask, instances), strict=True))


def ask(instance: Instance) -> CheckResult:
    """One instance's own check; building its client may fail as well."""
    try:
        return instance.client.check()
    except HubError as error:
        return CheckResult(ok=False, detail=str(error))
    finally:
        instance.close()
