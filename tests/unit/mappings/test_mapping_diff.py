from __future__ import annotations

import yaml

from mappings.diff import Reading, differences
from mappings.model import MappingFile

FIRST = """
mapping: vms__model
version: 1
effective_from: 2026-01-01
because: the first
ignores: [A, B]
demands:
  - {that: {path: Unit, equals: Hour}, because: only hours}
fields:
  name: {from: Name, apply: [strip], required: true}
  unit: {from: Unit, lookup: {table: {Hour: hour, Day: day}}}
  day: {from: Start, apply: [{iso_date: {order: ymd}}]}
  old: {value: x}
"""
SECOND = """
effective_from: 2026-01-01
mapping: vms__model
because: said otherwise
version: 2
ignores: [B, C]
fields:
  unit: {lookup: {table: {Day: day, Hour: hour, Week: month}}, from: Unit}
  name: {required: false, apply: [strip, upper], from: Name}
  day: {from: Start, apply: [iso_date]}
  new: {from: Extra, default: "-"}
"""


def reading(text: str, **tables: dict[str, object]) -> Reading:
    return Reading(MappingFile.model_validate(yaml.safe_load(text)), tables)


def test_versions_are_compared_by_what_they_mean() -> None:
    assert [str(found) for found in differences(reading(FIRST), reading(SECOND))] == [
        "mapping: ignored field removed: A",
        "mapping: ignored field added: C",
        "record: demand removed: {equals: Hour, path: Unit}, because only hours",
        "name: apply: strip → strip → upper",
        "name: required: yes → no",
        "new: field added: from Extra; default '-'; required no; strength normal; sensitive no",
        "old: field removed: value x; required no; strength normal; sensitive no",
        "unit: lookup of 'Week' added: month",
    ]


def test_layout_order_and_defaults_written_out_make_no_difference() -> None:
    same = yaml.safe_dump(yaml.safe_load(FIRST), sort_keys=True)
    assert differences(reading(FIRST), reading(same)) == []


def test_the_words_of_table_files_are_compared_too() -> None:
    text = FIRST.replace("{table: {Hour: hour, Day: day}}", f"{{file: table.units.yaml, sha256: {'a' * 64}}}")
    old = reading(text, **{"table.units.yaml": {"Hour": "hour"}})
    new = reading(text, **{"table.units.yaml": {"Hour": "day"}})
    assert [str(found) for found in differences(old, new)] == ["unit: lookup of 'Hour': hour → day"]
    assert differences(old, reading(FIRST.replace(", Day: day", ""))) == []
