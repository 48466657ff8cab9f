from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.engine import CompiledMapping, Mapped, Origin
from mappings.model import MappingFile, Strength
from mappings.transforms import transforms
from mappings.values import ABSENT, ValueFault
from workforce.errors import Refused

NOTHING = object()


def a_mapping(fields: dict[str, Any], **difference: Any) -> CompiledMapping:
    document = {
        "mapping": "a__b",
        "version": 3,
        "effective_from": "2026-01-01",
        "because": "a test",
        "fields": fields,
        **difference,
    }
    return CompiledMapping(MappingFile.model_validate(document), content_sha256="0" * 64)


def mapped(rule: dict[str, Any], record: Mapping[str, object]) -> object:
    return a_mapping({"out": rule}).apply(record).values.get("out", NOTHING)


def test_dots_in_targets_make_nested_results_and_lineage_tells_where_each_value_came_from() -> None:
    result = a_mapping(
        {
            "worker.name": {"from": "Name", "apply": ["strip", "upper"], "strength": "strong", "sensitive": True},
            "worker.kind": {"value": "contractor"},
            "worker.site": {"from": "Site", "default": "HQ", "strength": "weak"},
            "worker.badge": {"clear": True},
            "worker.phone": {"from": "Phone"},
        }
    ).apply({"Name": " ada "})
    assert result.values == {"worker": {"name": "ADA", "kind": "contractor", "site": "HQ"}}
    assert result.cleared == ("worker.badge",)
    assert (result.mapping_id, result.version, result.content_sha256) == ("a__b", 3, "0" * 64)
    first = result.lineage[0]
    assert (first.target, first.sources, first.transforms, first.origin) == (
        "worker.name",
        ("Name",),
        ("strip", "upper"),
        Origin.SOURCE,
    )
    assert (first.strength, first.sensitive) == (Strength.STRONG, True)
    assert [line.origin for line in result.lineage[1:]] == [Origin.CONSTANT, Origin.DEFAULT, Origin.CLEARED]


@pytest.mark.parametrize(
    ("rule", "record", "result"),
    [
        ({"from": "a"}, {}, NOTHING),
        ({"from": "a"}, {"a": None}, None),
        ({"from": "a"}, {"a": ""}, ""),
        ({"from": "a", "apply": ["upper"]}, {"a": None}, None),
        ({"from": "a", "default": "d"}, {}, "d"),
        ({"from": "a", "default": "d"}, {"a": None}, None),
        ({"from": "a", "default": None}, {}, None),
        ({"from": "a", "apply": ["absent_if_empty"], "default": "d"}, {"a": ""}, "d"),
        ({"from": "a", "default": "d", "required": True}, {}, "d"),
        ({"value": None}, {}, None),
        ({"clear": True}, {"out": 1}, NOTHING),
        ({"gather": ["a", "b"]}, {}, NOTHING),
        ({"gather": ["a", "b"]}, {"b": None}, [None]),
        ({"gather": ["a", "b"], "apply": ["first"]}, {"a": "", "b": "x"}, "x"),
        ({"from": "a", "lookup": {"table": {"x": 1}}}, {"a": "x"}, 1),
        ({"from": "a", "lookup": {"table": {"x": 1}}}, {"a": None}, None),
        ({"from": "a", "apply": ["decimal", {"multiply": {"by": "0.125"}}, "money"]}, {"a": "760.00"}, "95.00"),
        ({"from": "a", "when": {"path": "b", "equals": 1}}, {"a": "x", "b": 1}, "x"),
        ({"from": "a", "when": {"path": "b", "equals": 1}}, {"a": "x", "b": True}, NOTHING),
        ({"from": "a", "when": {"path": "b", "equals": None}}, {"a": "x"}, NOTHING),
        ({"from": "a", "when": {"path": "b", "equals": None}}, {"a": "x", "b": None}, "x"),
        ({"from": "a", "required": True, "when": {"path": "b", "is": "present"}}, {}, NOTHING),
        ({"from": "a", "when": {"path": "b", "in": ["x", "y"]}}, {"a": 1, "b": "y"}, 1),
        ({"from": "a", "when": {"path": "b", "is": "absent"}}, {"a": 1, "b": None}, NOTHING),
        ({"from": "a", "when": {"path": "b", "is": "missing"}}, {"a": 1, "b": ""}, 1),
        ({"from": "a", "when": {"not": {"path": "b", "is": "present"}}}, {"a": 1}, 1),
        (
            {"from": "a", "when": {"all": [{"path": "a", "equals": 1}, {"any": [{"path": "b", "equals": 2}]}]}},
            {"a": 1, "b": 2},
            1,
        ),
    ],
)
def test_absent_null_empty_and_clear_are_different_things(
    rule: dict[str, Any], record: dict[str, object], result: object
) -> None:
    assert mapped(rule, record) is result or mapped(rule, record) == result


def test_every_fault_of_a_record_is_in_one_refusal_with_target_and_source_and_without_values() -> None:
    mapping = a_mapping(
        {
            "terms.ends_on": {"from": '"End Date"', "apply": ["iso_date"], "required": True},
            "terms.unit": {"from": '"Rate Unit"', "lookup": {"table": {"Hour": "hour"}}},
            "worker.name": {"gather": ["First", "Last"], "apply": ["join"], "required": True},
        },
        demands=[{"that": {"path": "Currency", "equals": "USD"}, "because": "only dollars are paid here"}],
    )
    with pytest.raises(Refused) as refusal:
        mapping.apply({"End Date": "secret-1", "Rate Unit": "secret-2", "Currency": "secret-3"})
    message = str(refusal.value)
    assert refusal.value.cause == "unmappable_record"
    assert refusal.value.field == "Currency"
    assert "a__b version 3: record (from Currency): only dollars are paid here" in message
    assert "terms.ends_on (from End Date): expected a date (ymd)" in message
    assert "terms.unit (from Rate Unit): not a value that the table knows (Hour)" in message
    assert "worker.name (from First, Last): required, but missing or empty" in message
    assert "secret" not in message


@pytest.mark.parametrize("empty", [{}, {"a": None}, {"a": ""}])
def test_a_required_field_that_is_absent_null_or_empty_is_refused(empty: dict[str, object]) -> None:
    with pytest.raises(Refused, match=r"out \(from a\): required"):
        mapped({"from": "a", "required": True}, empty)


def test_an_ambiguous_item_is_refused_in_a_field_a_condition_and_a_demand() -> None:
    path = "items[name=x].value"
    mapping = a_mapping(
        {"one": {"from": path}, "two": {"value": 1, "when": {"path": path, "is": "present"}}},
        demands=[{"that": {"path": path, "is": "present"}, "because": "needed"}],
    )
    with pytest.raises(Refused) as refusal:
        mapping.apply({"items": [{"name": "x", "value": 1}, {"name": "x", "value": 2}]})
    assert str(refusal.value).count("several items have name=x") == 3


def test_the_printed_form_of_a_result_shows_no_values() -> None:
    result = a_mapping({"ssn": {"from": "ssn", "sensitive": True}}).apply({"ssn": "078-05-1120"})
    assert isinstance(result, Mapped)
    assert "078-05-1120" not in repr(result)


KEYS = st.sampled_from(["a", "b", "c"])
SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.sampled_from(["", " x ", "y", "7", "2026-11-03"]) | st.integers(0, 3) | st.booleans()
)
VALUES: st.SearchStrategy[Any] = SCALARS | st.dictionaries(KEYS, SCALARS, max_size=3) | st.lists(SCALARS, max_size=3)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=3)
PATHS = st.sampled_from(["a", "b", "c", "a.b", "b.c", "c.a"])
CALLS = st.lists(
    st.sampled_from(
        [
            "strip",
            "upper",
            "iso_date",
            "integer",
            "null_if_empty",
            "absent_if_empty",
            {"default_if_empty": {"value_if_empty": "z"}},
        ]
    ),
    max_size=3,
)
LEAVES = st.one_of(
    st.builds(lambda path, value: {"path": path, "equals": value}, PATHS, SCALARS),
    st.builds(lambda path, values: {"path": path, "in": values}, PATHS, st.lists(SCALARS, min_size=1, max_size=2)),
    st.builds(lambda path, how: {"path": path, "is": how}, PATHS, st.sampled_from(["present", "missing", "absent"])),
)
CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=3,
)
OPTIONAL = {
    "apply": CALLS,
    "when": CONDITIONS,
    "default": SCALARS,
    "required": st.booleans(),
    "lookup": st.just({"table": {"x": "X", "y": None, "7": 7}}),
}
RULES = st.one_of(
    st.fixed_dictionaries({"from": PATHS}, optional=OPTIONAL),
    st.fixed_dictionaries({"value": SCALARS}, optional={"when": CONDITIONS}),
    st.fixed_dictionaries({"clear": st.just(True)}, optional={"when": CONDITIONS}),
)


def naive_read(path: str, record: Any) -> Any:
    for name in path.split("."):
        if not isinstance(record, dict) or name not in record:
            return ABSENT
        record = record[name]
    return record


def naive_holds(condition: dict[str, Any], record: Any) -> bool:
    if "all" in condition:
        return all(naive_holds(part, record) for part in condition["all"])
    if "any" in condition:
        return any(naive_holds(part, record) for part in condition["any"])
    if "not" in condition:
        return not naive_holds(condition["not"], record)
    value = naive_read(condition["path"], record)
    if "is" in condition:
        missing = value is ABSENT or value is None or value == ""
        return {"present": not missing, "missing": missing, "absent": value is ABSENT}[condition["is"]]
    wanted = condition["in"] if "in" in condition else [condition["equals"]]
    return any(type(one) is type(value) and one == value for one in wanted)


def naive_value(rule: dict[str, Any], record: Any) -> Any:
    """The meaning of one rule, spelt out. Raises ``ValueFault`` where the record is to be refused."""
    value = naive_read(rule["from"], record)
    for call in rule.get("apply", []):
        name, parameters = (call, {}) if isinstance(call, str) else next(iter(call.items()))
        transform = transforms()[name]
        if transform.takes and (value is None or value is ABSENT):
            continue
        if transform.takes and type(value) not in transform.takes:
            raise ValueFault
        value = transform.function(value, **parameters)
    if "lookup" in rule and value is not None and value is not ABSENT:
        table = rule["lookup"]["table"]
        if not isinstance(value, str) or value not in table:
            raise ValueFault
        value = table[value]
    if value is ABSENT and "default" in rule:
        value = rule["default"]
    if rule.get("required") and (value is ABSENT or value is None or value == ""):
        raise ValueFault
    return value


def naive_apply(fields: dict[str, dict[str, Any]], record: Any) -> tuple[dict[str, Any], list[str], set[str]]:
    values: dict[str, Any] = {}
    cleared, refused = [], set()
    for target, rule in fields.items():
        if "when" in rule and not naive_holds(rule["when"], record):
            continue
        if rule.get("clear"):
            cleared.append(target)
            continue
        try:
            value = rule["value"] if "value" in rule else naive_value(rule, record)
        except ValueFault:
            refused.add(target)
            continue
        if value is not ABSENT:
            node = values
            *outer, last = target.split(".")
            for name in outer:
                node = node.setdefault(name, {})
            node[last] = value
    return values, cleared, refused


def fits(fields: dict[str, dict[str, Any]]) -> bool:
    try:
        a_mapping(fields)
    except ValueError:
        return False
    return True


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(["p", "q.r", "q.s", "t"]), RULES, min_size=1, max_size=4).filter(fits), RECORDS)
def test_a_compiled_mapping_does_what_a_naive_interpreter_does(fields: dict[str, dict[str, Any]], record: dict[str, Any]) -> None:
    values, cleared, refused = naive_apply(fields, record)
    mapping = a_mapping(fields)
    if refused:
        with pytest.raises(Refused) as refusal:
            mapping.apply(record)
        assert {target for target in fields if f" {target} (from " in str(refusal.value)} == refused
        return
    result = mapping.apply(record)
    assert repr(result.values) == repr(values)  # repr tells 1 from True
    assert list(result.cleared) == cleared
