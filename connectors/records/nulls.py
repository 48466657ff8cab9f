"""What ``None`` means to a sink: to ``create`` nothing, to ``update`` that the field shall be empty, where the system can do that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.records.schemas import JsonSchema, target_schema
from workforce.errors import Refused


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` for a record that is not there yet: without ``None``, at any depth, and without the objects that this leaves empty."""
    told = {name: without_nulls(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    return {name: value for name, value in told.items() if value is not None and (value != {} or values[name] == {})}


def refuse_nulls(key: str, values: Mapping[str, object]) -> None:
    """Refuse ``None`` for a field that connector ``key`` cannot empty. Looks at flat ``values``.

    Raises ``Refused`` (cause ``cannot_be_emptied``) naming the field.
    """
    for name, value in values.items():
        if value is None and not takes_null(key, name):
            raise cannot_be_emptied(key, name)


def takes_null(key: str, name: str) -> bool:
    """Whether connector ``key`` can empty the field ``name``: whether its type in ``target.schema.json`` has null."""
    schema = target_schema(key) or {}
    held: JsonSchema = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
    return held if isinstance(held, bool) else "type" not in held or "null" in held["type"]


def cannot_be_emptied(key: str, name: str) -> Refused:
    """The refusal of ``None`` for one field."""
    message = f"{key}: {name} cannot be emptied from here; give it a value, or take it out of the mapping and empty it by hand"
    return Refused(message, cause="cannot_be_emptied", field=name)
