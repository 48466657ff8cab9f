"""The JSON Schemas (draft 2020-12) that a connector's folder ships: what its records hold, and what may be written with it.

What one customer's system tells of its own fields, while it is asked, is the capability ``schemas``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

JsonSchema: TypeAlias = Mapping[str, Any] | bool
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_FOLDER = Path(__file__).parents[1]


def source_schema(key: str) -> dict[str, Any] | None:
    """What the ``values`` of a connector's records hold: its source's, or its envelopes'. ``None`` where it gives none."""
    return _read(key, "source")


def target_schema(key: str) -> dict[str, Any] | None:
    """What the ``values`` for a connector's sink, or the attributes for its directory, may hold. ``None`` where it takes none.

    ``required`` is what a mapping has to fill, without what the connector itself writes. Null is a type only where it empties a field.
    """
    return _read(key, "target")


def or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``schema``, of one type, for a value that may also be null."""
    words = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **words}


def closed_object(properties: Mapping[str, JsonSchema], *, required: Iterable[str]) -> dict[str, Any]:
    """The schema of an object that has these ``properties`` and no others."""
    needed = set(required)
    return {
        "$schema": DRAFT,
        "type": "object",
        "required": [name for name in properties if name in needed],
        "properties": dict(properties),
        "additionalProperties": False,
    }


@cache
def _read(key: str, end: str) -> dict[str, Any] | None:
    file = _FOLDER / key / f"{end}.schema.json"
    if not key.isidentifier() or not file.is_file():
        return None
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema
