"""CSV files are read whole or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.protocols.csv_tables import CsvFormat, Encoding, read_lines, write_row
from workforce.errors import HubError, Misconfigured, Refused

HEADER = "id,status,end_date,name"


def the_fault(content: bytes, form: CsvFormat = CsvFormat()) -> HubError:  # noqa: B008 - frozen
    with pytest.raises(HubError) as raised:
        read_lines(content, "export.csv", form, columns=["id", "status"])
    return raised.value


def lines(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


@pytest.mark.parametrize("column", ["id", "status"])
def test_a_missing_column_is_a_fault_of_the_settings_and_named(column: str) -> None:
    fault = the_fault(f"end_date,{'id' if column == 'status' else 'status'}\n".encode())
    assert isinstance(fault, Misconfigured)
    assert (fault.cause, fault.field) == ("layout_drift", column)


def test_another_delimiter_than_the_declared_one_is_a_fault_of_the_settings() -> None:
    assert the_fault(lines("7,active,,Ada").replace(b",", b";")).cause == "layout_drift"
    assert len(read_lines(lines("7,active,,Ada").replace(b",", b";"), "x.csv", CsvFormat(delimiter=";"))) == 1


@pytest.mark.parametrize(
    ("content", "cause", "line"),
    [
        (b"id,status,end_date,id\n", "bad_header", 1),
        (b"id,status,end_date,\n", "bad_header", 1),
        (lines("7,active,,Ada", "8,act"), "ragged_row", 3),
        (lines("7,active,,Ada,more"), "ragged_row", 2),
        (lines("7,active,,Ada", '8,active,,"Gra'), "not_csv", 3),
        (lines("7,active,,Ada") + b"8,active,,canary\xff", "undecodable", 3),
        (lines("7,active,,Ada") + b"8,active,,Gra", "cut_off", 3),
        (lines("7,active,,Ada") + b"\0" * 64 + b"\n", "not_csv", 3),
        (b"", "cut_off", 1),
    ],
)
def test_a_bad_file_is_refused_with_its_line_and_without_its_content(content: bytes, cause: str, line: int) -> None:
    fault = the_fault(content)
    assert isinstance(fault, Refused)
    assert fault.cause == cause
    assert f"export.csv, line {line}, " in str(fault)
    assert "canary" not in str(fault)
    assert "Ada" not in str(fault)


def test_new_columns_are_allowed_and_empty_lines_are_passed_over() -> None:
    read = read_lines(b"surprise,id,status,end_date\n\n1,7,active,\n,,,\n2,8,active,\n", "x.csv", CsvFormat(), columns=["id"])
    assert [(line.cells["id"], line.cells["surprise"], line.number) for line in read] == [("7", "1", 3), ("8", "2", 5)]


def test_a_quoted_line_break_belongs_to_its_cell() -> None:
    read = read_lines(lines('7,active,,"Ada\r\nLovelace, ""Countess"""', "8,active,,Grace"), "x.csv", CsvFormat())
    assert read[0].cells["name"] == 'Ada\r\nLovelace, "Countess"'
    assert read[1].number == 4


@pytest.mark.parametrize(
    ("written", "declared"),
    [("utf-8", "windows-1252"), ("utf-8-sig", "iso-8859-1"), ("windows-1252", "utf-8"), ("utf-16", "utf-8"), ("utf-16-le", "utf-8-sig")],
)  # fmt: skip
def test_another_encoding_than_the_declared_one_is_never_read_as_other_people(written: str, declared: Encoding) -> None:
    content = lines("7,active,,Zoë").decode().encode(written)
    fault = the_fault(content, CsvFormat(declared))
    assert fault.cause in {"undecodable", "not_csv", "cut_off"}


def test_an_exporter_that_never_ends_its_last_line_can_be_told_so() -> None:
    content = lines("7,active,,Ada").rstrip()
    assert len(read_lines(content, "x.csv", CsvFormat(ends_with_line_break=False))) == 1


@pytest.mark.parametrize(
    "value",
    [
        "=1+1",
        "@SUM(A1)",
        "+cmd|' /C calc'!A0",
        "-1+1|x",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1+1",
        "\uff20A1",
        "\uff0b\uff23",
        "=",
        "NUL\0",
    ],
)
def test_what_a_spreadsheet_would_run_is_not_written(value: str) -> None:
    for row in ({"id": "7", "name": value}, {"id": "7", value: "x"}):
        with pytest.raises(Refused) as raised:
            write_row(row, CsvFormat())
        assert raised.value.cause == "unsafe_cell"


@pytest.mark.parametrize(
    "value", ["+49 (30) 901820-0", "\uff0b81 3 5555 0100", "-12.50", "-", "Ada=Lovelace", "a@b.example", 'line\nbreak, "quoted"']
)
def test_what_only_looks_like_a_formula_is_written_as_it_is(value: str) -> None:
    content = write_row({"id": "7", "name": value}, CsvFormat())
    assert read_lines(content, "x.csv", CsvFormat())[0].cells["name"] == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252", "iso-8859-15"])
def test_declared_encodings_are_read(encoding: Encoding) -> None:
    (line,) = read_lines(lines("7,active,,Zoë").decode().encode(encoding), "x.csv", CsvFormat(encoding))
    assert line.cells["name"] == "Zoë"


def test_what_cannot_be_written_is_refused_by_its_column() -> None:
    for value, cause in (("Łukasz", "not_encodable"), (["a"], "not_a_cell")):
        with pytest.raises(Refused) as raised:
            write_row({"id": "7", "name": value}, CsvFormat("windows-1252"))
        assert (raised.value.cause, raised.value.field) == (cause, "name")
        assert "ukasz" not in str(raised.value)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=12).filter(
    lambda text: not text.startswith(tuple("=@+-\t\r\n\uff1d\uff20\uff0b\uff0d"))
)


@given(st.dictionaries(st.sampled_from(["name", "role", "note"]), cells, max_size=3))
def test_what_is_written_is_read_again(values: dict[str, str]) -> None:
    row = {"id": "7", "status": "active", "end_date": "", **values}
    (line,) = read_lines(write_row(row, CsvFormat()), "x.csv", CsvFormat())
    assert line.cells == row


@given(st.binary(max_size=200), st.sampled_from(["utf-8-sig", "utf-16", "iso-8859-1"]))
def test_no_content_raises_anything_but_the_taxonomy(content: bytes, encoding: Encoding) -> None:
    try:
        read_lines(HEADER.encode() + b"\n" + content, "x.csv", CsvFormat(encoding))
    except HubError:
        return
