from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mappings.document import MAX_BYTES, Document, _Reading, _syntax_fault, read_document
from mappings.engine import CompiledMapping
from mappings.faults import FaultyMapping
from mappings.files import read_tables, read_version
from mappings.model import ExamplesFile, MappingFile
from mappings.shelf import SHIPPED, Shelf
from mappings.values import ABSENT

LIBRARY = Path(__file__).resolve().parents[3] / "mappings" / "library"
HEAD = "mapping: a__b\nversion: 1\neffective_from: 2026-01-01\nbecause: a test\n"


def compiled(text: str) -> CompiledMapping:
    shelf = Shelf("a__b", "library/a__b", SHIPPED, {"v0001.yaml": text.encode()})
    version = read_version(shelf, "v0001")
    tables = read_tables(version, version.mapping, [shelf])
    return CompiledMapping(version.mapping, label="v0001", content_sha256=version.sha256, tables=tables)


def faults(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(FaultyMapping) as faulty:
        compiled(text)
    return [(fault.line, fault.column, fault.key, fault.message) for fault in faulty.value.faults]


def rule_faults(rule: str) -> str:
    return "\n".join(f"{key}: {message}" for _, _, key, message in faults(f"{HEAD}fields:\n  out: {rule}\n"))


def test_every_fault_is_found_at_once_with_its_line_and_column() -> None:
    text = (
        "mapping: a__b\n"
        "version: one\n"
        "because: a test\n"
        "owner: me\n"
        "fields:\n"
        "  one:\n"
        "    from: a..b\n"
        "    strenght: weak\n"
        "  two: {from: a, apply: [strip, explode]}\n"
        "  two.inner: {value: 1.5}\n"
    )
    found = faults(text)
    assert [(line, column, key) for line, column, key, _ in found] == [
        (1, 1, "effective_from"),
        (2, 1, "version"),
        (4, 1, "owner"),
        (7, 5, "fields.one.from"),
        (8, 5, "fields.one.strenght"),
        (9, 33, "fields.two.apply.1"),
        (10, 3, "fields.two.inner"),
        (10, 15, "fields.two.inner.value"),
    ]
    assert "there is no transform 'explode'; known: absent_if_empty" in found[5][3]
    assert found[6][3] == "writes the same place as two"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{}", "exactly one of from, gather, value, cases, clear"),
        ("{from: a, value: b}", "exactly one of"),
        ("{from: null}", "exactly one of"),
        ("{clear: false}", "clear is true or left out"),
        ("{value: 1, required: true}", "need from, gather or cases"),
        ("{clear: true, default: 1}", "need from, gather or cases"),
        ("{cases: [{when: {path: a, equals: 1}, value: x}], apply: [strip]}", "apply and lookup need from or gather"),
        ("{gather: []}", "at least 1"),
        ("{from: a, apply: [decimal]}", "ends as a decimal"),
        ("{from: a, apply: [decimal, upper]}", "upper takes text, but a decimal arrives"),
        ("{gather: [a], apply: [upper]}", "upper takes text, but a list arrives"),
        ("{from: a, apply: [integer], lookup: {table: {x: 1}}}", "a lookup takes text, but a whole number arrives"),
        ("{from: a, apply: [{money: {places: two}}]}", "money: places"),
        ("{from: a, apply: [{strip: {}, upper: {}}]}", "a transform is its name"),
        ("{from: a, apply: [{join: {separtor: x}}]}", "join: separtor"),
        ("{from: a, lookup: {}}", "a lookup is table, or file with its sha256"),
        ("{from: a, lookup: {table: {x: 2026-01-01}}}", "write it as text in quotes"),
        ("{from: a, lookup: {table: {NO: Norway}}}", "a key is text; put it in quotes"),
        ("{from: a, default: 95.00}", "write it as text in quotes"),
        ("{from: a, strength: strongest}", "strong"),
        ("{from: a, required: 1}", "required: write true or false here"),
        ("{from: a, when: {}}", "a condition is path with one of"),
        ("{from: a, when: {path: a}}", "a condition is path with one of"),
        ("{from: a, when: {path: a, equals: 1, is: present}}", "a condition is path with one of"),
        ("{from: a, when: {path: a, not: {path: b, is: present}}}", "a condition is path with one of"),
        ("{from: a, when: {all: []}}", "at least 1"),
        ("{from: a, from: b}", "the key stands here twice"),
        ("{from: a, when: {path: null, is: present}}", "a condition is path with one of"),
        ("{from: a, when: {path: a, is: null}}", "a condition is path with one of"),
        ("{from: a, when: {path: a, in: null}}", "a condition is path with one of"),
        ("{from: a, lookup: {table: null}}", "a lookup is table, or file with its sha256"),
        ("{from: a, default: NO}", "something else than it looks like"),
        ("{from: a, default: 12:30}", "something else than it looks like"),
        ("{from: a, default: 007}", "something else than it looks like"),
        ("{from: a, default: =}", "something else than it looks like"),
        ("{from: a, lookup: {file: table.x.yaml, sha256: " + "a" * 64 + "}}", "there is no table.x.yaml"),
        ("{value: 2026-02-30}", "not a value of its kind"),
    ],
)
def test_a_rule_that_makes_no_sense_is_explained(rule: str, message: str) -> None:
    assert message in rule_faults(rule)


@pytest.mark.parametrize("target", ["a[0]", "a..b", '""', "a b"])
def test_a_target_is_a_plain_path(target: str) -> None:
    assert faults(f"{HEAD}fields:\n  '{target}': {{value: 1}}\n")


ESCAPES = [
    "{from: a, apply: [__import__]}",
    "{from: a, apply: [eval]}",
    "{from: a, apply: [os.system]}",
    "{from: a, apply: [mappings.transforms.re]}",
    "{from: a, apply: [_expected]}",
    "{from: a, apply: [transforms]}",
    "{from: a, apply: [{exec: {code: 'import os'}}]}",
    "{from: a, apply: [{strip: {__class__: x}}]}",
    "{from: a, apply: [{strip: [1]}]}",
    "{from: 'a.__class__()'}",
    "{from: 'a[__import__(\"os\")]'}",
    "{from: '{a.__class__}'}",
    "{from: '$(id)'}",
    "{from: a, when: 'a == 1'}",
    "{from: a, when: {path: a, python: 'import os'}}",
    "{from: a, when: {path: 'a or __import__(\"os\")', is: present}}",
    "{from: a, when: {path: a, matches: '(a+)+$'}}",
    "{from: a, lookup: {file: ../../../etc/passwd, sha256: " + "a" * 64 + "}}",
    "{from: a, lookup: {file: /etc/passwd, sha256: " + "a" * 64 + "}}",
    "{from: a, lookup: 'os.environ'}",
    "!!python/object/apply:os.system ['id']",
    "{value: !!python/name:os.system ''}",
    "{value: !!binary aGVsbG8=}",
    "{value: !env HOME}",
    "&a {value: 1}",
    "{<<: {value: 1}}",
]


@pytest.mark.parametrize("rule", ESCAPES)
def test_nothing_in_a_mapping_reaches_python(rule: str) -> None:
    assert rule_faults(rule)


class Trap:
    """Anything but a mapping or a list. Reading an attribute or an item of it fails the test."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return Trap
        raise AssertionError(f"{name} was reached")

    def __getitem__(self, key: object) -> object:
        raise AssertionError(f"item {key} was reached")


@pytest.mark.parametrize(
    "path",
    [
        "a.__class__",
        "a.__init__.__globals__",
        "__class__.__mro__",
        "a[0]",
        "a[name=x]",
        "a.keys",
        "b.__class__",
        "b.append",
        "c.upper",
    ],
)
def test_a_path_reads_keys_and_never_attributes(path: str) -> None:
    mapping = compiled(f"{HEAD}fields:\n  out: {{from: '{path}'}}\n")
    record: Mapping[str, object] = {"a": Trap(), "b": ["x"], "c": "text"}
    assert mapping.apply(record).values == {}


def test_format_strings_and_quotes_in_constants_stay_text() -> None:
    mapping = compiled(
        f"{HEAD}fields:\n  out: {{from: a, apply: [{{concat: {{before: '{{0.__class__}}%(x)s', after: '\"'}}}}]}}\n",
    )
    assert mapping.apply({"a": "v"}).values == {"out": '{0.__class__}%(x)sv"'}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: *b", "anchors and aliases"),
        (b"a: &b [1]\nc: *b", "anchors and aliases"),
        (b"[" * 100 + b"]" * 100, "nested deeper"),
        (b"[" * 20000, "nested deeper"),
        (b"a: " + b"x" * MAX_BYTES, "larger than"),
        (b"a: \xff", "not UTF-8"),
        (b"a: [1", "closing bracket is missing"),
        (b"a: 1\n---\nb: 2", "another document"),
        (b"a: \x07", "not YAML text"),
        (b"1: 2", "a key is text"),
        (b"[1, 2]: 3", "a key is text"),
        (b"? {a: 1}\n: 2", "a key is text"),
    ],
)
def test_yaml_beyond_plain_data_is_refused_before_it_is_built(content: bytes, message: str) -> None:
    with pytest.raises(FaultyMapping, match=message):
        read_document(content, "test.yaml")


def test_a_file_that_is_empty_or_no_mapping_is_refused() -> None:
    assert faults("") == [(1, 1, "document", "write keys with values here: {key: value}")]
    assert faults("- a\n- b\n")


def events(text: str, loader: type[Any]) -> Iterator[yaml.Event]:
    return yaml.parse(text, Loader=loader)


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="there is no libyaml here")
def test_what_is_read_and_where_it_stands_does_not_depend_on_libyaml() -> None:
    for path in sorted(LIBRARY.rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        quick, plain = (_Reading(path.name, events(text, loader)) for loader in (yaml.CSafeLoader, yaml.SafeLoader))
        assert quick.document() == plain.document() == yaml.safe_load(text)
        assert quick.places == plain.places
        assert quick.faults == plain.faults == []


def test_places_are_counted_in_characters() -> None:
    document = read_document('\ufeffä: {"ö\U0001f600": [1, ü: 2]}\n'.encode(), "test.yaml")
    assert document.data == {"ä": {"ö\U0001f600": [1, {"ü": 2}]}}
    assert document.places["ä", "ö\U0001f600", 1, "ü"] == (1, 15)


def test_every_tag_and_anchor_is_found_at_once_with_its_place() -> None:
    with pytest.raises(FaultyMapping) as faulty:
        read_document(b"a: &x 1\nb: [!y 2, *x]\n*x : 3\n? !z c\n: 4\n", "test.yaml")
    assert [(fault.line, fault.column, fault.key) for fault in faulty.value.faults] == [
        (1, 4, "a"),
        (2, 5, "b.0"),
        (2, 11, "b.1"),
        (3, 1, "?"),
        (3, 1, "?"),
        (4, 3, "c"),
    ]


WRONG = """\
mapping: a b
version: "1"
effective_from: 20260101
becuase: x
source_fields: half
ignores: all
demands:
  - {that: {path: a, at_least: soon}, because: needed}
  - that: x
fields:
  one: {form: a, aply: [strip]}
  two: {from: a, required: 1, strength: strongest, sensitive: maybe}
  "a b": {value: 1}
  three: {from: a, apply: [stripp, {iso_date: {ordr: x}}, {money: {places: 10}}, {iso_date: {order: xyz}}, {multiply: {}}]}
  four: {from: a, lookup: {tabel: {}}, when: {pth: a, equals: 1}}
  five: {cases: [{when: {path: a, above: 0}}]}
  six: [a]
  seven: {from: 7}
  eight: {gather: a}
  nine: {gather: [a, b], apply: [{fill: {template: "{0}"}}]}
  ten: {from: a, lookup: {file: /etc/passwd, sha256: x}}
removes: []
"""
TOLD = [
    "mapping: write source and target, such as fieldglass__engagement",
    "version: write a whole number here",
    "effective_from: write a business date, such as 2026-12-01",
    "because: this key is missing",
    "source_fields: write open or closed",
    "ignores: write a list here: [one, another]",
    "demands.0.that.at_least: compare with a whole number, a number in quotes such as '95.50', or a day such as '2026-12-01'",
    "demands.1.that: write keys with values here: {key: value}",
    "demands.1.because: this key is missing",
    "fields.one.form: there is no such key; did you mean 'from'?",
    "fields.one.aply: there is no such key; did you mean 'apply'?",
    "fields.two.required: write true or false here",
    "fields.two.strength: write strong, normal or weak",
    "fields.two.sensitive: write true or false here",
    "fields.a b: not a path from character 1 on; names with other characters go in double quotes",
    "fields.three.apply.0: there is no transform 'stripp'; did you mean 'strip'?",
    "fields.three.apply.1: iso_date: ordr: there is no such key; did you mean 'order'?",
    "fields.three.apply.2: money: places: write 9 or less",
    "fields.three.apply.3: iso_date: order: write ymd, mdy or dmy",
    "fields.three.apply.4: multiply: by: this key is missing",
    "fields.four.lookup.tabel: there is no such key; did you mean 'table'?",
    "fields.four.when.pth: there is no such key; did you mean 'path'?",
    "fields.five.cases.0.value: this key is missing",
    "fields.six: write keys with values here: {key: value}",
    "fields.seven.from: write a text here; one that looks like a number or a date goes in quotes",
    "fields.eight.gather: write a list here: [one, another]",
    "fields.nine.apply.0: fill: template: write {1} for the first value, {2} for the second; {{ and }} for braces",
    "fields.ten.lookup.file: write a file beside this one, called table.NAME.yaml",
    "fields.ten.lookup.sha256: write the 64 characters that sha256sum shows for the file",
    "becuase: there is no such key; did you mean 'because'?",
]


def told_of(text: str) -> list[str]:
    document = read_document(text.encode(), "test.yaml")
    with pytest.raises(ValidationError) as error:
        MappingFile.model_validate(document.data)
    return [f"{fault.key}: {fault.message}" for fault in document.faults_of(error.value)]


def test_every_fault_says_in_plain_words_what_to_write() -> None:
    assert told_of(WRONG) == TOLD


def test_a_key_that_is_like_no_other_is_answered_with_those_there_are() -> None:
    told = told_of(WRONG.replace("form: a", "xyzzy: a"))
    known = "from, gather, value, cases, clear, apply, lookup, default, when, required, strength, sensitive"
    assert f"fields.one.xyzzy: there is no such key; known here: {known}" in told


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["from", "apply", "when", "all", "table"]) | st.text(), inner)
    ),
)
KEYS = st.sampled_from([*MappingFile.model_fields, "strip", "from"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, ANYTHING) | st.builds(lambda rule: {"fields": {"a": rule}}, ANYTHING))
def test_no_word_of_the_library_that_validates_reaches_an_author(data: object) -> None:
    try:
        MappingFile.model_validate(data)
    except ValidationError as error:
        told = " ".join(fault.message for fault in Document("test.yaml", data, {}).faults_of(error))
        assert not any(word in told for word in ("Input", "valid", "Extra", "Field required", "should", "pydantic", "instance"))


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: b: c", "a colon where none belongs"),
        ("a:\n\t- b", "indent with spaces"),
        ("a: 'b", "quotes are opened and not closed"),
        ("a: [b", "a comma or a closing bracket is missing"),
        ("a: {b: c", "a comma or a closing bracket is missing"),
        ("a: @b", "goes in quotes|in quotes"),
        ("a:\n  b: 1\n c: 2", "not indented like the lines around it"),
        ("- a\nb: c", "not indented like the lines around it"),
    ],
)
def test_text_that_is_no_yaml_is_explained_the_same_with_and_without_libyaml(text: str, told: str, loader: type[Any]) -> None:
    with pytest.raises(yaml.YAMLError) as error:
        _Reading("test.yaml", events(text, loader)).document()
    assert re.search(told, _syntax_fault(error.value, "test.yaml").message)


OVERLAY = "mapping: a__b\nversion: 2\neffective_from: 2026-01-01\nbecause: a test\nbase: v0001\n"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", None),
        ("removes: [a.b]\ndemands: [{that: {path: a, is: present}, because: needed}]\nignores: [Comment]\n", None),
        ("removes: ['a[0]']\n", "a target path has no"),
        ("source_fields: half\n", "'open' or 'closed'"),
        ("ignores: ['']\n", "at least 1 character"),
    ],
)
def test_an_overlay_holds_only_what_differs(more: str, message: str | None) -> None:
    data = read_document((OVERLAY + more).encode(), "test.yaml").data
    if message is None:
        assert MappingFile.model_validate(data).base == "v0001"
        return
    with pytest.raises(ValidationError, match=message):
        MappingFile.model_validate(data)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", "at least one field"),
        ("removes: [a]\nfields: {b: {value: 1}}\n", "only an overlay"),
        ("base: t0001\n", "a shipped version, such as v0001"),
    ],
)
def test_what_names_no_shipped_base_is_whole(more: str, message: str) -> None:
    data = read_document((OVERLAY.replace("base: v0001\n", "") + more).encode(), "test.yaml").data
    with pytest.raises(ValidationError, match=message):
        MappingFile.model_validate(data)


def test_an_example_may_say_where_its_record_comes_from() -> None:
    text = "examples: [{name: one, sample: {vendor: SAP, endpoint: GET /x, origin: the help portal}, source: {}, gives: {}}]"
    (example,) = ExamplesFile.model_validate(read_document(text.encode(), "test.yaml").data).examples
    assert example.sample
    assert (example.sample.vendor, example.sample.endpoint, example.sample.origin) == ("SAP", "GET /x", "the help portal")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_document_or_refused_and_nothing_else_happens(content: bytes) -> None:
    try:
        document = read_document(content, "test.yaml")
    except FaultyMapping:
        return
    assert document.data is not ABSENT
