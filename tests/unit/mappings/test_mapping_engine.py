from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.engine import CompiledMapping, Mapped, Origin
from mappings.faults import FaultKind, Unmappable
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
    assert (result.mapping_id, result.version, result.content_sha256) == ("a__b", "v0003", "0" * 64)
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
        ({"gather": ["a", "b"], "apply": ["first"]}, {"b": "x"}, "x"),
        ({"gather": ["a", "b"], "apply": [{"item": {"at": 1}}]}, {"b": "x"}, "x"),
        ({"gather": ["a", "b"], "apply": [{"item": {"at": 0}}]}, {"b": "x"}, NOTHING),
        ({"gather": ["a", "b", "c"], "apply": [{"fill": {"template": "{3}/{1}"}}]}, {"a": "x", "c": 7}, "7/x"),
        ({"gather": ["a", "b"], "apply": ["local_day"]}, {"b": "Europe/Berlin"}, NOTHING),
        ({"gather": ["a", "b"]}, {"b": "x"}, ["x"]),
        ({"from": "a", "lookup": {"table": {"x": 1}, "otherwise": 0}}, {"a": "y"}, 0),
        ({"from": "a", "lookup": {"table": {"x": 1}, "otherwise": None}}, {"a": "y"}, None),
        ({"from": "a", "lookup": {"table": {"x": 1}, "otherwise": 0}}, {"a": None}, None),
        ({"from": "a", "lookup": {"table": {"x": 1}, "otherwise": 0}}, {}, NOTHING),
        ({"cases": [{"when": {"path": "a", "equals": 1}, "value": "x"}]}, {"a": 1}, "x"),
        ({"cases": [{"when": {"path": "a", "equals": 1}, "value": "x"}]}, {"a": 2}, NOTHING),
        ({"cases": [{"when": {"path": "a", "equals": 1}, "value": "x"}], "default": "d"}, {"a": 2}, "d"),
        ({"cases": [{"when": {"path": "a", "equals": 1}, "value": None}], "default": "d"}, {"a": 1}, None),
        (
            {"cases": [{"when": {"path": "a", "above": 1}, "value": "x"}, {"when": {"path": "a", "above": 0}, "value": "y"}]},
            {"a": 1},
            "y",
        ),
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


def refusal_of(mapping: CompiledMapping, record: Mapping[str, object]) -> Unmappable:
    with pytest.raises(Unmappable) as refusal:
        mapping.apply(record)
    assert isinstance(refusal.value, Refused)
    assert refusal.value.faults == mapping.faults(record)
    return refusal.value


def test_every_fault_of_a_record_is_in_one_refusal_with_target_and_source_and_without_values() -> None:
    refusal = refusal_of(
        a_mapping(
            {
                "terms.ends_on": {"from": '"End Date"', "apply": ["iso_date"], "required": True},
                "terms.unit": {"from": '"Rate Unit"', "lookup": {"table": {"Hour": "hour"}}, "sensitive": True},
                "terms.rate": {"from": "Rate", "apply": ["decimal", "text"]},
                "worker.name": {"gather": ["First", "Last"], "apply": ["join"], "required": True},
            },
            demands=[{"that": {"path": "Currency", "equals": "USD"}, "because": "only dollars are paid here"}],
        ),
        {"End Date": "secret-1", "Rate Unit": "secret-2", "Currency": "secret-3", "Rate": 4.5},
    )
    message = str(refusal)
    assert (refusal.cause, refusal.field) == ("unmet_demand", "Currency")
    assert (refusal.mapping_id, refusal.version) == ("a__b", "v0003")
    assert "a__b version v0003: record (from Currency): only dollars are paid here" in message
    assert "terms.ends_on (from End Date): expected a date (ymd)" in message
    assert "terms.unit (from Rate Unit): not a value that the table knows (Hour)" in message
    assert "worker.name (from First, Last): required, but missing or empty" in message
    assert [fault.kind for fault in refusal.faults] == [
        FaultKind.UNMET_DEMAND,
        FaultKind.MALFORMED_VALUE,
        FaultKind.NEW_VALUE,
        FaultKind.CHANGED_TYPE,
        FaultKind.MISSING_VALUE,
    ]
    assert "secret" not in message + repr(refusal.faults) + refusal.group


LOOKUP = {"table": {"Hour": "hour", "Day": "day"}}


@pytest.mark.parametrize(
    ("rule", "record", "group"),
    [
        ({"from": "Unit", "lookup": LOOKUP}, {"Unit": "Week"}, "a__b/new_value/Unit/Week"),
        ({"from": "Unit", "apply": [{"map_values": LOOKUP}]}, {"Unit": "Week"}, "a__b/new_value/Unit/Week"),
        ({"from": "Unit", "lookup": LOOKUP, "sensitive": True}, {"Unit": "Week"}, "a__b/new_value/Unit"),
        ({"from": "Unit", "lookup": LOOKUP}, {"Unit": "W" * 65}, "a__b/new_value/Unit"),
        ({"from": "Unit", "lookup": LOOKUP}, {"Unit": 7}, "a__b/changed_type/Unit"),
        ({"from": "Unit", "apply": ["upper"]}, {"Unit": ["x"]}, "a__b/changed_type/Unit"),
        ({"from": "Unit", "required": True}, {"Unit": ""}, "a__b/missing_value/Unit"),
        ({"from": "Unit", "apply": ["iso_date"]}, {"Unit": "soon"}, "a__b/malformed_value/Unit"),
        ({"from": "a[b=c].d"}, {"a": [{"b": "c"}, {"b": "c"}]}, "a__b/ambiguous/a[b=c].d"),
    ],
)
def test_refusals_of_one_cause_share_a_group_and_a_new_word_makes_a_group_of_its_own(
    rule: dict[str, Any], record: dict[str, object], group: str
) -> None:
    assert refusal_of(a_mapping({"out": rule}), record).group == group


def test_a_new_word_is_shown_where_it_is_not_sensitive() -> None:
    refusal = refusal_of(a_mapping({"out": {"from": "Unit", "lookup": LOOKUP}}), {"Unit": "Week"})
    assert "out (from Unit): not a value that the table knows (Day, Hour), and the record says 'Week'" in str(refusal)
    assert refusal.faults[0].value == "Week"


def test_a_group_does_not_change_with_the_version() -> None:
    groups = {
        refusal_of(a_mapping({"out": {"from": "a", "required": True}}, version=version), {}).group for version in range(1, 4)
    }
    assert groups == {"a__b/missing_value/a"}


def test_a_long_row_of_faults_is_told_in_part_and_kept_as_a_whole() -> None:
    refusal = refusal_of(a_mapping({f"out{n}": {"from": f"in{n}", "required": True} for n in range(40)}), {})
    assert "; and 10 more. Mend the record" in str(refusal)
    assert len(refusal.faults) == 40


CLOSED = {"source_fields": "closed", "ignores": ["Comment", "Last Modified"]}
READING = {
    "out": {"from": "worker.name", "when": {"path": '"Site"', "is": "present"}},
    "list": {"gather": ["a", "b[c=d].e"]},
}
WHOLE = {"worker": {"name": "Ada"}, "Site": "HQ", "a": 1, "b": [], "State": "open"}


@pytest.mark.parametrize(
    ("difference", "kind", "source"),
    [
        ({"Comment": "x"}, None, None),
        ({"New Column": "x"}, FaultKind.UNKNOWN_FIELD, "New Column"),
        ({"Site": ABSENT}, FaultKind.VANISHED_FIELD, "Site"),
        ({"State": ABSENT}, FaultKind.VANISHED_FIELD, "State"),
        ({"b": ABSENT}, FaultKind.VANISHED_FIELD, "b"),
        ({"Site": None}, None, None),
    ],
)
def test_a_closed_source_has_the_fields_that_are_read_or_ignored_and_no_others(
    difference: dict[str, object], kind: FaultKind | None, source: str | None
) -> None:
    demands = [{"that": {"path": "State", "in": ["open", None]}, "because": "only open ones"}]
    record = {name: value for name, value in {**WHOLE, **difference}.items() if value is not ABSENT}
    mapping = a_mapping(READING, demands=demands, **CLOSED)
    if kind is None:
        mapping.apply(record)
        return
    first = refusal_of(mapping, record).faults[0]
    assert (first.kind, first.source, first.target) == (kind, source, "record")


def test_an_open_source_may_have_any_fields() -> None:
    assert a_mapping(READING, ignores=["x"]).apply({"y": 1}).values == {}


def test_only_some_targets_can_be_had_of_a_record_that_is_refused() -> None:
    mapping = a_mapping(
        {
            "terms.ends_on": {"from": "End", "apply": ["iso_date"], "required": True},
            "terms.unit": {"from": "Unit", "lookup": LOOKUP},
            "terms.note": {"from": "Note", "default": None},
            "terms.site": {"from": "Site"},
            "terms.badge": {"clear": True},
        }
    )
    record = {"End": "2026-11-22", "Unit": "Week"}
    assert refusal_of(mapping, record)
    targets = ["terms.ends_on", "terms.unit", "terms.note", "terms.site", "terms.badge", "terms.nothing"]
    assert mapping.apply_only(record, targets) == {"terms.ends_on": "2026-11-22", "terms.note": None}
    assert mapping.apply_only({"End": "?"}, ["terms.ends_on"]) == {}


def test_the_label_is_the_numbers_own_unless_another_is_given() -> None:
    file = a_mapping({"out": {"value": 1}}).mapping
    assert CompiledMapping(file, content_sha256="0" * 64).version == "v0003"
    assert CompiledMapping(file, label="t0003", content_sha256="0" * 64).apply({}).version == "t0003"


def test_targets_that_overlap_are_no_mapping() -> None:
    for fields in ({"a": {"value": 1}, "a.b": {"value": 2}}, {"a": {"value": 1}, '"a"': {"value": 2}}):
        with pytest.raises(TypeError, match="overlap"):
            a_mapping(fields)


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ({"at_least": "2026-12-01"}, "2026-12-01", True),
        ({"above": "2026-12-01"}, "2026-12-01", False),
        ({"below": "2026-12-01"}, "2026-11-30", True),
        ({"at_most": "95.50"}, 95.5, True),
        ({"at_most": "95.50"}, "95.500", True),
        ({"at_most": "95.50"}, "95.51", False),
        ({"above": 0}, "-0.01", False),
        ({"above": 0}, 10**14, True),
        ({"above": 0}, 10**400, False),
        ({"above": 0}, float("inf"), False),
        ({"above": 0}, True, False),
        ({"above": 0}, "2026-12-01", False),
        ({"above": 0}, "1,000.00", False),
        ({"above": "2026-12-01"}, "2026-12-02T00:00:00Z", False),
        ({"above": "2026-12-01"}, "2026-13-02", False),
        ({"above": "2026-12-01"}, None, False),
    ],
)
def test_numbers_are_compared_with_numbers_and_days_with_days(condition: dict[str, Any], value: object, holds: bool) -> None:
    assert (mapped({"value": 1, "when": {"path": "a", **condition}}, {"a": value}) == 1) is holds


@pytest.mark.parametrize("bound", ["soon", "2026-02-30", "1,000", True, None, 1.5, "", 10**15])
def test_a_bound_is_a_number_or_a_day(bound: object) -> None:
    with pytest.raises(ValueError, match=r"compare with a whole number|a condition is"):
        mapped({"value": 1, "when": {"path": "a", "above": bound}}, {})


@pytest.mark.parametrize(
    "rule",
    [
        {"from": "a", "apply": ["iso_date"]},
        {"from": "a", "apply": ["strip", "decimal", "text"]},
        {"from": "a", "lookup": {"table": {"x": 1}}},
        {"from": "a", "apply": [{"map_values": {"table": {"x": 1}}}]},
    ],
)
def test_an_empty_text_in_a_required_field_is_a_missing_value_and_no_malformed_one(rule: dict[str, Any]) -> None:
    refusal = refusal_of(a_mapping({"out": {**rule, "required": True}}), {"a": ""})
    assert [fault.kind for fault in refusal.faults] == [FaultKind.MISSING_VALUE]
    assert "out (from a): required, but missing or empty" in str(refusal)


@pytest.mark.parametrize("record", [{"a": None}, {"a": None, "b": ""}, {"a": []}])
def test_a_required_list_holds_something(record: dict[str, object]) -> None:
    rule = {"from": "a", "required": True} if record == {"a": []} else {"gather": ["a", "b"], "required": True}
    assert refusal_of(a_mapping({"out": rule}), record).cause == FaultKind.MISSING_VALUE


def test_a_required_constant_of_which_no_case_applies_is_refused_with_what_its_cases_ask_for() -> None:
    cases = [{"when": {"path": "kind", "equals": "x"}, "value": 1}]
    refusal = refusal_of(a_mapping({"out": {"cases": cases, "required": True}}), {"kind": "y"})
    assert (refusal.cause, refusal.field) == (FaultKind.MISSING_VALUE, "kind")
    assert a_mapping({"out": {"cases": cases}}).apply({"kind": "x"}).lineage[0].origin is Origin.CONSTANT


def test_fields_that_cases_ask_for_are_read_in_a_closed_source() -> None:
    rule = {"cases": [{"when": {"path": "kind.name", "equals": "x"}, "value": 1}]}
    assert refusal_of(a_mapping({"out": rule}, source_fields="closed"), {}).cause == FaultKind.VANISHED_FIELD


@pytest.mark.parametrize("value", [[{"b": [1]}], {"b": {"c": []}}, ({"b": 1},)])
def test_a_result_shares_nothing_with_its_record_that_can_be_changed(value: Any) -> None:
    fields = {"whole": {"from": "a"}, "listed": {"gather": ["a"]}, "first": {"gather": ["a"], "apply": ["first"]}}
    mapping, record = a_mapping(fields), {"a": value}
    before = repr(record)
    for result in (mapping.apply(record).values, mapping.apply_only(record, ["whole", "listed", "first"])):
        for changed in (result["whole"], result["first"], result["listed"][0]):  # type: ignore[index]
            (changed[0] if isinstance(changed, list) else changed)["b"] = "changed"
    assert repr(record) == before


def test_a_value_that_is_nested_without_end_is_a_fault_and_no_error() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert refusal_of(a_mapping({"out": {"from": "a"}}), {"a": endless}).cause == FaultKind.MALFORMED_VALUE


def test_eight_threads_use_one_mapping_and_none_sees_anothers_record() -> None:
    mapping = a_mapping(
        {
            "p.name": {"gather": ["a.x", "b"], "apply": ["join"], "required": True},
            "p.unit": {"from": "items[k=one].v", "lookup": {"table": {str(n): n for n in range(100)}}},
            "p.kind": {"cases": [{"when": {"path": "n", "above": 50}, "value": "large"}], "default": "small"},
            "p.whole": {"from": "a"},
        }
    )

    def run(number: int) -> bool:
        record = {"a": {"x": f"x{number}"}, "b": "y", "n": number, "items": [{"k": "one", "v": str(number)}]}
        if number % 7 == 0:
            return [fault.target for fault in mapping.faults({**record, "b": 1})] == ["p.name"]
        kind = "large" if number > 50 else "small"
        wanted = {"p": {"name": f"x{number} y", "unit": number, "kind": kind, "whole": {"x": f"x{number}"}}}
        return mapping.apply(record).values == wanted and len(mapping.apply(record).lineage) == 4

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, [number for _ in range(40) for number in range(100)]))


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
    if rule.get("required") and all(
        item is ABSENT or item is None or item == "" for item in (value if isinstance(value, list) else [value])
    ):
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


def sorted_deep(value: Any) -> Any:
    return {name: sorted_deep(value[name]) for name in sorted(value)} if isinstance(value, dict) else value


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
    assert result.values == values
    assert repr(sorted_deep(result.values)) == repr(sorted_deep(values))  # repr tells 1 from True
    assert list(result.cleared) == cleared
