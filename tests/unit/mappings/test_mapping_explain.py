from __future__ import annotations

from typing import Any

import pytest

from mappings.engine import CompiledMapping, Origin
from mappings.explain import FieldExplanation
from mappings.faults import FaultKind
from mappings.model import MappingFile, Strength
from mappings.values import ABSENT, CLEAR

RATE = {
    "from": '"Pay Rate"',
    "apply": ["strip", "decimal", {"multiply": {"by": "0.125"}}, {"money": {"places": 3}}],
    "required": True,
    "strength": "strong",
    "sensitive": True,
}


def explained(rule: dict[str, Any], record: dict[str, object]) -> FieldExplanation:
    document = {"mapping": "a__b", "version": 1, "effective_from": "2026-01-01", "because": "a test", "fields": {"out": rule}}
    mapping = CompiledMapping(MappingFile.model_validate(document), content_sha256="0" * 64)
    (explanation,) = mapping.explain(record)
    return explanation


def test_each_step_of_a_value_is_shown_with_its_result() -> None:
    found = explained(RATE, {"Pay Rate": " 760.00 "})
    assert [(reading.path, reading.value) for reading in found.readings] == [('"Pay Rate"', " 760.00 ")]
    assert [(step.name, str(step.value)) for step in found.steps] == [
        ("strip", "760.00"),
        ("decimal", "760.00"),
        ("multiply", "95.00000"),
        ("money", "95.000"),
    ]
    assert (found.value, found.origin, found.fault) == ("95.000", Origin.SOURCE, None)
    assert (found.target, found.strength, found.sensitive, found.applies) == ("out", Strength.STRONG, True, True)


def test_the_steps_before_a_fault_are_shown_and_the_fault_is_part_of_the_answer() -> None:
    found = explained(RATE, {"Pay Rate": "much"})
    assert [step.name for step in found.steps] == ["strip"]
    assert found.fault
    assert (found.fault.kind, found.fault.source) == (FaultKind.MALFORMED_VALUE, "Pay Rate")
    assert found.value is ABSENT
    assert found.origin is None


def test_a_lookup_is_a_step_and_its_table_is_not_repeated() -> None:
    found = explained({"from": "u", "apply": ["strip"], "lookup": {"table": {"Hr": "hour"}}}, {"u": "Hr "})
    assert [(step.name, step.value, dict(step.parameters)) for step in found.steps] == [
        ("strip", "Hr", {}),
        ("lookup", "hour", {}),
    ]


@pytest.mark.parametrize(
    ("rule", "record", "value", "origin", "applies"),
    [
        ({"from": "a", "default": "d"}, {}, "d", Origin.DEFAULT, True),
        ({"from": "a", "default": None}, {}, None, Origin.DEFAULT, True),
        ({"from": "a"}, {}, ABSENT, None, True),
        ({"from": "a"}, {"a": None}, None, Origin.SOURCE, True),
        ({"value": 7}, {}, 7, Origin.CONSTANT, True),
        ({"clear": True}, {}, CLEAR, Origin.CLEARED, True),
        ({"value": 7, "when": {"path": "a", "is": "present"}}, {}, ABSENT, None, False),
    ],
)
def test_the_origin_of_a_value_is_told(
    rule: dict[str, Any], record: dict[str, object], value: object, origin: Origin | None, applies: bool
) -> None:
    found = explained(rule, record)
    assert found.value is value or found.value == value
    assert (found.origin, found.applies) == (origin, applies)


def test_what_is_gathered_is_shown_path_by_path_also_what_is_absent() -> None:
    found = explained({"gather": ["a", "b.c"], "apply": ["join"]}, {"a": "x"})
    assert [(reading.path, reading.value) for reading in found.readings] == [("a", "x"), ("b.c", ABSENT)]


def test_an_ambiguous_condition_is_a_fault_of_its_field() -> None:
    found = explained({"value": 1, "when": {"path": "a[b=c].d", "is": "present"}}, {"a": [{"b": "c"}, {"b": "c"}]})
    assert found.fault
    assert found.fault.kind is FaultKind.AMBIGUOUS


def test_the_printed_form_shows_no_values() -> None:
    assert "760" not in repr(explained(RATE, {"Pay Rate": "760"}))
