from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from config.mapping_ends import mapping_ends
from connectors import catalogue
from connectors.records.schemas import or_null, source_schema, target_schema
from mappings.check import check_mapping
from mappings.paths import Key
from mappings.registry import MappingRegistry
from mappings.schema import Schema, Spot

SCHEMAS = [
    (key, end, schema)
    for key in catalogue.known_keys()
    for end, schema in (("source", source_schema(key)), ("target", target_schema(key)))
    if schema is not None
]
EACH = pytest.mark.parametrize("schema", [pytest.param(schema, id=f"{key}-{end}") for key, end, schema in SCHEMAS])


@pytest.mark.parametrize("key", catalogue.known_keys())
def test_a_connector_describes_the_ends_that_it_has_and_no_others(key: str) -> None:
    can = catalogue.load(key).can
    assert (source_schema(key) is not None) == (can.source is not None or can.signing is not None)
    assert (target_schema(key) is not None) == (can.sink is not None or can.directory is not None)


@EACH
def test_a_schema_is_a_json_schema_that_stands_on_its_own(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    assert schema["type"] == "object"
    assert every_place(Schema(schema).root)


@pytest.mark.parametrize("key", [key for key, end, _ in SCHEMAS if end == "target"])
def test_a_target_says_whether_it_takes_other_fields(key: str) -> None:
    schema = target_schema(key) or {}
    assert "additionalProperties" in schema
    assert set(schema.get("required", ())) <= {name for name, inner in schema["properties"].items() if inner is not False}


def test_nothing_else_has_a_schema() -> None:
    assert source_schema("nobody") is None
    assert target_schema("../mappings") is None
    assert mapping_ends("nobody__engagement")[0] is None
    assert mapping_ends("engagement__nobody")[1] is None
    assert mapping_ends("fieldglass__timesheet")[1] is None


def test_the_canonical_ends_are_the_canonical_models() -> None:
    assert mapping_ends("fieldglass__engagement") == (source_schema("fieldglass"), mapping_ends("files__engagement")[1])
    assert Schema(mapping_ends("nobody__engagement")[1] or {}).root.required == ["terms", "worker"]
    assert "envelope_id" in Schema(mapping_ends("docusign__agreement")[1] or {}).root.names


def test_an_outgoing_document_is_always_whole() -> None:
    root = Schema(mapping_ends("engagement__gusto")[0] or {}).root
    assert not [name for name, spot in every_place(root).items() if spot.may_be_absent and not inside_null(root, name)]


def test_every_mapping_of_the_library_fits_both_of_its_ends() -> None:
    registry = MappingRegistry.shipped()
    faults = []
    for mapping_id in registry.ids():
        source, target = mapping_ends(mapping_id)
        for label in registry.labels(mapping_id):
            version = registry.source(mapping_id, label)
            faults += check_mapping(version.document, version.mapping, source_schema=source, target_schema=target)
    assert not faults, "\n".join(map(str, faults))


def every_place(spot: Spot, depth: int = 4) -> dict[str, Spot]:
    """Every place that can be walked to through names, by its label."""
    found: dict[str, Spot] = {}
    for name in spot.names if depth else ():
        inner = spot.step(Key(name))
        found |= {inner.label: inner, **every_place(inner, depth - 1)}
    return found


def inside_null(root: Spot, label: str) -> bool:
    """Whether something around the place may be null."""
    around = label.rpartition(".")[0]
    return bool(around) and (type(None) in every_place(root)[around].types or inside_null(root, around))


def test_a_value_that_may_be_null_may_still_be_only_what_it_was() -> None:
    assert or_null({"type": "string", "maxLength": 5}) == {"type": ["string", "null"], "maxLength": 5}
    assert or_null({"type": "string", "enum": ["a"]}) == {"type": ["string", "null"], "enum": ["a", None]}
