"""The rows of an export as the layout reads them, and the form that says it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.files.rows import read_rows
from connectors.files.sandbox import FilesSandbox
from connectors.files.settings import FilesSettings
from workforce.errors import HubError, Misconfigured, Refused

HEADER = "id,status,end_date,name"


def a_form(**form: Any) -> FilesSettings:
    return FilesSettings.model_validate({"inbox": "/in", **form})


def the_fault(content: bytes, **form: Any) -> HubError:
    with pytest.raises(HubError) as raised:
        read_rows(content, "export.csv", a_form(**form))
    return raised.value


def lines(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


def test_rows_keep_every_column_have_one_for_the_end_and_the_layout_names_the_id() -> None:
    (row,) = read_rows(b"\xef\xbb\xbf" + lines("7,active,2026-12-31,Ada"), "x.csv", a_form())
    assert (row.record_id, row.line, dict(row.values)) == (
        "7", 2, {"ended_at": "", "id": "7", "status": "active", "end_date": "2026-12-31", "name": "Ada"},
    )  # fmt: skip


@pytest.mark.parametrize("column", ["id", "status", "end_date"])
def test_a_missing_column_is_a_fault_of_the_settings_and_named(column: str) -> None:
    header = [name for name in ("id", "status", "end_date", "name") if name != column]
    fault = the_fault((",".join(header) + "\n").encode())
    assert isinstance(fault, Misconfigured)
    assert (fault.cause, fault.field) == ("layout_drift", column)


def test_columns_that_only_some_layouts_need_are_required_too() -> None:
    fault = the_fault(lines(), layout={"modified_column": "changed", "marker_column": "ref"})
    assert fault.field == "changed"


@pytest.mark.parametrize("again", ["7,ended,,Ada", " 7,ended,,Ada"])
def test_a_full_file_holds_each_record_once(again: str) -> None:
    fault = the_fault(lines("7,active,,Ada", "8,active,,Grace", again))
    assert isinstance(fault, Refused)
    assert (fault.cause, fault.field) == ("duplicate_id", "id")
    assert "export.csv, line 4, " in str(fault)
    assert "Ada" not in str(fault)


def test_a_delta_may_tell_several_changes_of_one_record() -> None:
    rows = read_rows(lines("7,active,,Ada", "7,ended,,Ada"), "x.csv", a_form(mode="delta"))
    assert [row.values["status"] for row in rows] == ["active", "ended"]


def test_a_row_without_its_id_is_passed_on_under_a_name_of_its_own() -> None:
    rows = read_rows(lines("7,active,,Ada", " ,active,,Grace", ",active,,Alan"), "x.csv", a_form())
    assert [row.has_id for row in rows] == [True, False, False]
    assert all(row.record_id.startswith("row:") for row in rows[1:])
    assert len({row.record_id for row in rows}) == 3


@pytest.mark.parametrize("text", ["", "03/01/2026", "2026-03-01T12:00:00", "0001-01-01T00:00:00+23:00"])
def test_a_modified_column_holds_instants_with_their_offset(text: str) -> None:
    fault = the_fault(f"id,status,end_date,changed\n7,active,,{text}\n".encode(), layout={"modified_column": "changed"})
    assert (fault.cause, fault.field) == ("invalid_record", "changed")


@given(st.binary(max_size=200))
def test_no_content_raises_anything_but_the_taxonomy(content: bytes) -> None:
    for form in ({}, {"encoding": "utf-16", "mode": "delta"}):
        try:
            read_rows(HEADER.encode() + b"\n" + content, "x.csv", a_form(**form))
        except HubError:
            continue


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
        {"layout": {"open_status": "cancelled"}},
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
