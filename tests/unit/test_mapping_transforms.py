from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mappings.transforms import ISO_3166_ALPHA_2, transforms
from mappings.values import ABSENT, ValueFault


def run(name: str, value: object, **parameters: Any) -> object:
    return transforms()[name].bind(parameters)(value)


@pytest.mark.parametrize(
    ("name", "value", "parameters", "result"),
    [
        ("strip", " Ada\t", {}, "Ada"),
        ("upper", "usd", {}, "USD"),
        ("lower", "Completed", {}, "completed"),
        ("iso_date", "2026-11-03", {}, "2026-11-03"),
        ("iso_date", "2028/2/29", {}, "2028-02-29"),
        ("iso_date", "11/03/2026", {"order": "mdy"}, "2026-11-03"),
        ("iso_date", "3.11.2026", {"order": "dmy"}, "2026-11-03"),
        ("iso_instant", "2026-11-20T10:00:00-05:00", {}, "2026-11-20T15:00:00+00:00"),
        ("iso_instant", "2026-11-20T15:00:00.1234567Z", {}, "2026-11-20T15:00:00.123456+00:00"),
        ("decimal", "95.00", {}, Decimal("95.00")),
        ("decimal", 760, {}, Decimal(760)),
        ("decimal", "-1\u202f234,50", {"written": "1 234,5"}, Decimal("-1234.50")),
        ("decimal", "1'234'567.5", {"written": "1'234.5"}, Decimal("1234567.5")),
        ("decimal", "1,234.50", {"written": "1,234.5"}, Decimal("1234.50")),
        ("decimal", "1.234,50", {"written": "1.234,5"}, Decimal("1234.50")),
        ("multiply", Decimal("760.00"), {"by": "0.125"}, Decimal("95.00000")),
        ("money", Decimal("95.00000"), {}, "95.00"),
        ("money", Decimal(95), {"places": 4}, "95.0000"),
        ("text", Decimal("1E+3"), {}, "1000"),
        ("text", 7, {}, "7"),
        ("integer", "+42", {}, 42),
        ("boolean", "Y", {"true": ["Y"], "false": ["N"]}, True),
        ("boolean", "N", {"true": ["Y"], "false": ["N"]}, False),
        ("bool_text", True, {"true": "yes", "false": "no"}, "yes"),
        ("concat", "lovelace", {"before": "c-", "after": "@acme.example"}, "c-lovelace@acme.example"),
        ("join", ["Ada", None, "", "Lovelace"], {}, "Ada Lovelace"),
        ("join", [None, ""], {}, ABSENT),
        ("split", "Lovelace, Ada", {"separator": ","}, ["Lovelace", "Ada"]),
        ("first", [None, "", "a", "b"], {}, "a"),
        ("first", [], {}, ABSENT),
        ("default_if_empty", ABSENT, {"value_if_empty": "x"}, "x"),
        ("default_if_empty", None, {"value_if_empty": 0}, 0),
        ("default_if_empty", False, {"value_if_empty": True}, False),
        ("null_if_empty", "", {}, None),
        ("null_if_empty", ABSENT, {}, ABSENT),
        ("absent_if_empty", None, {}, ABSENT),
        ("absent_if_empty", "", {}, ABSENT),
        ("map_values", "a", {"table": {"a": None}}, None),
        ("country_alpha2", " gb ", {}, "GB"),
    ],
)
def test_a_transform_gives(name: str, value: object, parameters: dict[str, Any], result: object) -> None:
    got = run(name, value, **parameters)
    assert got == result
    assert type(got) is type(result)


@pytest.mark.parametrize(
    ("name", "value", "parameters"),
    [
        ("iso_date", "11/03/2026", {}),
        ("iso_date", "2026-02-29", {}),
        ("iso_date", "26-11-03", {}),
        ("iso_date", "2026-11-03T00:00", {}),
        ("iso_date", "\uff12\uff10\uff12\uff16-11-03", {}),
        ("iso_instant", "2026-11-20T10:00:00", {}),
        ("iso_instant", "2026-11-20", {}),
        ("iso_instant", "2026-02-30T10:00:00Z", {}),
        ("iso_instant", "0001-01-01T00:00:00+14:00", {}),
        ("decimal", "95,00", {}),
        ("decimal", "1.234,5", {}),
        ("decimal", "1.5", {"written": "1.234,5"}),
        ("decimal", "1,5", {"written": "1,234.5"}),
        ("decimal", "1,23,456", {"written": "1,234.5"}),
        ("decimal", "1234,5", {"written": "1.234,5"}),
        ("decimal", "NaN", {}),
        ("decimal", "1e9", {}),
        ("decimal", "", {}),
        ("decimal", 95.5, {}),
        ("decimal", True, {}),
        ("money", Decimal("95.005"), {}),
        ("integer", "4.0", {}),
        ("boolean", "yes", {"true": ["Y"], "false": ["N"]}),
        ("join", ["Ada", 7], {}),
        ("map_values", "z", {"table": {"a": "b"}}),
        ("country_alpha2", "UK", {}),
        ("country_alpha2", "Germany", {}),
        ("upper", 7, {}),
        ("strip", ["a"], {}),
    ],
)
def test_a_transform_refuses_and_does_not_repeat_the_value(name: str, value: object, parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueFault) as fault:
        run(name, value, **parameters)
    assert str(fault.value).startswith("expected ")
    assert not str(value) or str(value) not in str(fault.value)


@pytest.mark.parametrize("name", sorted(name for name, transform in transforms().items() if transform.takes))
@pytest.mark.parametrize("nothing", [None, ABSENT])
def test_absent_and_null_pass_a_typed_transform_unseen(name: str, nothing: object) -> None:
    needed: Mapping[str, dict[str, Any]] = {
        "boolean": {"true": ["Y"], "false": ["N"]},
        "map_values": {"table": {"a": "b"}},
        "multiply": {"by": "2"},
        "split": {"separator": ","},
    }
    assert run(name, nothing, **needed.get(name, {})) is nothing


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("iso_date", {"order": "%Y"}),
        ("money", {"places": "2"}),
        ("money", {"places": 10}),
        ("multiply", {}),
        ("multiply", {"by": 0.125}),
        ("strip", {"characters": "x"}),
        ("map_values", {"table": {"a": 1.5}}),
        ("split", {"separator": ""}),
        ("concat", {"before": 1}),
    ],
)
def test_parameters_are_checked_when_the_mapping_is_read(name: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        transforms()[name].bind(parameters)


@given(st.text(max_size=40) | st.integers() | st.booleans() | st.floats() | st.none() | st.lists(st.text(max_size=3), max_size=3))
def test_any_value_is_mapped_or_refused_and_nothing_else_happens(value: object) -> None:
    for name in (
        "strip",
        "iso_date",
        "iso_instant",
        "decimal",
        "integer",
        "text",
        "join",
        "first",
        "country_alpha2",
        "bool_text",
    ):
        try:
            run(name, value)
        except ValueFault:
            continue


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_money_is_never_changed(amount: Decimal) -> None:
    assert run("money", run("decimal", f"{amount:f}")) == f"{amount:f}"


def test_the_country_codes_are_those_of_iso_3166() -> None:
    tables = [path for folder in TZPATH if (path := Path(folder) / "iso3166.tab").exists()]
    if not tables:
        pytest.skip("the time zone database here has no iso3166.tab")
    lines = tables[0].read_text(encoding="utf-8").splitlines()
    assert {line.split("\t")[0] for line in lines if line and not line.startswith("#")} == ISO_3166_ALPHA_2
