from __future__ import annotations

from typing import Any

import pytest

from mappings.check import Uncovered, check_mapping, uncovered
from mappings.document import read_document
from mappings.engine import CompiledMapping
from mappings.model import MappingFile

HEAD = "mapping: a__b\nversion: 1\neffective_from: 2026-01-01\nbecause: a test\n"

TEXT, WHOLE, DAY = {"type": "string"}, {"type": "integer"}, {"type": "string", "format": "date"}


def an_object(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    needed = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


SOURCE = an_object(
    ["name", "unit", "starts"],
    name={"type": "string", "minLength": 1},
    unit={"enum": ["Hour", "Day"]},
    starts=DAY,
    ends={"type": "string", "format": "date-time"},
    phone={"type": ["string", "null"]},
    age=WHOLE,
    rate={"type": "number"},
    site={"anyOf": [an_object(city=TEXT), {"type": "null"}]},
    signers={"type": "array", "items": an_object(["role"], role={"enum": ["worker", "client"]}, email=TEXT)},
)
TARGET = an_object(
    ["title"],
    title={"type": "string", "maxLength": 10},
    unit={"enum": ["hour", "day"]},
    nickname={"type": ["string", "null"]},
    day=DAY,
    count=WHOLE,
    band=an_object(least=TEXT, most=TEXT),
    id=False,
)
TITLE = "  title: {from: name, required: true}\n"


def faults_of(text: str, source: Any = SOURCE, target: Any = TARGET, **tables: Any) -> list[str]:
    document = read_document((HEAD + text).encode(), "v0001.yaml")
    mapping = MappingFile.model_validate(document.data)
    found = check_mapping(document, mapping, source_schema=source, target_schema=target, tables=tables)
    return [f"{fault.key}: {fault.message}" for fault in found]


def faults(rule: str, target: str = "nickname", before: str = "") -> list[str]:
    return faults_of(f"{before}fields:\n{TITLE}  {target}: {rule}\n")


def test_a_mapping_that_fits_has_no_fault() -> None:
    text = (
        "fields:\n  title: {from: name, apply: [strip], required: true}\n  day: {from: starts, apply: [strip, iso_date]}\n"
        "  unit: {from: unit, lookup: {table: {Hour: hour, Day: day}}}\n  count: {from: age}\n  nickname: {from: phone}\n"
    )
    assert faults_of(text) == []


def test_every_fault_is_found_at_once_with_its_line_and_column() -> None:
    text = (
        "ignores: [nmae]\nfields:\n  title: {from: nmae}\n  colour: {value: red}\n  count:\n    from: age\n    apply: [strip]\n"
    )
    document = read_document((HEAD + text).encode(), "v0001.yaml")
    found = check_mapping(document, MappingFile.model_validate(document.data), source_schema=SOURCE, target_schema=TARGET)
    assert [str(fault) for fault in found] == [
        "v0001.yaml:5:11: ignores.0: the source has no 'nmae'; did you mean 'name'?",
        "v0001.yaml:7:11: fields.title.from: the source has no 'nmae'; did you mean 'name'?",
        "v0001.yaml:8:3: fields.colour: the target has no 'colour'",
        "v0001.yaml:11:13: fields.count.apply.0: strip takes text, and a whole number may arrive",
        "v0001.yaml:11:13: fields.count.apply.0: text may come out, and the target takes a whole number",
    ]


def test_an_end_that_nobody_described_is_not_looked_at() -> None:
    text = "fields:\n  title: {from: 'anything.at[0].all'}\n  elsewhere.too: {value: 1}\n"
    assert faults_of(text, source=None, target=None) == []


# Paths


def test_a_selector_on_what_is_no_list_is_a_fault() -> None:
    assert faults("{from: 'name[0]'}") == ["fields.nickname.from: name of the source is text: it is not a list"]


def test_an_item_that_the_source_never_has_is_a_fault() -> None:
    told = "no item of signers of the source has role=agent: it knows only worker, client"
    assert faults("{from: 'signers[role=agent].email'}") == [f"fields.nickname.from: {told}"]
    assert faults("{from: 'signers[role=worker].email'}") == []


def test_each_path_that_is_gathered_has_to_be_there() -> None:
    assert faults("{gather: [name, surname], apply: [join]}") == ["fields.nickname.gather.1: the source has no 'surname'"]


# Types


def test_a_type_that_may_arrive_and_the_first_transform_does_not_take_is_a_fault() -> None:
    assert faults("{from: rate, apply: [text]}")[0].startswith("fields.nickname.apply.0: text takes ")
    assert "and a number with a fraction may arrive" in faults("{from: rate, apply: [text]}")[0]
    assert faults("{from: age, apply: [text]}") == []


def test_the_type_that_comes_out_is_held_against_the_targets() -> None:
    told = "a whole number may come out, and the target takes null or text"
    assert faults("{from: age}") == [f"fields.nickname.from: {told}"]
    assert faults("{from: phone, apply: [split: {separator: ','}]}") == [
        "fields.nickname.apply.0: a list may come out, and the target takes null or text"
    ]


def test_an_object_is_no_text() -> None:
    assert "an object may come out" in faults("{from: site}")[0]


def test_a_whole_number_may_go_where_numbers_go_and_not_the_other_way_round() -> None:
    target = an_object([], count=WHOLE, rate={"type": "number"})
    text = "fields:\n  rate: {from: age}\n  count: {from: rate}\n"
    told = "a number with a fraction may come out, and the target takes a whole number"
    assert faults_of(text, target=target) == [f"fields.count.from: {told}"]


def test_an_instant_is_no_day() -> None:
    assert faults("{from: ends}", "day") == ["fields.day.from: a date-time comes out, and the target takes a date"]
    assert faults("{from: ends, apply: [absent_if_empty]}", "day") == [
        "fields.day.apply.0: a date-time comes out, and the target takes a date"
    ]


# Null and absence


def test_null_that_may_arrive_at_a_target_that_takes_none_is_a_fault() -> None:
    text = "fields:\n  title: {from: name, required: true}\n  site: {from: phone}\n"
    target = an_object(["title"], title=TEXT, site=TEXT)
    told = "null may come out, and the target takes none: say absent_if_empty, default_if_empty or required"
    assert faults_of(text, target=target) == [f"fields.site.from: {told}"]
    for mended in ("apply: [absent_if_empty]", "required: true", 'apply: [default_if_empty: {value_if_empty: "-"}]'):
        assert faults_of(text.replace("from: phone", f"from: phone, {mended}"), target=target) == []


def test_null_that_a_transform_makes_counts_too() -> None:
    text = f"fields:\n{TITLE}  site: {{from: 'signers[0].email', apply: [null_if_empty]}}\n"
    told = "fields.site.apply.0: null does not fit: the target takes text"
    assert faults_of(text, target=an_object(["title"], title=TEXT, site=TEXT)) == [told]


def test_a_condition_that_asks_for_the_value_keeps_null_away() -> None:
    target = an_object(["title"], title=TEXT, site=TEXT)
    rule = f"fields:\n{TITLE}  site: {{from: phone, when: %s}}\n"
    assert faults_of(rule % "{path: phone, is: present}", target=target) == []
    assert faults_of(rule % "{not: {path: phone, is: missing}}", target=target) == []
    assert faults_of(rule % "{all: [{path: phone, in: [a, b]}]}", target=target) == []
    assert faults_of(rule % "{any: [{path: phone, is: present}, {path: age, equals: 1}]}", target=target) != []


def test_what_is_cleared_has_to_take_null() -> None:
    assert faults("{clear: true}") == []
    assert faults("{clear: true}", "day") == ["fields.day.clear: the target takes no null, so nothing can be cleared there"]


# What stands in the mapping


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("{value: Contractors}", "fields.title.value: 'Contractors' does not fit: the target takes at most 10 characters"),
        ("{value: 7}", "fields.title.value: 7 does not fit: the target takes text"),
        ("{value: null}", "fields.title.value: null does not fit: the target takes text"),
        ("{from: phone, required: true, default: Contractors}", "fields.title.default: 'Contractors' does not fit"),
        (
            "{from: unit, lookup: {table: {Hour: Contractors, Day: day}}}",
            "fields.title.lookup.table.Hour: 'Contractors' does not",
        ),
        (
            "{from: unit, apply: [map_values: {table: {Hour: 1, Day: d}}]}",
            "fields.title.apply.0.map_values.table.Hour: 1 does not fit",
        ),
        ("{from: name, apply: [default_if_empty: {value_if_empty: 1}]}", None),
    ],
)
def test_constants_defaults_and_tables_are_judged_in_full(rule: str, told: str | None) -> None:
    found = faults_of(f"fields:\n  title: {rule}\n")
    assert [fault[: len(told or "")] for fault in found] == ([told] if told else [])


def test_a_value_that_replaces_an_empty_one_is_judged_where_one_may_be_empty() -> None:
    rule = '{from: "signers[0].email", apply: [default_if_empty: {value_if_empty: 1}]}'
    assert faults(rule) == ["fields.nickname.apply.0: 1 does not fit: the target takes null or text"]


def test_words_of_the_source_that_no_entry_is_for_are_named() -> None:
    rule = "{from: unit, lookup: {table: {Hour: hour}}}"
    told = "fields.unit.lookup.table: the source also says 'Day', and no entry is for that"
    assert faults(rule, "unit") == [told]
    demands = "demands:\n  - {that: {path: unit, in: [Hour]}, because: days are not paid}\n"
    assert faults(rule, "unit", before=demands) == []
    assert faults(rule.replace("lookup", "when: {not: {path: unit, equals: Day}}, lookup"), "unit") == []


def test_words_are_followed_through_transforms() -> None:
    rule = "{from: unit, apply: [lower], lookup: {table: {%s}}}"
    assert faults(rule % "hour: hour, day: day", "unit") == []
    assert faults(rule % "Hour: hour, Day: day", "unit") == [
        "fields.unit.lookup.table: the source also says 'hour', 'day', and no entry is for that"
    ]


def test_words_that_the_target_does_not_know_are_named() -> None:
    assert faults("{from: unit}", "unit") == [
        "fields.unit.from: 'Day' does not fit: the target knows only hour, day",
        "fields.unit.from: 'Hour' does not fit: the target knows only hour, day",
    ]
    assert faults("{from: unit, apply: [lower]}", "unit") == []
    assert faults("{from: unit, lookup: {table: {Hour: hour, Day: daily}}}", "unit") == [
        "fields.unit.lookup.table.Day: 'daily' does not fit: the target knows only hour, day"
    ]


def test_words_that_a_transform_does_not_take_are_named() -> None:
    rule = "{from: unit, apply: [boolean: {'true': [Hour], 'false': [Week]}, bool_text]}"
    assert faults(rule) == ["fields.nickname.apply.0: the source also says 'Day', which boolean does not take"]


def test_a_table_in_a_file_of_its_own_is_judged_where_it_is_given() -> None:
    lookup = "lookup: {file: table.units.yaml, sha256: " + "a" * 64 + "}"
    text = f"fields:\n{TITLE}  unit: {{from: unit, {lookup}}}\n"
    assert faults_of(text) == []
    given = {"table.units.yaml": {"Hour": "hours"}}
    assert faults_of(text, **given) == [
        "fields.unit.lookup.file: 'hours' does not fit: the target knows only hour, day",
        "fields.unit.lookup.file: the source also says 'Day', and no entry is for that",
    ]


# The target


def test_a_field_that_is_not_the_mappings_is_a_fault() -> None:
    assert faults("{value: x}", "id") == ["fields.id: the target rules 'id' out"]
    assert faults("{value: x}", "day.short") == [
        "fields.day.short: day of the target is text: it has nothing inside, so no 'short'"
    ]


def test_what_the_target_requires_has_to_be_filled() -> None:
    assert faults_of("fields:\n  nickname: {from: name}\n") == ["fields.title: the target requires it, and no rule fills it"]


def test_what_the_target_requires_is_not_left_to_a_condition() -> None:
    told = "fields.title.when: the target requires it, and it is filled only under a condition"
    assert faults_of("fields:\n  title: {value: x, when: {path: age, equals: 7}}\n") == [told]


def test_what_the_target_requires_is_not_left_to_a_source_that_may_leave_it_out() -> None:
    told = "fields.title: the target requires it, and the source may leave it out: say required, or a default"
    rule = 'fields:\n  title: {from: "signers[0].email"%s}\n'
    assert faults_of(rule % "") == [told]
    assert faults_of(rule % ", apply: [absent_if_empty]") == [told]
    assert faults_of(rule % ", required: true") == []
    assert faults_of(rule % ", default: none") == []


def test_what_is_required_inside_counts_once_something_inside_is_written() -> None:
    assert faults("{from: name}", "band.least") == ["fields.band.most: the target requires it, and no rule fills it"]
    assert faults_of("fields:\n" + TITLE + "  band.least: {from: name}\n  band.most: {from: name}\n") == []


def test_what_is_inside_of_something_optional_may_be_left_out_with_it() -> None:
    rule = "{from: name, when: {path: age, is: present}}"
    assert faults_of(f"fields:\n{TITLE}  band.least: {rule}\n  band.most: {rule}\n") == []


def test_a_required_object_needs_what_it_requires() -> None:
    target = an_object(["band"], band=an_object(["least"], least=TEXT, most=TEXT))
    assert faults_of("fields:\n  band.most: {from: name}\n", target=target) == [
        "fields.band.least: the target requires it, and no rule fills it"
    ]


# Empty texts


EMPTY = "an empty text may arrive, which %s does not take: say absent_if_empty before it"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("{from: phone, apply: [iso_date]}", EMPTY % "iso_date"),
        ("{from: phone, apply: [strip, iso_date]}", EMPTY % "iso_date"),
        ("{from: phone, apply: [map_values: {table: {x: y}}]}", EMPTY % "map_values"),
        ("{from: phone, lookup: {table: {x: y}}}", EMPTY % "lookup"),
        ("{from: phone, lookup: {table: {x: y, '': z}}}", None),
        ("{from: phone, lookup: {table: {x: y}, otherwise: z}}", None),
        ("{from: phone, apply: [absent_if_empty, iso_date]}", None),
        ("{from: phone, apply: [iso_date], required: true}", None),
        ("{from: phone, apply: [iso_date], when: {path: phone, is: present}}", None),
        ("{from: starts, apply: [iso_date]}", None),
        ("{from: name, apply: [iso_date]}", None),
        ("{from: phone, apply: [strip, upper]}", None),
    ],
)
def test_an_empty_text_that_a_step_refuses_is_told_unless_the_field_is_required(rule: str, told: str | None) -> None:
    found = faults(rule)
    assert [fault.partition(": ")[2] for fault in found] == ([told] if told else [])


def test_the_hubs_own_document_says_null_and_never_empty_text() -> None:
    text = f"fields:\n{TITLE}  nickname: {{from: phone, apply: [iso_date]}}\n"
    document = read_document((HEAD.replace("a__b", "engagement__b") + text).encode(), "v0001.yaml")
    mapping = MappingFile.model_validate(document.data)
    assert check_mapping(document, mapping, source_schema=SOURCE, target_schema=TARGET) == []


# Several sources


@pytest.mark.parametrize(
    ("rule", "target", "told"),
    [
        ("{gather: [phone, name], apply: [first]}", "title", None),
        ("{gather: [phone, unit], apply: [first]}", "title", None),
        ("{gather: [phone, age], apply: [first]}", "nickname", "apply.0: a whole number may come out"),
        ("{gather: [name, age], apply: [first]}", "nickname", None),
        ("{gather: [phone, ends], apply: [first]}", "title", "the target requires it, and the source may leave it out"),
        ("{gather: [name, phone], apply: [join]}", "title", None),
        (
            "{gather: [name, age], apply: [join]}",
            "nickname",
            "apply.0: join takes text, and a whole number may arrive from gather.1",
        ),
        ("{gather: [unit, phone], apply: [agreed]}", "unit", "gather: 'Day' does not fit: the target knows only hour, day"),
        ("{gather: [phone, age], apply: [item: {at: 1}]}", "nickname", "apply.0: a whole number may come out"),
        ("{gather: [name, starts], apply: [item: {at: 1}]}", "day", None),
        ("{gather: [ends, name], apply: [fill: {template: '{2}'}]}", "nickname", None),
    ],
)
def test_what_is_gathered_is_followed_item_by_item(rule: str, target: str, told: str | None) -> None:
    title = "" if target == "title" else TITLE
    found = faults_of(f"fields:\n{title}  {target}: {rule}\n")
    assert found == [] if told is None else told in found[0]


def test_items_of_a_list_have_to_fit_the_targets_list() -> None:
    target = an_object([], mails={"type": "array", "items": TEXT, "maxItems": 1})
    told = "fields.mails.gather.0: a whole number may come out, and the target's list takes text"
    assert faults_of("fields:\n  mails: {gather: [name]}\n", target=target) == []
    assert faults_of("fields:\n  mails: {gather: [age]}\n", target=target) == [told]
    assert "null may come out" in faults_of("fields:\n  mails: {gather: [phone]}\n", target=target)[0]
    assert "never long enough" in faults_of("fields:\n  mails: {gather: [name, unit]}\n", target=target)[0]


def test_a_transform_that_gives_days_gives_no_instant() -> None:
    target = an_object([], at={"type": "string", "format": "date-time"}, day=DAY)
    assert faults_of("fields:\n  at: {from: starts, apply: [iso_date]}\n", target=target) == [
        "fields.at.apply.0: a date comes out, and the target takes a date-time"
    ]
    assert faults_of("fields:\n  day: {from: starts, apply: [iso_date]}\n", target=target) == []


# Cases


def test_every_case_is_judged_and_that_none_may_apply() -> None:
    cases = "{cases: [{when: {path: unit, equals: Day}, value: %s}]%s}"
    assert faults_of("fields:\n  title: " + cases % ("daily", ", default: hourly") + "\n") == []
    assert "the source may leave it out" in faults_of("fields:\n  title: " + cases % ("daily", "") + "\n")[0]
    assert faults_of("fields:\n  title: " + cases % ("7", ", default: hourly") + "\n") == [
        "fields.title.cases.0.value: 7 does not fit: the target takes text"
    ]
    told = "cases.0.when.equals: the source never says 'day' there: it says only Hour, Day"
    assert told in faults(cases.replace("Day", "day") % ("x", ""))[0]


# Overlays


def test_a_fault_of_what_is_taken_over_says_so_and_is_shown_at_the_base() -> None:
    below = read_document(
        (
            f"{HEAD}ignores: [nothing]\ndemands: [{{that: {{path: unit, equals: x}}, because: needed}}]\n"
            f"fields:\n{TITLE}  day: {{from: nmae}}\n  unit: {{value: hour}}\n"
        ).encode(),
        "v0001.yaml",
    )
    text = (
        f"{HEAD}base: v0001\nremoves: [unit]\nignores: [nowhere]\ndemands: [{{that: {{path: unit, equals: y}}, because: needed}}]\n"
        "fields:\n  nickname: {from: nome}\n"
    )
    above = read_document(text.encode(), "t0001.yaml")
    base, own = MappingFile.model_validate(below.data), MappingFile.model_validate(above.data)
    fields = {target: rule for target, rule in base.fields.items() if target != "unit"} | own.fields
    merged = own.model_copy(
        update={"fields": fields, "demands": [*base.demands, *own.demands], "ignores": [*base.ignores, *own.ignores]}
    )
    target = an_object(["unit"], **TARGET["properties"])
    found = check_mapping(above, merged, source_schema=SOURCE, target_schema=target)
    over = "(taken over from v0001: give it a rule of its own here)"
    assert [(fault.line, fault.key, fault.message.endswith(over)) for fault in found] == [
        (5, "demands.0.that.equals", True),
        (5, "fields.day.from", True),
        (5, "ignores.0", True),
        (6, "fields.unit", False),
        (7, "ignores.0", False),
        (8, "demands.0.that.equals", False),
        (10, "fields.nickname.from", False),
    ]


# Conditions


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("{path: unit, equals: Week}", "equals: the source never says 'Week' there: it says only Hour, Day"),
        ("{path: unit, in: [Day, day]}", "in: the source never says 'day' there: it says only Hour, Day"),
        ("{path: age, equals: '7'}", "equals: the source never says '7' there: it says a whole number"),
        ("{path: name, equals: null}", "equals: the source never says null there: it says text"),
        ("{any: [{path: agee, equals: 7}]}", "any.0.path: the source has no 'agee'; did you mean 'age'?"),
        ("{not: {path: unit, equals: hour}}", "not.equals: the source never says 'hour' there: it says only Hour, Day"),
        ("{path: starts, at_least: 7}", "at_least: the source never says a number there: it says a date"),
        (
            "{path: ends, above: '2026-01-01'}",
            "above: the source never says a calendar day (yyyy-mm-dd) there: it says a date-time",
        ),
        (
            "{path: age, below: '2026-01-01'}",
            "below: the source never says a calendar day (yyyy-mm-dd) there: it says a whole number",
        ),
        ("{path: starts, at_least: '2026-01-01'}", None),
        ("{path: phone, at_least: '2026-01-01'}", None),
        ("{path: phone, at_most: '9.50'}", None),
        ("{path: rate, above: 0}", None),
        ("{path: unit, equals: Day}", None),
        ("{path: site.city, is: present}", None),
    ],
)
def test_a_condition_compares_with_what_the_source_says(condition: str, told: str | None) -> None:
    found = faults(f"{{value: x, when: {condition}}}")
    assert found == ([f"fields.nickname.when.{told}"] if told else [])


def test_a_demand_compares_with_what_the_source_says() -> None:
    demands = "demands:\n  - {that: {path: unit, equals: hour}, because: days are not paid}\n"
    assert "demands.0.that.equals: the source never says 'hour' there: it says only Hour, Day" in faults(
        "{from: name}", before=demands
    )


# The source as a whole


def test_what_is_read_is_not_ignored() -> None:
    assert faults("{from: phone}", before="ignores: [phone]\n") == ["ignores.0: 'phone' is read, so it is not ignored"]


def test_a_closed_source_has_every_field_read_or_ignored() -> None:
    known = "source_fields: closed\nignores: [unit, phone, ends, age, site, signers]\n"
    told = "the source has 'rate', which is neither read nor ignored: every record with it would be refused"
    assert faults("{from: starts}", before=known) == [f"source_fields: {told}"]
    assert faults("{from: starts}", before=known.replace("age", "age, rate")) == []


def test_a_closed_source_always_has_what_is_read() -> None:
    known = "source_fields: closed\nignores: [unit, starts, ends, age, site, signers, rate]\n"
    told = "the source may leave 'phone' out: every record without it would be refused as if it had vanished"
    assert faults("{from: phone}", before=known) == [f"source_fields: {told}"]


# Recorded records


def a_mapping(rules: str) -> CompiledMapping:
    return CompiledMapping(
        MappingFile.model_validate(read_document(f"{HEAD}fields:\n{rules}".encode(), "v0001.yaml").data), content_sha256="0"
    )


def test_words_of_recorded_records_that_no_table_covers_are_counted() -> None:
    rules = "  unit: {from: unit, lookup: {table: {Hour: hour}}}\n  site: {from: site, apply: [map_values: {table: {A: a}}]}\n"
    units = ["Week", "Hour", "Day", "Week"]
    records = [{"unit": unit, "site": "A" if unit == "Hour" else "B", "starts": "never"} for unit in units]
    assert uncovered(a_mapping(rules), records) == [
        Uncovered("site", "site", 3, {"B": 3}),
        Uncovered("unit", "unit", 3, {"Week": 2, "Day": 1}),
    ]


def test_of_a_sensitive_rule_only_the_number_is_told() -> None:
    rules = "  unit: {from: unit, lookup: {table: {Hour: hour}}, sensitive: true}\n"
    assert uncovered(a_mapping(rules), [{"unit": "Week"}, {"unit": "Day"}]) == [Uncovered("unit", "unit", 2, {})]


def test_records_that_are_refused_for_other_reasons_do_not_count() -> None:
    assert uncovered(a_mapping("  unit: {from: unit, required: true}\n"), [{}]) == []
