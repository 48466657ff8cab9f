"""Folders of exports as a source of changes: nothing lost, nothing half-read, nobody ended by an accident."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connectors.files.client import FilesClient
from connectors.files.cursor import Cursor
from connectors.files.sandbox import MARKER, FilesSandbox, rows_of
from connectors.files.settings import FilesSettings
from connectors.files.sink import FilesSink
from connectors.files.source import FilesSource
from workforce.errors import Misconfigured, NotFound, Refused, RetryLater
from workforce.ports import ChangePage, SourceRecord

ENDED_AT = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
MARK = "ST0123456789ABC"


class Exchange:
    """A sandbox's folders, as one instance uses them."""

    def __init__(self, folder: Path, *, sleep: Callable[[float], None] = lambda seconds: None, **form: Any) -> None:
        self.system = FilesSandbox(folder)
        self.form = {**self.system.local_settings(), **form}
        self.client = FilesClient(FilesSettings.model_validate(self.form), sleep=sleep)
        self.source, self.sink = FilesSource(self.client), FilesSink(self.client)
        self.cursor: str | None = None

    def page(self) -> list[SourceRecord]:
        page = self.source.changes(self.cursor)
        self.cursor = page.cursor
        return list(page.records)

    def drained(self) -> list[SourceRecord]:
        records: list[SourceRecord] = []
        while True:
            page: ChangePage = self.source.changes(self.cursor)
            records += page.records
            self.cursor = page.cursor
            if page.complete:
                return records

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.system.folder / folder).iterdir())

    def drop(self, name: str, *rows: str) -> Path:
        return self.system.drop(name, "\n".join([f"id,status,end_date,{MARKER},site", *rows]).encode())


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path)


def ids(records: list[SourceRecord]) -> list[str]:
    return [record.external_id for record in records]


def test_each_file_is_a_page_and_gives_what_differs_from_the_one_before(exchange: Exchange) -> None:
    exchange.drop("1.csv", "A,active,,,Rome", "B,active,,,Bonn")
    exchange.drop("2.csv", "A,active,,,Rome", "B,active,,,Paris", "C,active,,,Oslo")
    first = exchange.source.changes(None)
    assert (ids(list(first.records)), first.complete) == (["A", "B"], False)
    second = exchange.source.changes(first.cursor)
    assert ([(r.external_id, r.values["site"]) for r in second.records], second.complete) == (
        [("B", "Paris"), ("C", "Oslo")],
        True,
    )
    assert second.records[0].version > first.records[1].version


def test_one_absence_ends_nobody_and_two_in_a_row_do(exchange: Exchange) -> None:
    exchange.drop("1.csv", "A,active,2027-01-31,,Rome", "B,active,,,Bonn")
    exchange.drop("2.csv", "B,active,,,Bonn")
    (before, _), *_ = exchange.page(), exchange.page()
    assert exchange.source.read("A").values["status"] == "active"
    exchange.drop("3.csv", "B,active,,,Bonn")
    (ended,) = exchange.page()
    assert (ended.external_id, ended.values["status"], ended.values["site"]) == ("A", "ended", "Rome")
    assert ended.version > before.version
    assert exchange.source.read("A") == ended
    assert not exchange.sink.read("A").active
    exchange.drop("4.csv", "B,active,,,Bonn")
    assert exchange.page() == []
    exchange.drop("5.csv", "A,active,2027-01-31,,Rome", "B,active,,,Bonn")
    (back,) = exchange.page()
    assert back.version > ended.version
    assert exchange.source.read("A") == back


def test_a_modified_column_comes_first_in_the_version_and_ends_still_compare_later(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, layout={"modified_column": "site"})
    exchange.drop("1.csv", "A,active,,,2026-11-20T10:00:00+01:00", "B,active,,,2026-11-20T10:00:00Z")
    (first, _) = exchange.page()
    assert first.version.startswith("2026-11-20T09:00:00.000000+00:00 ")
    for name in ("2.csv", "3.csv"):
        exchange.drop(name, "B,active,,,2026-11-20T10:00:00Z")
    (ended,) = exchange.drained()
    assert ended.version > first.version


@pytest.mark.parametrize("rows", [[], ["A,active,,,", "B,active,,,"]])
def test_a_file_with_less_than_half_the_rows_is_not_believed_until_a_person_confirms_it(tmp_path: Path, rows: list[str]) -> None:
    exchange = Exchange(tmp_path)
    exchange.drop("1.csv", *(f"{name},active,,," for name in "ABCDE"))
    exchange.page()
    exchange.drop("2.csv", *rows)
    for _ in range(2):
        with pytest.raises(Refused) as raised:
            exchange.page()
        assert (raised.value.cause, raised.value.field) == ("suspicious_shrink", "confirmed_files")
    confirmed = FilesClient(FilesSettings.model_validate({**exchange.form, "confirmed_files": ["2.csv"]}))
    assert FilesSource(confirmed).changes(exchange.cursor).complete


def test_a_previous_file_that_is_gone_or_changed_is_missed(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, archive=None)
    gone = exchange.drop("1.csv", "A,active,,,")
    exchange.page()
    gone.unlink()
    exchange.drop("2.csv", "A,active,,,")
    with pytest.raises(Refused) as raised:
        exchange.page()
    assert raised.value.cause == "previous_file_missing"


def test_a_file_that_is_still_being_written_waits_and_so_do_those_behind_it(tmp_path: Path) -> None:
    growing: list[Path] = []

    def meanwhile(seconds: float) -> None:
        assert seconds == 2.0
        for path in growing:
            with path.open("a") as file:
                file.write("\nB,active,,,")

    exchange = Exchange(tmp_path, sleep=meanwhile, settle_seconds=2.0, order="name")
    growing.append(exchange.drop("1.csv", "A,active,,,"))
    exchange.drop("2.csv", "A,active,,,")
    assert exchange.page() == []
    growing.clear()
    assert ids(exchange.drained()) == ["A", "B"]


@pytest.mark.parametrize("name", [".1.csv", "1.csv.part", "1.csv.tmp", "1.txt", "sub"])
def test_only_finished_files_of_the_pattern_are_looked_at(tmp_path: Path, name: str) -> None:
    exchange = Exchange(tmp_path)
    if name == "sub":
        (tmp_path / "inbox" / "sub.csv").mkdir()
        (tmp_path / "inbox" / "link.csv").symlink_to("/etc/hostname")
    else:
        exchange.drop(name, "A,active,,,")
    assert exchange.drained() == []


def test_a_ready_suffix_is_waited_for(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, ready_suffix=".done")
    exchange.drop("1.csv", "A,active,,,")
    assert exchange.drained() == []
    (tmp_path / "inbox" / "1.csv.done").touch()
    assert ids(exchange.drained()) == ["A"]


def test_a_file_is_archived_only_once_the_cursor_behind_it_is_kept(exchange: Exchange) -> None:
    exchange.drop("1.csv", "A,active,,,")
    lost = exchange.source.changes(None)
    assert exchange.names("inbox") == ["1.csv"]
    again = exchange.source.changes(None)  # the process died before it kept the cursor
    assert again == lost
    assert exchange.source.changes(again.cursor).records == []
    assert (exchange.names("inbox"), len(exchange.names("archive"))) == ([], 1)


def test_from_the_beginning_means_from_the_archive_on_with_the_same_versions(exchange: Exchange) -> None:
    for number in range(4):
        exchange.drop("same name.csv" if number % 2 else f"{number}.csv", f"A,active,,,{number}", "B,active,,,")
        exchange.drained()
    exchange.drop("new.csv", "A,active,,,new", "B,active,,,")
    first = exchange.source.changes(exchange.cursor)
    exchange.cursor = None
    replayed = exchange.drained()
    assert [record.values["site"] for record in replayed if record.external_id == "A"] == ["0", "1", "2", "3", "new"]
    assert replayed[-1] == first.records[0]
    assert sorted(record.version for record in replayed) == [record.version for record in replayed]


def test_a_full_file_that_comes_late_is_left_out(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, order="name")
    exchange.drop("2026-11-21.csv", "A,active,,,new")
    exchange.drained()
    exchange.drop("2026-11-20.csv", "A,active,,,old")
    assert exchange.drained() == []
    assert exchange.source.read("A").values["site"] == "new"


def test_a_delta_ends_nobody_and_keeps_the_order_of_lines(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, mode="delta")
    exchange.drop("1.csv", "A,active,,,1", "B,active,,,1")
    exchange.drop("2.csv", "A,active,,,2", "A,active,,,3")
    exchange.drop("3.csv")
    records = [record for record in exchange.drained() if record.external_id == "A"]
    assert [record.values["site"] for record in records] == ["1", "2", "3"]
    assert [record.version for record in records] == sorted(record.version for record in records)
    assert exchange.source.read("A") == records[-1]
    assert exchange.source.read("B").values["status"] == "active"


def test_the_same_content_said_again_in_a_delta_counts_again(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, mode="delta", archive=None)
    for site in ("1", "2", "1"):
        exchange.drop("delta.csv", f"A,active,,,{site}")
        (record,) = exchange.drained()
        assert record.values["site"] == site


def test_a_row_without_its_id_is_told_and_never_ended(exchange: Exchange) -> None:
    exchange.drop("1.csv", "A,active,,,", ",active,,,canary")
    first, nameless = exchange.page()
    assert first.external_id == "A"
    assert nameless.external_id.startswith("row:")
    exchange.drop("2.csv", "A,active,,,", ",active,,,canary")
    assert exchange.page() == []
    for name in ("3.csv", "4.csv"):
        exchange.drop(name, "A,active,,,")
    assert exchange.drained() == []


def test_a_bad_file_blocks_until_it_is_mended(exchange: Exchange) -> None:
    exchange.drop("1.csv", "A,active,,")
    exchange.drop("2.csv", "A,active,,,")
    with pytest.raises(Refused) as raised:
        exchange.page()
    assert "1.csv, line 2" in str(raised.value)
    (exchange.system.folder / "inbox" / "1.csv").unlink()
    assert ids(exchange.drained()) == ["A"]


def test_a_file_that_changes_under_the_reader_is_read_later(exchange: Exchange) -> None:
    path = exchange.drop("1.csv", "A,active,,,")
    (export,) = exchange.client.exports()
    path.write_text("changed")
    with pytest.raises(RetryLater):
        exchange.client.table(export)


def test_too_large_a_file_is_not_opened(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, max_file_bytes=10)
    exchange.drop("1.csv", "A,active,,,")
    with pytest.raises(Refused) as raised:
        exchange.page()
    assert raised.value.field == "max_file_bytes"


@pytest.mark.parametrize("folder", ["inbox", "archive", "outbox", "taken"])
def test_a_folder_that_is_not_there_is_found_by_the_check(exchange: Exchange, folder: str) -> None:
    assert exchange.client.check().ok
    (exchange.system.folder / folder).rmdir()
    checked = exchange.client.check()
    assert not checked.ok
    assert str(exchange.system.folder / folder) in checked.detail


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_that_may_not_be_read_is_refused(exchange: Exchange) -> None:
    (exchange.system.folder / "inbox").chmod(0)
    with pytest.raises(Refused) as raised:
        exchange.page()
    (exchange.system.folder / "inbox").chmod(0o700)
    assert raised.value.cause == "forbidden"


@given(st.text(max_size=60))
def test_a_foreign_cursor_is_refused(text: str) -> None:
    with pytest.raises(Refused) as raised:
        Cursor.decode(text)
    assert raised.value.cause == "bad_cursor"


def test_a_cursor_does_not_grow_with_the_rows_nor_with_the_archive(exchange: Exchange) -> None:
    lengths = []
    for number in range(6):
        exchange.drop(f"{number}.csv", *(f"R{n},active,,,{number}" for n in range(50)))
        exchange.drained()
        lengths.append(len(exchange.cursor or ""))
    assert max(lengths) < 500


# Uploads


def test_a_creation_is_one_file_however_often_it_is_asked_for(exchange: Exchange) -> None:
    for _ in range(3):
        assert exchange.sink.create(MARK, {"given_name": "Ada", "status": "active"}) == MARK
    assert exchange.names("outbox") == [f"create-{MARK}.csv"]
    (waiting,) = exchange.sink.find(MARK, {})
    assert (waiting.external_id, waiting.marker) == (MARK, MARK)
    with pytest.raises(NotFound):
        exchange.sink.read(MARK)
    exchange.system.take_uploads()
    exchange.sink.create(MARK, {"given_name": "Ada"})
    exchange.system.take_uploads()
    assert exchange.system.effects.count("create", MARK) == 1
    stored = exchange.sink.read(MARK)
    assert (stored.external_id, stored.marker, stored.active, stored.values["given_name"]) == (MARK, MARK, True, "Ada")
    assert [found.external_id for found in exchange.sink.find(MARK, {})] == [MARK]
    assert exchange.sink.find("ST0000000000000", {}) == []


def test_a_lost_creation_is_found_where_the_other_system_keeps_what_it_took(exchange: Exchange) -> None:
    exchange.sink.create(MARK, {})
    (exchange.system.folder / "outbox" / f"create-{MARK}.csv").rename(exchange.system.folder / "taken" / f"create-{MARK}.csv")
    assert [found.external_id for found in exchange.sink.find(MARK, {})] == [MARK]


def test_a_change_and_an_end_name_the_record_as_the_other_system_does(exchange: Exchange) -> None:
    exchange.sink.create(MARK, {"status": "active"})
    exchange.sink.update(MARK, {"role": "Architect"})
    (update,) = (path for path in (exchange.system.folder / "outbox").iterdir() if path.name.startswith("update-"))
    assert rows_of(update.read_bytes()) == [{MARKER: MARK, "role": "Architect"}]
    exchange.system.take_uploads()
    assert exchange.sink.read(MARK).values["role"] == "Architect"
    for _ in range(2):
        exchange.sink.end(MARK, ended_at=ENDED_AT, ends_on="2026-12-31")
        exchange.system.take_uploads()
    assert exchange.system.effects.count("end") == 1
    stored = exchange.sink.read(MARK)
    assert (stored.active, stored.ends_on) == (False, "2026-12-31")
    assert stored.values["id"] == "W000001"


def test_an_end_that_waits_is_no_proof_of_an_end(exchange: Exchange) -> None:
    record_id = exchange.system.add_record()
    exchange.sink.end(record_id, ended_at=ENDED_AT, ends_on="2026-12-31")
    assert exchange.sink.read(record_id).active
    exchange.system.take_uploads()
    assert not exchange.sink.read(record_id).active


@pytest.mark.parametrize("record_id", ["../../etc/passwd", "a/b", "x" * 300, "Ö\n"])
def test_an_id_never_leads_out_of_the_outbox(exchange: Exchange, record_id: str) -> None:
    exchange.sink.update(record_id, {"role": "x"})
    (name,) = exchange.names("outbox")
    assert name.startswith("update-")


def test_an_upload_appears_whole_under_its_name(exchange: Exchange) -> None:
    exchange.sink.create(MARK, {})
    assert not [name for name in exchange.names("outbox") if name.startswith(".")]


def test_what_uploads_need_is_named(tmp_path: Path) -> None:
    without_outbox, without_column = Exchange(tmp_path / "1", outbox=None), Exchange(tmp_path / "2", layout={})
    for exchange, field in ((without_outbox, "outbox"), (without_column, "marker_column")):
        with pytest.raises(Misconfigured) as raised:
            exchange.sink.create(MARK, {})
        assert raised.value.field == field


# The whole, in any order


class FullExports(RuleBasedStateMachine):
    """Records come, change, vanish and return while files are read, crashes repeat pages, and everything starts again."""

    def __init__(self) -> None:
        super().__init__()

        self.temporary = TemporaryDirectory()
        self.exchange = Exchange(Path(self.temporary.name), confirmed_files=[f"{n:03d}.csv" for n in range(200)])
        self.now: dict[str, int] = {}
        self.files: list[dict[str, int]] = []
        self.known: dict[str, SourceRecord] = {}

    @rule(name=st.sampled_from("ABCD"), site=st.integers(0, 9))
    def set(self, name: str, site: int) -> None:
        self.now[name] = site

    @rule(name=st.sampled_from("ABCD"))
    def vanish(self, name: str) -> None:
        self.now.pop(name, None)

    @rule()
    def export(self) -> None:
        self.exchange.drop(f"{len(self.files):03d}.csv", *(f"{name},active,,,{site}" for name, site in sorted(self.now.items())))
        self.files.append(dict(self.now))

    @rule()
    def read_a_page(self) -> None:
        self._keep(self.exchange.page())

    @rule()
    def crash_before_the_cursor_is_kept(self) -> None:
        self._keep(list(self.exchange.source.changes(self.exchange.cursor).records))

    @rule()
    def start_again(self) -> None:
        self.exchange.cursor = None

    def _keep(self, records: list[SourceRecord]) -> None:
        for record in records:
            if record.external_id not in self.known or record.version > self.known[record.external_id].version:
                self.known[record.external_id] = record

    def _expected(self) -> dict[str, tuple[str, str]]:
        """Name → site and status, as the files tell it."""
        seen: dict[str, tuple[str, str]] = {}
        for number, file in enumerate(self.files):
            for name in list(seen):
                missed = name not in file and number > 0 and name not in self.files[number - 1]
                seen[name] = (seen[name][0], "ended" if missed else seen[name][1])
            seen |= {name: (str(site), "active") for name, site in file.items()}
        return seen

    @invariant()
    def nobody_is_ended_who_is_in_one_of_the_last_two_files(self) -> None:
        for name, record in self.known.items():
            if record.values["status"] == "ended":
                assert any(a.get(name) is None and b.get(name) is None for a, b in zip(self.files, self.files[1:], strict=False))

    def teardown(self) -> None:
        self._keep(self.exchange.drained())
        told = {name: (str(record.values["site"]), str(record.values["status"])) for name, record in self.known.items()}
        assert told == self._expected()
        for name, record in self.known.items():
            assert self.exchange.source.read(name) == record
        self.temporary.cleanup()


FullExports.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestFullExports = FullExports.TestCase
