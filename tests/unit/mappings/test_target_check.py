"""What a mapping gives is held against its target before it is written: what is refused, how it is told, and that the rest is let pass."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.mapping_ends import mapping_ends, require_taken_at
from connectors import catalogue
from connectors.records.schemas import target_schema
from mappings.engine import CompiledMapping, Mapped
from mappings.model import MappingFile
from mappings.registry import MappingRegistry
from mappings.schema import Schema
from mappings.target_check import NotTaken, TargetFault, require_taken, target_faults
from tests.sample_engagements import PEOPLE, a_document
from workforce.engagement import Rate, RateUnit
from workforce.errors import Refused

TODAY = date(2026, 11, 22)
SECRET = "Ada Augusta King"
TARGETS = [key for key in catalogue.known_keys() if target_schema(key) is not None]
TARGET: dict[str, Any] = {
    "type": "object",
    "required": ["name", "pay"],
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "kind": {"type": "string", "enum": ["hourly", "daily"]},
        "phone": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}},
        "pay": {
            "type": "object",
            "required": ["amount"],
            "properties": {"amount": {"type": "string", "pattern": r"^\d+$"}, "currency": {"type": "string"}},
            "additionalProperties": False,
        },
        "Start Date": {"type": "string", "format": "date"},
        "marker": False,
    },
    "additionalProperties": False,
}


def a_mapping(**fields: Any) -> CompiledMapping:
    document = {"mapping": "a__b", "version": 3, "effective_from": "2026-01-01", "because": "a test", "fields": fields}
    return CompiledMapping(MappingFile.model_validate(document), content_sha256="0" * 64)


def faults(record: Mapping[str, object], **fields: Any) -> list[TargetFault]:
    usual = {"name": {"value": "Ada"}, "pay.amount": {"value": "95"}}
    return target_faults(a_mapping(**{**usual, **fields}).apply(record), Schema(TARGET, "the target"))


def test_what_the_target_takes_is_let_pass_null_where_it_may_be() -> None:
    assert faults({"p": None}, phone={"from": "p"}, kind={"value": "daily"}) == []
    assert faults({}, phone={"clear": True}) == []


@pytest.mark.parametrize(
    ("record", "fields", "told"),
    [
        ({"n": SECRET}, {"name": {"from": "n"}}, "name (from n): takes at most 8 characters"),
        ({"k": SECRET}, {"kind": {"from": "k"}}, "kind (from k): knows only hourly, daily"),
        ({"k": None}, {"kind": {"from": "k"}}, "kind (from k): takes text"),
        ({"k": 7}, {"name": {"from": "k"}}, "name (from k): takes text"),
        ({"a": "x", "b": SECRET}, {"pay.amount": {"gather": ["a", "b"], "apply": [{"join": {"separator": " "}}]}},
         r"pay.amount (from a, b): takes text like ^\d+$"),
        ({"b": "EUR"}, {"pay.bonus": {"from": "b"}}, "pay.bonus (from b): pay of the target has no 'bonus'"),
        ({"m": SECRET}, {"marker": {"from": "m"}}, "marker (from m): the target rules 'marker' out"),
        ({"d": SECRET}, {'"Start Date"': {"from": "d"}}, '"Start Date" (from d): takes a date'),
        ({"t": ["ab", SECRET]}, {"tags": {"from": "t"}}, "tags (from t): takes at most 3 characters"),
        ({}, {"name": {"from": "n"}}, "name: it has to be given, and is not"),
        ({}, {"pay.amount": {"from": "n"}, "pay.currency": {"value": "EUR"}}, "pay.amount: it has to be given, and is not"),
        ({}, {"kind": {"clear": True}}, "kind: takes no null, so it cannot be emptied"),
        ({}, {"nowhere": {"clear": True}}, "nowhere: the target has no 'nowhere'"),
    ],
)  # fmt: skip
def test_what_it_does_not_take_is_told_by_target_source_and_reason_and_never_by_its_value(
    record: dict[str, object], fields: dict[str, Any], told: str
) -> None:
    assert [str(fault) for fault in faults(record, **fields)] == [told]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"kind": "hourly"}, ["rate: it has to be given, and is not"]),
        ({"kind": "hourly", "rate": "95"}, []),
        ({"kind": "fixed"}, []),
        ({}, []),
        ({"kind": "fixed", "rate": "95"}, ["rate (from rate): knows only 0"]),
    ],
)
def test_what_one_value_demands_of_another_is_looked_at_too(record: dict[str, object], told: list[str]) -> None:
    schema = {
        "type": "object",
        "properties": {"kind": {"type": "string"}, "rate": {"type": "string"}, "name": {"type": "string"}},
        "additionalProperties": False,
        "if": {"properties": {"kind": {"const": "hourly"}}, "required": ["kind"]},
        "then": {"required": ["rate"]},
        "else": {"properties": {"rate": {"const": "0"}}},
    }
    mapping = a_mapping(kind={"from": "kind"}, rate={"from": "rate"}, name={"value": "Ada"})
    assert [str(fault) for fault in target_faults(mapping.apply(record), Schema(schema))] == told


def test_the_refusal_names_every_fault_the_version_and_the_next_step() -> None:
    mapped = a_mapping(name={"from": "worker.name"}, kind={"from": "k"}, **{"pay.amount": {"value": "95"}}).apply(
        {"worker": {"name": SECRET}, "k": SECRET}
    )
    with pytest.raises(NotTaken) as raised:
        require_taken(mapped, Schema(TARGET))
    assert (raised.value.cause, raised.value.field, len(raised.value.faults)) == ("target_refuses", "name", 2)
    assert str(raised.value) == (
        "a__b version v0003: name (from worker.name): takes at most 8 characters; kind (from k): knows only hourly, daily. "
        "Correct the record at its source, or the mapping, and replay"
    )
    assert isinstance(raised.value, Refused)


# The shipped library against the targets that the catalogue describes


def mapped_for(key: str, person: str = "plain", *, knows_all: bool = True, **terms: Any) -> Mapped:
    in_dollars = key in {"gusto", "workmarket"}
    rate = Rate(amount=Decimal("95.50"), currency="USD" if in_dollars else "JPY", unit=RateUnit.HOUR)
    document = a_document(person, rate, knows_all=knows_all, **terms)
    return MappingRegistry.shipped().get(f"engagement__{key}", on=TODAY).apply(document.values())


@pytest.mark.parametrize("knows_all", [True, False])
@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("key", TARGETS)
def test_what_the_library_gives_is_let_pass(key: str, person: str, knows_all: bool) -> None:
    require_taken_at(mapping_ends, mapped_for(key, person, knows_all=knows_all))


def test_a_text_that_is_too_long_for_a_vendor_is_refused_by_the_canonical_path() -> None:
    with pytest.raises(NotTaken) as raised:
        require_taken_at(mapping_ends, mapped_for("salesforce", role="Principal " * 20))
    assert raised.value.field == "Title"
    assert "Title (from terms.role): takes at most 128 characters" in str(raised.value)
    assert "Principal" not in str(raised.value)


def test_a_target_that_nobody_describes_takes_anything() -> None:
    require_taken_at(lambda _: (None, None), mapped_for("salesforce", role="Principal " * 20))


def test_a_companys_own_schema_counts_instead_of_the_shipped_one() -> None:
    own = {"type": "object", "properties": {"LastName": {"type": "string"}}, "additionalProperties": False}
    with pytest.raises(NotTaken) as raised:
        require_taken_at(lambda _: (None, own), mapped_for("salesforce"))
    assert "has no 'FirstName'" in str(raised.value)


def leaves(values: object, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(values, dict):
        for name, inner in values.items():
            yield from leaves(inner, (*above, name))
    else:
        yield above


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_it_judges_as_json_schema_does_whatever_becomes_of_a_value(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(TARGETS))
    mapped = mapped_for(key)
    values = copy.deepcopy(mapped.values)
    *outer, last = data.draw(st.sampled_from(list(leaves(values))))
    node = values
    for name in outer:
        node = node[name]  # type: ignore[assignment]  # a nested object, by the way that was walked
    if data.draw(st.booleans()):
        node[last] = data.draw(st.sampled_from([None, "", "x" * 300, "2026-02-30", 7, 7.5, True, [], ["a"], {}, {"a": None}]))
    else:
        del node[last]
    schema = target_schema(key)
    assert schema is not None
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    found = target_faults(Mapped(values, (), mapped.mapping, ()), Schema(schema))
    assert bool(found) == (not validator.is_valid(values)), (key, outer, last, [str(fault) for fault in found])
