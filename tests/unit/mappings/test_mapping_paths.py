from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.paths import MAX_PATH_CHARACTERS, items_by, labels, parse_path, parse_target, reader
from mappings.values import ABSENT, ValueFault

ENVELOPE: dict[str, Any] = {
    "envelopeId": "e-1",
    "empty": None,
    "Start Date": "2026-11-23",
    'say "hi"': {"a.b": 1},
    "customFields": {
        "textCustomFields": [{"name": "cost", "value": "4711"}, {"name": "stint_work_order", "value": "WO-1"}, "odd", 7]
    },
    "recipients": {"signers": [{"email": "ada@example.org", "order": 1}, {"email": "bob@example.org", "order": 2}]},
    "phones": [
        {"type": "work", "primary": True, "number": "+1"},
        {"type": "work", "primary": False, "number": "+2"},
        {"type": "fax ][", "number": "+3"},
        {"type": 10**5000, "primary": 1.5, "number": "+4"},
    ],
    "twice": [{"name": "a", "value": 1}, {"name": "a", "value": 2}],
}


def read(path: str, record: object = ENVELOPE) -> object:
    return reader(parse_path(path))(record)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("envelopeId", "e-1"),
        ("empty", None),
        ('"Start Date"', "2026-11-23"),
        (r'"say \"hi\""."a.b"', 1),
        ("customFields.textCustomFields[name=stint_work_order].value", "WO-1"),
        ('customFields.textCustomFields["name"="cost"].value', "4711"),
        ("recipients.signers[1].email", "bob@example.org"),
        ("recipients.signers[order=1].email", "ada@example.org"),
        ("phones[type=work, primary=true].number", "+1"),
        ('phones["type"="work",primary=false].number', "+2"),
        ('phones[type="fax ]["].number', "+3"),
        ("phones[type=home, primary=true].number", ABSENT),
    ],
)
def test_a_path_reads_what_stands_there(path: str, value: object) -> None:
    assert read(path) == value


@pytest.mark.parametrize(
    "path",
    ["nothing", "envelopeId.length", "empty.inner", "recipients.signers[9].email", "recipients.signers[order=3].email",
     "recipients.signers.email", "envelopeId[0]", "customFields[0]", "customFields[name=x]", '"start date"'],
)  # fmt: skip
def test_what_does_not_stand_there_is_absent_and_not_null(path: str) -> None:
    assert read(path) is ABSENT


def test_several_items_of_one_kind_are_ambiguous_until_the_path_says_which() -> None:
    with pytest.raises(ValueFault, match="several items have type=work"):
        read("phones[type=work].number")


def test_an_item_that_is_not_the_only_match_is_a_fault_and_not_a_guess() -> None:
    with pytest.raises(ValueFault, match="several items"):
        read("twice[name=a].value")


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "a b", '"a', 'a"b"', '""', "a[", "a[]", "a]", "a[-1]", "a[name]", "a[=x]", "a[name=]", "a[*]", "a[0:2]",
     "a[name=x][", "a[name=x,]", "a[,name=x]", "a[0, name=x]", "a[name=x name=y]", 'a["x]', "a[\u0663]", "a()", "a.b()", "{a}", "a|b", "a/b", "a\nb", "a[99999]", "x" * (MAX_PATH_CHARACTERS + 1), ".".join("a" * 17)],
)  # fmt: skip
def test_what_is_not_a_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"path|selector"):
        parse_path(text)


@given(st.text(max_size=60))
def test_any_text_is_a_path_or_refused_and_nothing_else_happens(text: str) -> None:
    try:
        path = parse_path(text)
    except ValueError:
        return
    assert reader(path)({}) is ABSENT


@given(st.text(min_size=1, max_size=30))
def test_any_key_can_be_named_in_quotes(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert read(quoted, {key: 1}) == 1


def test_messages_name_a_single_column_without_its_quotes() -> None:
    assert parse_path('"Rate Unit"').label == "Rate Unit"
    assert parse_path('terms."Rate Unit"').label == 'terms."Rate Unit"'


def test_a_target_is_a_chain_of_names_without_selectors() -> None:
    assert parse_target('worker."Given Name"') == ("worker", "Given Name")
    with pytest.raises(ValueError, match="selectors"):
        parse_target("signers[0].email")


def test_an_item_that_nobody_asked_for_may_be_there_twice() -> None:
    assert read("customFields.textCustomFields[name=cost].value") == "4711"
    assert items_by(ENVELOPE["twice"], "name", {"b"}) == {}
    assert items_by([*ENVELOPE["twice"], {"name": "b"}], "name", {"b"}) == {"b": {"name": "b"}}


def test_a_path_reads_a_top_level_field() -> None:
    assert parse_path('"Start Date".x').first == "Start Date"
    assert labels(["a", '"b c"', "a", "a[b=c]"]) == "a, b c, a[b=c]"
