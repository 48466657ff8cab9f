"""Which employee fields the company has, and the options of its lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.bamboohr.client import BambooHrClient
from connectors.bamboohr.records import ListedOptions, MetaField
from connectors.records.schemas import JsonSchema, closed_object, or_null, target_schema
from workforce.ports import Schemas

_OWN: Mapping[str, Mapping[str, Any]] = {"date": {"type": ["string", "null"], "format": "date"}}
"""What is sure of a field of the company's own, by its type; of any other type the shipped schema says what it takes."""


class BambooHrSchemas:
    """The ``RecordSchemas`` capability. What the shipped schema says of a field holds here too."""

    def __init__(self, client: BambooHrClient) -> None:
        self._client = client

    def read(self) -> Schemas:
        """The fields of an employee that are not deprecated, by alias or, where there is none, by id. Archived options are left out."""
        shipped: Mapping[str, Any] = target_schema("bamboohr") or {}
        options = {key: listed for listed in self._client.lists() for key in (listed.alias, listed.fieldId) if key}
        fields = {field.alias or field.id: field for field in self._client.fields() if not field.deprecated}
        properties = {name: _taken(field, shipped, options.get(name)) for name, field in fields.items()}
        return Schemas(target=closed_object(properties, required=shipped["required"]))


def _taken(field: MetaField, shipped: Mapping[str, Any], options: ListedOptions | None) -> JsonSchema:
    known: JsonSchema = shipped["properties"].get(field.alias or field.id, _OWN.get(field.type, shipped["additionalProperties"]))
    if isinstance(known, bool) or options is None or options.multiple == "yes":
        return known
    listed = {"type": "string", "enum": [option.name for option in options.options if option.archived != "yes"]}
    return or_null(listed) if "null" in known["type"] else listed
