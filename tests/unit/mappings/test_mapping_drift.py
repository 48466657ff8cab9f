"""Proposed edits: for everything that another side can do to a mapping, text that is an overlay once its questions are answered."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mappings.drift import Cause, Drifted, proposal
from mappings.engine import CompiledMapping
from mappings.faults import FaultKind, Unmappable
from mappings.model import MappingFile
from mappings.paths import parse_path
from mappings.registry import MappingRegistry
from mappings.written import as_yaml, mapping_as_written

ID = "vms__model"
MAPPING = """
mapping: vms__model
version: 1
effective_from: 2026-01-01
because: a test
source_fields: closed
demands:
  - {that: {path: Kind, equals: person}, because: only people}
fields:
  name: {from: Name, apply: [strip], required: true}
  site.city: {from: 'Site.City[0]."of birth"', when: {not: {path: Site.Hidden, equals: true}}}
  unit: {from: Unit, lookup: {file: table.units.yaml, sha256: UNITS}, required: true}
  kind: {from: Unit, apply: [strip, {map_values: {table: {Hour: time}}}]}
  ends: {gather: [End, Closed], apply: [first]}
  secret: {from: Code, lookup: {table: {A: a}}, sensitive: true}
"""
TABLES = {"table.units.yaml": {"Hour": "hour", "Day": "day"}}


def mapping() -> MappingFile:
    return MappingFile.model_validate(yaml.safe_load(MAPPING.replace("UNITS", "a" * 64)))


def seen(*others: Cause, **record: object) -> Drifted:
    return Drifted(mapping(), TABLES, others, record)


def cause(kind: FaultKind, source: str, value: str | None = None) -> Cause:
    return Cause(ID, kind, source, value)


def edit_of(text: str) -> dict[str, Any]:
    """The proposal as an overlay; ``?`` where a path is asked for is a field that is there."""
    edit = yaml.safe_load(text.replace("from: '?'", "from: Name"))
    said = {"mapping": ID, "version": 2, "effective_from": "2026-01-01", "because": "drift", "base": "v0001"}
    MappingFile.model_validate({**said, **edit})
    return dict(edit)


def test_a_new_word_is_added_wherever_its_field_is_looked_up_with_the_whole_table() -> None:
    edit = edit_of(proposal(cause(FaultKind.NEW_VALUE, "Unit", "Week"), seen(cause(FaultKind.NEW_VALUE, "Unit", "Year"))))
    asked = {"Week": "?", "Year": "?"}
    assert edit["fields"]["unit"]["lookup"] == {"table": {"Hour": "hour", "Day": "day", **asked}}
    assert edit["fields"]["kind"]["apply"] == ["strip", {"map_values": {"table": {"Hour": "time", **asked}}}]


def test_a_sensitive_word_is_asked_for_and_not_shown() -> None:
    text = proposal(cause(FaultKind.NEW_VALUE, "Code"), seen(Code="SECRET-7"))
    assert edit_of(text)["fields"]["secret"]["lookup"] == {"table": {"A": "a", "?": "?"}}
    assert "SECRET" not in text


def test_a_renamed_field_is_read_by_its_new_name_everywhere_in_a_rule() -> None:
    now = 'The "Site"'
    text = proposal(cause(FaultKind.UNKNOWN_FIELD, now), seen(cause(FaultKind.VANISHED_FIELD, "Site")))
    rule = edit_of(text)["fields"]["site.city"]
    assert parse_path(rule["from"]).first == parse_path(rule["when"]["not"]["path"]).first == now
    assert rule["from"].endswith('.City[0]."of birth"')
    assert text == proposal(cause(FaultKind.VANISHED_FIELD, "Site"), seen(cause(FaultKind.UNKNOWN_FIELD, now)))


def test_a_renamed_field_that_a_demand_reads_needs_a_complete_version() -> None:
    assert "complete version" in proposal(cause(FaultKind.UNKNOWN_FIELD, "Kinds"), seen(cause(FaultKind.VANISHED_FIELD, "Kind")))


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("Name", {"fields": {"name": {"from": "Name", "apply": ["strip"], "required": True}}}),
        ("Site", {"removes": ["site.city"]}),
        ("End", {"fields": {"ends": {"gather": ["Closed"], "apply": ["first"]}}}),
    ],
)
def test_what_read_a_vanished_field_reads_another_or_is_removed(gone: str, expected: dict[str, Any]) -> None:
    assert edit_of(proposal(cause(FaultKind.VANISHED_FIELD, gone), seen())) == expected


def test_new_fields_are_ignored_together() -> None:
    found = edit_of(proposal(cause(FaultKind.UNKNOWN_FIELD, "Budget"), seen(cause(FaultKind.UNKNOWN_FIELD, "Floor"))))
    assert found == {"ignores": ["Budget", "Floor"]}


@pytest.mark.parametrize(("value", "first"), [(7, ["text"]), (7.5, ["json_decimal", "text"]), ({"a": 1}, ["?"])])
def test_a_value_of_another_type_is_made_text_first(value: object, first: list[str]) -> None:
    text = proposal(cause(FaultKind.CHANGED_TYPE, "Name"), seen(Name=value))
    assert yaml.safe_load(text)["fields"]["name"]["apply"] == [*first, "strip"]


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=64)


@given(word=WORDS, name=WORDS)
def test_whatever_a_word_or_a_field_is_called_the_key_is_read_back_and_the_proposal_is_yaml(word: str, name: str) -> None:
    key = f"{ID}/new_value/{name}/{word}"
    assert Cause.of_key(key, name) == cause(FaultKind.NEW_VALUE, name, word)
    table = edit_of(proposal(cause(FaultKind.NEW_VALUE, "Unit", word), seen()))["fields"]["unit"]["lookup"]["table"]
    assert table[word] == "?"
    assert edit_of(proposal(cause(FaultKind.UNKNOWN_FIELD, name), seen()))["ignores"] == [name]
    renamed = edit_of(proposal(cause(FaultKind.UNKNOWN_FIELD, f"Site{name}"), seen(cause(FaultKind.VANISHED_FIELD, "Site"))))
    if "fields" in renamed:
        assert parse_path(renamed["fields"]["site.city"]["from"]).first == f"Site{name}"


@pytest.mark.parametrize("key", ["", "a", "a/new_value", "a/new_valueX/Unit", f"{ID}/new_value/Units", f"{ID}/defect/Unit"])
def test_a_key_that_names_no_cause_of_the_field_is_none(key: str) -> None:
    assert Cause.of_key(key, "Unit") is None
    assert Cause.of_key(key, None) is None


def test_the_groups_of_a_mapping_are_read_back_as_their_causes() -> None:
    compiled = CompiledMapping(mapping(), content_sha256="0" * 64, tables=TABLES)
    record = {"Kind": "person", "Name": "x", "Site": {}, "Unit": "A/B 'c'", "End": "", "Closed": "", "Code": "A"}
    with pytest.raises(Unmappable) as refusal:
        compiled.apply(record)
    assert Cause.of_key(refusal.value.group, refusal.value.field) == cause(FaultKind.NEW_VALUE, "Unit", "A/B 'c'")


@pytest.mark.parametrize("mapping_id", MappingRegistry.shipped().ids())
def test_a_version_that_is_shown_can_be_used_as_it_stands(mapping_id: str) -> None:
    registry = MappingRegistry.shipped()
    for label in registry.labels(mapping_id):
        shown = yaml.safe_load(as_yaml(mapping_as_written(registry.effective(mapping_id, label))))
        assert MappingFile.model_validate(shown) == registry.effective(mapping_id, label)
