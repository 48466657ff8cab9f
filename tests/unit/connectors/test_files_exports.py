"""Folders of exports as a source of changes: nothing lost, nothing half-read, nobody ended by an accident."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connectors.contract import ALONE, Surroundings
from connectors.files.client import FilesClient
from connectors.files.cursor import Cursor
from connectors.files.sandbox import MARKER, FilesSandbox, rows_of
from connectors.files.settings import FilesSettings
from connectors.files.sink import FilesSink
from connectors.files.source import FilesSource
from workforce.errors import AlreadyTaken, Misconfigured, NotFound, Refused, RetryLater
from workforce.ports import ChangePage, SourceRecord

ENDED_AT = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
MARK = "ST0123456789ABC"


class Exchange:
    """A sandbox's folders, as one instance uses them."""

    def __init__(self, folder: Path, *, sleep: Callable[[float], None] = lambda seconds: None, **form: Any) -> None:
        self.system = FilesSandbox(folder)
        self.form = {**self.system.local_settings(), **form}
        self.around = Surroundings(folders=(folder,))
        self.client = self.a_client(sleep=sleep)
        self.source, self.sink = FilesSource(self.client), FilesSink(self.client)
        self.cursor: str | None = None

    def a_client(self, *, sleep: Callable[[float], None] = lambda seconds: None, **form: Any) -> FilesClient:
        return FilesClient(FilesSettings.model_validate({**self.form, **form}), self.around, sleep=sleep)

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
        return self.system.drop(name, "\n".join([f"id,status,end_date,{MARKER},site", *rows, ""]).encode())


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
    confirmed_at = exchange.drop("3.csv", "B,active,,,Bonn").stat().st_mtime
    (ended,) = exchange.page()
    assert (ended.external_id, ended.values["status"], ended.values["site"]) == ("A", "ended", "Rome")
    assert datetime.fromisoformat(ended.values["ended_at"]).timestamp() == pytest.approx(confirmed_at)
    assert ended.version > before.version
    assert exchange.source.read("A") == ended
    assert not exchange.sink.read("A").active
    exchange.drop("4.csv", "B,active,,,Bonn")
    assert exchange.page() == []
    exchange.drop("5.csv", "A,active,2027-01-31,,Rome", "B,active,,,Bonn")
    (back,) = exchange.page()
    assert back.version > ended.version
    assert exchange.source.read("A") == back


def test_a_file_that_is_dated_ahead_puts_no_end_off(tmp_path: Path) -> None:
    exchange, now = Exchange(tmp_path, order="name"), time.time()
    for n in range(1, 4):
        path = exchange.drop(f"{n}.csv", *([] if n > 1 else ["A,active,2027-01-31,,Rome"]), "B,active,,,Bonn")
        os.utime(path, (now + n * 86400 * 365, now + n * 86400 * 365))
    (ended,) = exchange.drained()[2:]
    assert datetime.fromisoformat(ended.values["ended_at"]).timestamp() <= time.time()
    assert exchange.source.read("A").values["ended_at"] == ended.values["ended_at"]


def test_one_who_is_called_ended_without_an_instant_has_ended_with_the_file_that_says_so(exchange: Exchange) -> None:
    told_at = exchange.drop("1.csv", "A,cancelled,2027-01-31,,Rome", "B,active,2027-01-31,,Bonn").stat().st_mtime
    cancelled, running = exchange.page()
    assert datetime.fromisoformat(cancelled.values["ended_at"]).timestamp() == pytest.approx(told_at)
    assert running.values["ended_at"] == ""
    exchange.drop("2.csv", "A,cancelled,2027-01-31,,Rome", "B,active,2027-01-31,,Paris")
    assert ids(exchange.page()) == ["B"]
    assert exchange.source.read("A") == cancelled


def test_a_modified_column_comes_first_in_the_version_and_ends_still_compare_later(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, layout={"modified_column": "site"})
    exchange.drop("1.csv", "A,active,,,2026-11-20T10:00:00+01:00", "B,active,,,2026-11-20T10:00:00Z")
    (first, _) = exchange.page()
    assert first.version.startswith("2026-11-20T09:00:00.000000+00:00 ")
    for name in ("2.csv", "3.csv"):
        exchange.drop(name, "B,active,,,2026-11-20T10:00:00Z")
    (ended,) = exchange.drained()
    assert ended.version > first.version


def many(*names: str | int) -> list[str]:
    return [f"{name},active,,," for name in names]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="nothing under the header"),
        pytest.param(many(*range(94)), id="cut off at a line"),
        pytest.param([f",active,,,{n}" for n in range(100)], id="a column of ids that lost its content"),
        pytest.param([f"0{n},active,,," for n in range(100)], id="ids that are written in another way"),
    ],
)
def test_a_file_that_lacks_many_records_is_not_believed_until_a_person_confirms_it(tmp_path: Path, rows: list[str]) -> None:
    exchange = Exchange(tmp_path)
    exchange.drop("1.csv", *many(*range(100)))
    exchange.page()
    for name in ("2.csv", "3.csv"):
        exchange.drop(name, *rows)
    for _ in range(2):
        with pytest.raises(Refused) as raised:
            exchange.page()
        assert (raised.value.cause, raised.value.field) == ("suspicious_shrink", "confirmed_files")
    with pytest.raises(Refused):
        exchange.sink.read("7")
    digest = str(raised.value).split("digest ")[1].split(" ")[0]
    confirmed = FilesSource(exchange.a_client(confirmed_files=[digest]))
    page = confirmed.changes(exchange.cursor)
    assert not [record for record in page.records if record.values["status"] == "ended"]
    ends = [record for record in confirmed.changes(page.cursor).records if record.values["status"] == "ended"]
    assert len(ends) == 100 - len({row.split(",")[0] for row in rows} & {str(n) for n in range(100)})
    assert confirmed.read("99").values["status"] == "ended"


def test_a_name_that_was_confirmed_once_confirms_no_other_file(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.drop("export.csv", *many(*range(100)))
    exchange.drained()
    exchange.drop("export.csv", *many(*range(90)))
    with pytest.raises(Refused) as raised:
        exchange.page()
    digest = str(raised.value).split("digest ")[1].split(" ")[0]
    confirmed = FilesSource(exchange.a_client(confirmed_files=[digest]))
    cursor = confirmed.changes(exchange.cursor).cursor
    exchange.drop("export.csv", *many(*range(20)))
    with pytest.raises(Refused):
        confirmed.changes(cursor)


def test_the_limit_is_a_share_and_a_handful_of_few(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, absence_limit_percent=20)
    for number, left in enumerate((100, 80, 64, 63)):
        exchange.drop(f"{number}.csv", *many(*range(left)))
    assert len([record for record in exchange.drained() if record.values["status"] == "ended"]) == 36


def test_one_export_that_comes_twice_is_one(exchange: Exchange) -> None:
    exchange.drop("1.csv", *many("A", "B"))
    truncated = exchange.drop("2.csv", *many("A"))
    again = exchange.drop("2 again.csv", *many("A"))
    os.utime(again, ns=(truncated.stat().st_mtime_ns + 10**9,) * 2)
    exchange.drained()
    assert exchange.source.read("B").values["status"] == "active"
    exchange.drop("3.csv", *many("A", "B"))
    assert exchange.drained() == [exchange.source.read("B")]
    assert exchange.source.read("B").values["status"] == "active"


def test_an_export_from_the_future_does_not_hide_those_of_the_present(exchange: Exchange) -> None:
    path = exchange.drop("1.csv", *many("A"))
    ahead = time.time_ns() + 2 * 86_400 * 10**9
    os.utime(path, ns=(ahead, ahead))
    with pytest.raises(Refused) as raised:
        exchange.page()
    assert raised.value.cause == "dated_in_the_future"
    os.utime(path)
    assert ids(exchange.drained()) == ["A"]


def test_a_file_of_the_same_name_and_time_is_never_taken_for_a_second_look(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, archive=None)
    first = exchange.drop("1.csv", *many("A", "B"))
    exchange.drained()
    moment = exchange.drop("2.csv", *many("A")).stat().st_mtime_ns
    exchange.drained()
    first.parent.joinpath("2.csv").unlink()
    os.utime(exchange.drop("2.csv", *many("A", "C")), ns=(moment, moment))
    assert exchange.drained() == []
    assert exchange.source.read("B").values["status"] == "active"
    exchange.drop("3.csv", *many("A", "C"))
    with pytest.raises(Refused) as raised:
        exchange.drained()
    assert raised.value.cause == "previous_file_missing"


@pytest.mark.parametrize("mode", ["full", "delta"])
def test_a_name_that_every_export_has_is_no_hindrance(tmp_path: Path, mode: str) -> None:
    exchange = Exchange(tmp_path, mode=mode)
    sites = []
    for site in range(4):
        exchange.drop("export.csv", f"A,active,,,{site}", "B,active,,,")
        sites += [record.values["site"] for record in exchange.drained() if record.external_id == "A"]
    assert sites == ["0", "1", "2", "3"]


def test_a_delta_that_took_the_place_of_a_read_one_is_not_archived_unread(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, mode="delta")
    moment = exchange.drop("export.csv", "A,active,,,").stat().st_mtime_ns
    exchange.page()
    replaced = exchange.drop("export.csv", "A,closed,,,")
    os.utime(replaced, ns=(moment, moment))
    with pytest.raises(Refused) as raised:
        exchange.page()
    assert (raised.value.cause, exchange.names("inbox"), exchange.names("archive")) == ("replaced_export", ["export.csv"], [])
    os.utime(replaced)
    (record,) = exchange.drained()
    assert record.values["status"] == "closed"


def test_what_was_not_read_goes_back_to_the_inbox(exchange: Exchange) -> None:
    exchange.drop("1.csv", "A,active,,,")
    (export,) = exchange.client.drop.exports()
    with pytest.raises(Refused):
        exchange.client.drop.put_away(export, "another content!")
    assert (exchange.names("inbox"), exchange.names("archive")) == (["1.csv"], [])


def test_from_deltas_to_full_exports_nobody_is_ended_by_what_a_delta_lacked(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, mode="delta")
    for name in ("1.csv", "2.csv"):
        exchange.drop(name, *many(*("AB" if name == "1.csv" else "C")))
    exchange.drained()
    full = FilesSource(exchange.a_client(mode="full"))
    exchange.drop("3.csv", *many("B", "C"))
    page = full.changes(exchange.cursor)
    assert {str(record.values["status"]) for record in page.records} == {"active"}


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
                file.write("B,active,,,\n")

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


def test_the_ready_sign_of_an_earlier_file_of_this_name_is_none(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, ready_suffix=".done")
    sign = exchange.drop("1.csv.done")
    os.utime(exchange.drop("1.csv", "A,active,,,"))
    assert exchange.drained() == []
    sign.touch()
    assert ids(exchange.drained()) == ["A"]


@pytest.mark.parametrize("mode", ["full", "delta"])
def test_a_crash_before_the_cursor_is_kept_means_reading_again(tmp_path: Path, mode: str) -> None:
    exchange = Exchange(tmp_path, mode=mode)
    exchange.drop("1.csv", "A,active,,,")
    lost = exchange.source.changes(None)
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
    assert exchange.names("inbox") == []
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
    (export,) = exchange.client.drop.exports()
    path.write_text("changed")
    with pytest.raises(RetryLater):
        exchange.client.snapshot(export)


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


# Folders


@pytest.mark.parametrize("field", ["inbox", "archive", "outbox", "taken"])
@pytest.mark.parametrize("how", ["outside", "dots", "link"])
def test_a_folder_outside_those_of_the_installation_is_never_looked_at(tmp_path: Path, field: str, how: str) -> None:
    permitted, outside = tmp_path / "files", tmp_path / "outside"
    outside.mkdir()
    permitted.mkdir()
    (permitted / "link").symlink_to(outside)
    path = {"outside": outside, "dots": permitted / "x" / ".." / ".." / "outside", "link": permitted / "link"}[how]
    exchange = Exchange(permitted, **{field: str(path)})
    exchange.drop("1.csv", "A,active,,,")
    assert "STINT_FILE_FOLDERS" in exchange.client.check().detail
    use = exchange.drained if field in {"inbox", "archive"} else partial(exchange.sink.create, MARK, {})
    with pytest.raises(Misconfigured) as raised:
        use()
    assert (raised.value.cause, raised.value.field) == ("folder_not_permitted", field)
    assert list(outside.iterdir()) == []


def test_a_parent_that_becomes_a_link_later_leads_nowhere(tmp_path: Path) -> None:
    permitted, outside = tmp_path / "files", tmp_path / "outside"
    exchange = Exchange(permitted / "acme")
    exchange.around = Surroundings(folders=(permitted,))
    exchange.client = exchange.a_client()
    exchange.drop("1.csv", "A,active,,,")
    source = FilesSource(exchange.client)
    assert ids(list(source.changes(None).records)) == ["A"]
    (permitted / "acme").rename(outside)
    (permitted / "acme").symlink_to(outside)
    with pytest.raises(Misconfigured) as raised:
        source.changes(None)
    assert raised.value.cause == "folder_not_permitted"


def test_the_permitted_folder_may_itself_be_a_link_and_what_lies_below_it_counts(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    exchange = Exchange(tmp_path / "real" / "deep")
    exchange.around = Surroundings(folders=(tmp_path / "none", tmp_path / "link"))
    assert exchange.a_client().check().ok


def test_a_client_alone_may_look_at_no_folder(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    assert not FilesClient(exchange.client.settings, ALONE).check().ok


def test_a_loop_of_links_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert not Exchange(tmp_path, inbox=str(tmp_path / "a" / "x")).client.check().ok


def test_a_name_that_no_archive_can_keep_is_told_and_not_tried_for_ever(exchange: Exchange) -> None:
    exchange.drop("x" * 230 + ".csv", "A,active,,,")
    with pytest.raises(Refused) as raised:
        exchange.page()
    assert raised.value.cause == "name_too_long"


def test_names_and_times_that_are_none_do_no_harm(exchange: Exchange) -> None:
    (Path(os.fsdecode(os.fsencode(exchange.system.folder / "inbox") + b"/\xff.csv"))).touch()
    os.utime(exchange.drop("1.csv", "A,active,,,"), ns=(-(10**18), -(10**18)))
    (exchange.system.folder / "archive" / f"{'9' * 20}.{'x' * 16}.2.csv").touch()
    assert ids(exchange.drained()) == ["A"]


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
    with pytest.raises(AlreadyTaken) as raised:  # what an earlier stint left is adopted, and never passed over
        exchange.sink.create(MARK, {"given_name": "Ada", "role": "Architect"})
    assert raised.value.field == MARKER
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


def test_an_end_is_asked_for_also_while_an_export_cannot_be_read(exchange: Exchange) -> None:
    exchange.drop("1.csv", "A,active")
    for external_id, column in ((MARK, MARKER), ("W000001", "id")):
        exchange.sink.end(external_id, ended_at=ENDED_AT, ends_on="2026-12-31")
        (name,) = (name for name in exchange.names("outbox") if external_id in name)
        (row,) = rows_of((exchange.system.folder / "outbox" / name).read_bytes())
        assert row[column] == external_id
    with pytest.raises(Refused):
        exchange.sink.read("W000001")


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


def test_an_id_that_cannot_be_written_is_refused(exchange: Exchange) -> None:
    with pytest.raises(Refused) as raised:
        exchange.sink.update("\ud800", {"role": "x"})
    assert raised.value.cause == "not_encodable"


def test_every_record_that_carries_the_marker_is_found_and_a_person_decides(exchange: Exchange) -> None:
    exchange.drop("1.csv", f"A,active,,{MARK},", f"B,active,,{MARK},", ",active,,other,")
    assert [(found.external_id, found.marker) for found in exchange.sink.find(MARK, {})] == [("A", MARK), ("B", MARK)]
    for use in (partial(exchange.sink.read, MARK), partial(exchange.sink.end, MARK, ended_at=ENDED_AT, ends_on="2026-12-31")):
        with pytest.raises(Refused) as raised:
            use()
        assert raised.value.cause == "ambiguous_marker"


def test_an_upload_is_not_written_through_a_link_and_leaves_nothing_unfinished(exchange: Exchange) -> None:
    secret = exchange.system.folder / "secret"
    secret.write_text("kept")
    for name in (f".create-{MARK}.csv.part", f"create-{MARK}.csv"):
        (exchange.system.folder / "outbox" / name).symlink_to(secret)
    exchange.client.upload(f"create-{MARK}.csv", {"id": "7"})
    assert secret.read_text() == "kept"
    assert not (exchange.system.folder / "outbox" / f"create-{MARK}.csv").is_symlink()


def test_uploads_of_one_name_at_once_are_each_whole(exchange: Exchange) -> None:
    rows = [{"id": "7", "note": str(n) * 50_000} for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda row: exchange.client.upload("update-7.csv", row), rows))
    (path,) = (exchange.system.folder / "outbox").iterdir()
    assert rows_of(path.read_bytes())[0] in rows


def test_what_uploads_need_is_named(tmp_path: Path) -> None:
    lacking: dict[str, dict[str, Any]] = {"outbox": {"outbox": None}, "taken": {"taken": None}, "marker_column": {"layout": {}}}
    for field, form in lacking.items():
        exchange = Exchange(tmp_path / field, **form)
        with pytest.raises(Misconfigured) as raised:
            exchange.sink.create(MARK, {})
        assert raised.value.field == field


# The whole, in any order


class FullExports(RuleBasedStateMachine):
    """Records come, change, vanish and return while files are read, crashes repeat pages, and everything starts again."""

    def __init__(self) -> None:
        super().__init__()

        self.temporary = TemporaryDirectory()
        self.exchange = Exchange(Path(self.temporary.name), absence_limit_percent=100)
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
