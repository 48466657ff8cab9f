"""CSV files are read whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.files.sandbox import FilesSandbox
from connectors.files.settings import FilesSettings
from connectors.files.table import read_table, write_table
from workforce.errors import HubError, Misconfigured, Refused

HEADER = "id,status,end_date,name"


def a_form(**form: Any) -> FilesSettings:
    return FilesSettings.model_validate({"inbox": "/in", **form})


def the_fault(content: bytes, **form: Any) -> HubError:
    with pytest.raises(HubError) as raised:
        read_table(content, "export.csv", a_form(**form))
    return raised.value


def lines(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


def test_rows_keep_every_column_and_the_layout_names_the_id() -> None:
    (row,) = read_table(b"\xef\xbb\xbf" + lines("7,active,2026-12-31,Ada"), "x.csv", a_form()).rows
    assert (row.record_id, row.line, dict(row.values)) == (
        "7", 2, {"id": "7", "status": "active", "end_date": "2026-12-31", "name": "Ada"},
    )  # fmt: skip


def test_new_columns_are_allowed_and_empty_lines_are_passed_over() -> None:
    table = read_table(b"surprise,id,status,end_date\n\n1,7,active,\n,,,\n2,8,active,\n", "x.csv", a_form())
    assert [(row.record_id, row.values["surprise"], row.line) for row in table.rows] == [("7", "1", 3), ("8", "2", 5)]


def test_a_quoted_line_break_belongs_to_its_cell() -> None:
    table = read_table(lines('7,active,,"Ada\r\nLovelace, ""Countess"""', "8,active,,Grace"), "x.csv", a_form())
    assert table.rows[0].values["name"] == 'Ada\r\nLovelace, "Countess"'
    assert table.rows[1].line == 4


@pytest.mark.parametrize("column", ["id", "status", "end_date"])
def test_a_missing_column_is_a_fault_of_the_settings_and_named(column: str) -> None:
    header = [name for name in ("id", "status", "end_date", "name") if name != column]
    fault = the_fault((",".join(header) + "\n").encode())
    assert isinstance(fault, Misconfigured)
    assert (fault.cause, fault.field) == ("layout_drift", column)


def test_columns_that_only_some_layouts_need_are_required_too() -> None:
    fault = the_fault(lines(), layout={"modified_column": "changed", "marker_column": "ref"})
    assert fault.field == "changed"


@pytest.mark.parametrize(
    ("content", "cause", "line"),
    [
        (b"id,status,end_date,id\n", "bad_header", 1),
        (b"id,status,end_date,\n", "bad_header", 1),
        (lines("7,active,,Ada", "8,act"), "ragged_row", 3),
        (lines("7,active,,Ada,more"), "ragged_row", 2),
        (lines("7,active,,Ada", '8,active,,"Gra'), "not_csv", 3),
        (lines("7,active,,Ada", "8,active,,Grace", "7,ended,,Ada"), "duplicate_id", 4),
        (lines("7,active,,Ada", "8,active,,Grace", " 7,ended,,Ada"), "duplicate_id", 4),
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


@pytest.mark.parametrize(
    ("written", "declared"),
    [("utf-8", "windows-1252"), ("utf-8-sig", "iso-8859-1"), ("windows-1252", "utf-8"), ("utf-16", "utf-8"), ("utf-16-le", "utf-8-sig")],
)  # fmt: skip
def test_another_encoding_than_the_declared_one_is_never_read_as_other_people(written: str, declared: str) -> None:
    content = lines("7,active,,Zoë").decode().encode(written)
    fault = the_fault(content, encoding=declared)
    assert fault.cause in {"undecodable", "not_csv", "cut_off"}


def test_another_delimiter_than_the_declared_one_is_a_fault_of_the_settings() -> None:
    assert the_fault(lines("7,active,,Ada").replace(b",", b";")).cause == "layout_drift"


def test_an_exporter_that_never_ends_its_last_line_can_be_told_so() -> None:
    content = lines("7,active,,Ada").rstrip()
    assert len(read_table(content, "x.csv", a_form(ends_with_line_break=False)).rows) == 1


@pytest.mark.parametrize("value", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-1+1|x", "\t=1", "\r=1", "=", "NUL\0"])
def test_what_a_spreadsheet_would_run_is_not_written(value: str) -> None:
    for row in ({"id": "7", "name": value}, {"id": "7", value: "x"}):
        with pytest.raises(Refused) as raised:
            write_table(row, a_form())
        assert raised.value.cause == "unsafe_cell"


@pytest.mark.parametrize("value", ["+49 (30) 901820-0", "-12.50", "-", "Ada=Lovelace", "a@b.example", 'line\nbreak, "quoted"'])
def test_what_only_looks_like_a_formula_is_written_as_it_is(value: str) -> None:
    content = write_table({"id": "7", "status": "", "end_date": "", "name": value}, a_form())
    assert read_table(content, "x.csv", a_form()).rows[0].values["name"] == value


def test_a_delta_may_tell_several_changes_of_one_record() -> None:
    table = read_table(lines("7,active,,Ada", "7,ended,,Ada"), "x.csv", a_form(mode="delta"))
    assert [row.values["status"] for row in table.rows] == ["active", "ended"]


def test_a_row_without_its_id_is_passed_on_under_a_name_of_its_own() -> None:
    table = read_table(lines("7,active,,Ada", " ,active,,Grace", ",active,,Alan"), "x.csv", a_form())
    assert [row.has_id for row in table.rows] == [True, False, False]
    assert all(row.record_id.startswith("row:") for row in table.rows[1:])
    assert len({row.record_id for row in table.rows}) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252", "iso-8859-15"])
def test_declared_encodings_are_read(encoding: str) -> None:
    (row,) = read_table(lines("7,active,,Zoë").decode().encode(encoding), "x.csv", a_form(encoding=encoding)).rows
    assert row.values["name"] == "Zoë"


@pytest.mark.parametrize("text", ["", "03/01/2026", "2026-03-01T12:00:00", "0001-01-01T00:00:00+23:00"])
def test_a_modified_column_holds_instants_with_their_offset(text: str) -> None:
    fault = the_fault(f"id,status,end_date,changed\n7,active,,{text}\n".encode(), layout={"modified_column": "changed"})
    assert (fault.cause, fault.field) == ("invalid_record", "changed")


@given(st.binary(max_size=200))
def test_no_content_raises_anything_but_the_taxonomy(content: bytes) -> None:
    for form in ({}, {"encoding": "utf-16", "mode": "delta"}):
        try:
            read_table(HEADER.encode() + b"\n" + content, "x.csv", a_form(**form))
        except HubError:
            continue


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=12).filter(
    lambda text: not text.startswith(("=", "@", "+", "-", "\t", "\r"))
)


@given(st.dictionaries(st.sampled_from(["name", "role", "note"]), cells, max_size=3))
def test_what_is_written_is_read_again(values: dict[str, str]) -> None:
    row = {"id": "7", "status": "active", "end_date": "", **values}
    assert dict(read_table(write_table(row, a_form()), "x.csv", a_form()).rows[0].values) == row


def test_what_cannot_be_written_is_refused_by_its_column() -> None:
    for value, cause in (("Łukasz", "not_encodable"), (["a"], "not_a_cell")):
        with pytest.raises(Refused) as raised:
            write_table({"id": "7", "name": value}, a_form(encoding="windows-1252"))
        assert (raised.value.cause, raised.value.field) == (cause, "name")
        assert "ukasz" not in str(raised.value)


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
SERVER = {"host": "sftp.example", "host_key": HOST_KEY, "username": "stint", "password": "canary"}


def test_a_server_s_form_is_valid_and_shows_no_secret() -> None:
    settings = a_form(**SERVER)
    assert "canary" not in f"{settings!r} {settings.model_dump_json()}"
    assert a_form(**{**SERVER, "host_key": f"{HOST_KEY} root@sftp"}).host_key == HOST_KEY


@pytest.mark.parametrize(
    "form",
    [
        {**SERVER, "host_key": None},
        {**SERVER, "host_key": "ssh-rsa " + HOST_KEY.split()[1]},
        {**SERVER, "host_key": "SHA256:canary"},
        {**SERVER, "host_key": "ssh-dss AAAAB3NzaC1kc3M="},
        {**SERVER, "host_key": "ssh-ed25519 ünicode"},
        {"outbox": "/in/"},
        {"confirmed_files": ["export.csv"]},
        {**SERVER, "username": None},
        {**SERVER, "password": None},
        {**SERVER, "private_key": "canary"},
        {"password": "canary"},
        {"inbox": "relative"},
        {"outbox": "/in"},
        {"layout": {"absent_status": "gone"}},
        {"delimiter": "::"},
        {"encoding": "rot13"},
        {"timeout_seconds": 0},
        {"surprise": 1},
    ],
)
def test_a_wrong_form_is_refused(form: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        a_form(**form)
    assert "canary" not in raised.value.errors(include_input=False)[0]["msg"]


def test_the_sandbox_s_form_is_valid(tmp_path: Any) -> None:
    FilesSettings.model_validate(FilesSandbox(tmp_path).local_settings())
