from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.paths import parse_path
from mappings.schema import NoSuchPlace, Schema, Spot, UnusableSchema

TEXT = {"type": "string"}


def at(schema: dict[str, Any], path: str) -> Spot:
    return Schema(schema).at(parse_path(path).steps)


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def nowhere(schema: dict[str, Any], path: str) -> str:
    with pytest.raises(NoSuchPlace) as raised:
        at(schema, path)
    return str(raised.value)


def test_a_path_leads_through_properties_to_the_types_that_may_arrive() -> None:
    schema = an_object(worker=an_object(age={"type": ["integer", "null"]}))
    spot = at(schema, "worker.age")
    assert spot.types == {int, type(None)}
    assert not spot.may_be_absent


def test_what_is_not_required_may_be_absent_and_so_may_all_that_is_inside() -> None:
    schema = {"type": "object", "properties": {"worker": an_object(name=TEXT)}}
    assert at(schema, "worker").may_be_absent
    assert at(schema, "worker.name").may_be_absent


def test_what_is_inside_of_something_that_may_be_null_may_be_absent() -> None:
    assert at(an_object(band={"anyOf": [an_object(most=TEXT), {"type": "null"}]}), "band.most").may_be_absent
    assert not at(an_object(band=an_object(most=TEXT)), "band.most").may_be_absent


def test_a_reference_is_followed_inside_the_document() -> None:
    schema = {**an_object(unit={"$ref": "#/$defs/Unit"}), "$defs": {"Unit": {"enum": ["hour", "day"]}}}
    assert at(schema, "unit").problem("hour") is None
    assert at(schema, "unit").problem("week") == "knows only hour, day"


@pytest.mark.parametrize("reference", ["https://vendor.example/schema.json", "other.json#/x", "#/$defs/Nobody"])
def test_a_reference_out_of_the_document_is_never_followed(reference: str) -> None:
    with pytest.raises(UnusableSchema):
        at(an_object(unit={"$ref": reference}), "unit")


def test_a_reference_that_leads_to_itself_says_nothing() -> None:
    schema = {**an_object(a={"$ref": "#/$defs/A"}), "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}}}
    assert at(schema, "a").says_nothing


def test_a_tree_is_walked_as_deep_as_the_path_goes() -> None:
    node = {"type": "object", "properties": {"up": {"$ref": "#/$defs/Node"}, "name": TEXT}}
    assert at({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, "up.up.up.name").types == {str}


def test_all_of_several_schemas_hold() -> None:
    schema = an_object(x={"allOf": [{"type": ["string", "integer"]}, {"type": ["string", "null"], "maxLength": 2}]})
    assert at(schema, "x").types == {str}
    assert at(schema, "x").problem("abc") == "takes at most 2 characters"


def test_one_of_several_schemas_is_enough() -> None:
    schema = an_object(x={"oneOf": [{"const": "none"}, {"type": "integer", "minimum": 1}]})
    assert [at(schema, "x").problem(value) for value in ("none", 3)] == [None, None]
    assert at(schema, "x").problem("some") == "knows only none"
    assert at(schema, "x").problem(0) == "takes at least 1"


def test_more_ways_than_can_be_followed_allow_anything() -> None:
    many = {"allOf": [{"anyOf": [{"minLength": n}, {"maxLength": n}]} for n in range(40)]}
    assert at(an_object(x=many), "x").says_nothing


def test_a_name_that_nobody_described_is_not_there_and_the_nearest_is_told() -> None:
    schema = an_object(**{"Start Date": TEXT, "End Date": TEXT})
    assert nowhere(schema, '"Strat Date"') == "the record has no 'Strat Date'; did you mean 'Start Date'?"
    assert nowhere(schema, "supplier") == "the record has no 'supplier'"


def test_an_object_of_which_nothing_is_described_may_hold_anything() -> None:
    assert at({}, "a.b[0].c").says_nothing
    assert at({"type": "object"}, "a").may_be_absent


def test_other_names_are_there_where_the_schema_says_so() -> None:
    schema = {**an_object(Site=TEXT), "additionalProperties": {"type": "integer"}}
    assert at(schema, '"Cost Centre"').types == {int}
    assert at(schema, '"Cost Centre"').may_be_absent
    assert nowhere(schema, "site") == "the record has no 'site'; did you mean 'Site'?"


def test_a_name_that_is_ruled_out_is_not_there() -> None:
    assert nowhere({**an_object(name=TEXT, id=False), "additionalProperties": True}, "id") == "the record rules 'id' out"


def test_a_name_may_be_described_by_a_pattern() -> None:
    schema = {**an_object(name=TEXT), "patternProperties": {r"^x-": {"type": "boolean"}}, "additionalProperties": False}
    assert at(schema, "x-on").types == {bool}
    assert "has no 'y-on'" in nowhere(schema, "y-on")


def test_a_pattern_that_python_does_not_know_forbids_nothing() -> None:
    assert at(an_object(name={"type": "string", "pattern": r"^\p{L}+$"}), "name").problem("1") is None


def test_an_item_is_there_only_as_far_as_lists_are_long_enough() -> None:
    schema = an_object(pair={"type": "array", "prefixItems": [TEXT, {"type": "integer"}], "items": False, "minItems": 1})
    assert (at(schema, "pair[0]").types, at(schema, "pair[0]").may_be_absent) == ({str}, False)
    assert (at(schema, "pair[1]").types, at(schema, "pair[1]").may_be_absent) == ({int}, True)
    assert nowhere(schema, "pair[2]") == "pair of the record is never long enough for [2]"


def test_a_selector_needs_a_list() -> None:
    assert nowhere(an_object(a=TEXT), "a[0]") == "a of the record is text: it is not a list"
    assert nowhere(an_object(a=an_object(b=TEXT)), "a[b=c]") == "a of the record is an object: it is not a list"
    assert nowhere(an_object(a=TEXT), "a.b") == "a of the record is text: it has nothing inside, so no 'b'"


def test_an_item_is_matched_by_what_its_key_may_say() -> None:
    kinds = [an_object(kind={"const": "text"}, value=TEXT), an_object(kind={"const": "day"}, value={"type": "integer"})]
    schema = an_object(fields={"type": "array", "items": {"oneOf": kinds}})
    assert at(schema, "fields[kind=day].value").types == {int}
    assert at(schema, "fields[kind=day]").may_be_absent
    assert nowhere(schema, "fields[kind=week]") == "no item of fields of the record has kind=week: it knows only text"
    assert nowhere(schema, "fields[sort=day]") == "fields[] of the record has no 'sort'"


def test_an_item_is_matched_by_a_number_too() -> None:
    schema = an_object(fields={"type": "array", "items": an_object(id={"type": "integer"}, value=TEXT)})
    assert at(schema, "fields[id=12].value").types == {str}
    assert "has id=x: it takes a whole number" in nowhere(schema, "fields[id=x].value")


def test_null_is_a_value_only_where_an_enumeration_names_it() -> None:
    assert at(an_object(x={"type": ["string", "null"], "enum": ["a", None]}), "x").problem(None) is None
    assert at(an_object(x={"type": ["string", "null"], "enum": ["a"]}), "x").problem(None) == "takes text"


def test_a_boolean_is_no_number() -> None:
    assert at(an_object(x={"enum": [1, 2]}), "x").problem(True) == "takes a whole number"
    assert at(an_object(x={"type": "number"}), "x").problem(1) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab1", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("pqr"), inner, max_size=3),
    max_leaves=8,
)
LEAVES = st.sampled_from([
    {"type": "string"}, {"type": "string", "minLength": 2}, {"type": "string", "maxLength": 2, "pattern": "a"}, {"type": "integer"},
    {"type": ["integer", "null"], "minimum": 0}, {"type": "number", "exclusiveMaximum": 3}, {"enum": ["a", 1, None]}, {"const": True},
    {"type": "boolean"}, {"type": "null"}, {},
])  # fmt: skip
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda parts: st.sampled_from([{"anyOf": parts}, {"allOf": parts}, {**parts[0], "allOf": parts[1:]}])
    ),
    max_leaves=5,
)


@given(SCHEMAS, JSON.filter(lambda value: not isinstance(value, dict | list)))
def test_a_single_value_is_judged_as_a_whole_validator_judges_it(schema: dict[str, Any], value: object) -> None:
    judged = Schema(schema).root.problem(value)
    assert (judged is None) == jsonschema.Draft202012Validator(schema).is_valid(value), judged


@given(st.dictionaries(st.sampled_from("pqr"), SCHEMAS, min_size=1), st.data())
def test_whatever_a_valid_record_holds_was_foreseen(properties: dict[str, Any], data: st.DataObject) -> None:
    required = data.draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    schema = {"type": "object", "properties": properties, "required": required}
    record = data.draw(st.dictionaries(st.sampled_from(sorted(properties)), JSON))
    if not jsonschema.Draft202012Validator(schema).is_valid(record):
        return
    for name in properties:
        spot = at(schema, name)
        assert spot.may_be_absent if name not in record else type(record[name]) in spot.types
