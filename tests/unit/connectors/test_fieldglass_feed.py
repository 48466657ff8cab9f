"""The Fieldglass feed of changes: nothing lost and nothing doubled while records change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connectors.fieldglass.records import Row, read_rows
from connectors.fieldglass.sandbox import FieldglassSandbox, page_of
from connectors.fieldglass.settings import FieldglassSettings, Layout
from connectors.fieldglass.source import FieldglassSource, every_row
from connectors.records.cursors import Feed
from mappings.registry import MappingRegistry
from workforce.engagement import WorkOrder, canonical
from workforce.errors import Misconfigured, NotFound, Refused
from workforce.ports import ChangePage, SourceRecord

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FORM = FieldglassSandbox().settings("https://localhost", Path("ca.pem"))


def a_row(work_order_id: str = "WO-1", *, modified: datetime = START, **columns: str) -> dict[str, str]:
    return {
        "Work Order ID": work_order_id,
        "Status": "Accepted",
        "End Date": "2026-06-30",
        "Last Modified": modified.isoformat(timespec="microseconds"),
        "External Reference": "",
        **columns,
    }


class Report:
    """The customer's download, answered with the sandbox's own paging."""

    def __init__(self, rows: Iterable[dict[str, str]] = (), **form: Any) -> None:
        self.settings = FieldglassSettings.model_validate({**FORM, **form})
        self.rows = {row["Work Order ID"]: row for row in rows}
        self.limits: list[int] = []

    def changed(self, since: datetime | None, limit: int) -> list[Row]:
        self.limits.append(limit)
        return read_rows(page_of(self.rows.values(), since, limit), self.settings.layout)

    def work_order(self, work_order_id: str) -> Row:
        if work_order_id not in self.rows:
            raise NotFound("no such work order")
        return read_rows([self.rows[work_order_id]], self.settings.layout)[0]


def drained(source: FieldglassSource, cursor: str | None = None) -> tuple[list[SourceRecord], str]:
    """Every record to the end of the feed, and the cursor there."""
    records: list[SourceRecord] = []
    while True:
        page: ChangePage = source.changes(cursor)
        records += page.records
        cursor = page.cursor
        if page.complete:
            return records, cursor


class FeedWhileRecordsChange(RuleBasedStateMachine):
    """Rows are added and changed between the pages, on a clock that may stand still, and some are committed late."""

    def __init__(self) -> None:
        super().__init__()
        self.report = Report(page_size=2, overlap_seconds=5)
        self.source = FieldglassSource(self.report)
        self.now, self.edits = START, 0
        self.cursor: str | None = None
        self.delivered: Counter[tuple[str, str]] = Counter()
        self.known: dict[str, str] = {}
        self.written: Counter[tuple[str, str]] = Counter()

    def _write(self, number: int, modified: datetime) -> None:
        self.edits += 1
        row = a_row(f"WO-{number}", modified=modified, Comment=str(self.edits))
        self.report.rows[row["Work Order ID"]] = row

    @rule(seconds=st.sampled_from([1, 4, 60]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(number=st.integers(min_value=1, max_value=7))
    def a_work_order_changes(self, number: int) -> None:
        self._write(number, self.now)

    @rule(number=st.integers(min_value=8, max_value=9), late_by=st.integers(min_value=1, max_value=5))
    def a_new_work_order_is_committed_late(self, number: int, late_by: int) -> None:
        if f"WO-{number}" not in self.report.rows:
            self._write(number, self.now - timedelta(seconds=late_by))

    @precondition(lambda self: self.report.rows)
    @rule()
    def the_next_page_is_read(self) -> None:
        self._take(self.source.changes(self.cursor))

    def _take(self, page: ChangePage) -> None:
        self.cursor = page.cursor
        for record in page.records:
            comment = str(record.values["Comment"])
            self.delivered[record.external_id, comment] += 1
            self.known[record.external_id] = comment

    @invariant()
    def nothing_is_delivered_twice(self) -> None:
        assert not self.delivered or max(self.delivered.values()) == 1

    def teardown(self) -> None:
        complete = False
        while not complete:
            page = self.source.changes(self.cursor)
            self._take(page)
            complete = page.complete
        assert self.known == {name: row["Comment"] for name, row in self.report.rows.items()}
        assert not self.delivered or max(self.delivered.values()) == 1
        assert self.source.changes(self.cursor).records == []


FeedWhileRecordsChange.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestFeedWhileRecordsChange = FeedWhileRecordsChange.TestCase


@given(
    ticks=st.lists(st.integers(min_value=0, max_value=6), max_size=25),
    page_size=st.integers(min_value=1, max_value=6),
    overlap=st.integers(min_value=0, max_value=4),
)
@example(ticks=[3] * 20, page_size=1, overlap=0)
def test_a_still_feed_is_read_to_its_end_once(ticks: list[int], page_size: int, overlap: int) -> None:
    rows = [a_row(f"WO-{n}", modified=START + timedelta(seconds=tick)) for n, tick in enumerate(ticks)]
    source = FieldglassSource(Report(rows, page_size=page_size, overlap_seconds=overlap))
    records, cursor = drained(source)
    assert sorted(record.external_id for record in records) == sorted(row["Work Order ID"] for row in rows)
    assert drained(source, cursor)[0] == []


def test_two_changes_within_one_tick_are_both_delivered() -> None:
    report = Report([a_row(Role="Engineer")], overlap_seconds=0)
    source = FieldglassSource(report)
    _, cursor = drained(source)
    report.rows["WO-1"] = a_row(Role="Architect")
    records, _ = drained(source, cursor)
    assert [record.values["Role"] for record in records] == ["Architect"]


def test_a_row_from_the_future_hides_no_other() -> None:
    rows = [a_row("WO-1"), a_row("WO-2", modified=START + timedelta(days=36500))]
    report = Report(rows, page_size=2)
    source = FieldglassSource(report, now=lambda: START + timedelta(hours=1))
    records, cursor = drained(source)
    report.rows["WO-3"] = a_row("WO-3", modified=START + timedelta(minutes=1))
    more, cursor = drained(source, cursor)
    assert [record.external_id for record in [*records, *more]] == ["WO-1", "WO-2", "WO-3"]
    assert drained(source, cursor)[0] == []


@pytest.mark.parametrize(("fraction", "waits"), [(0, True), (5, False)])
def test_a_row_of_this_very_second_waits_because_it_may_change_again_under_the_same_version(fraction: int, waits: bool) -> None:
    moment = START.replace(microsecond=fraction)
    report, now = Report([a_row(modified=moment, Role="Engineer")]), [moment + timedelta(milliseconds=300)]
    source = FieldglassSource(report, now=lambda: now[0])
    early, cursor = drained(source)
    assert (early == []) is waits
    report.rows["WO-1"] = a_row(modified=moment, Role="Architect")
    now[0] += timedelta(seconds=1)
    late, _ = drained(source, cursor)
    assert [record.values["Role"] for record in late] == ["Architect"]
    assert [row.work_order_id for row in every_row(report)] == ["WO-1"]


def test_more_rows_on_one_instant_than_fit_a_page_are_read_with_a_larger_page() -> None:
    report = Report([a_row(f"WO-{n}") for n in range(7)], page_size=2)
    records, _ = drained(FieldglassSource(report))
    assert len(records) == 7
    assert max(report.limits) > 2


def test_a_download_that_heeds_no_parameter_is_still_delivered_once() -> None:
    class Stubborn(Report):
        def changed(self, since: datetime | None, limit: int) -> list[Row]:
            return super().changed(None, 10_000)

    rows = [a_row(f"WO-{n}", modified=START + timedelta(minutes=n)) for n in range(7)]
    source = FieldglassSource(Stubborn(rows, page_size=2))
    records, cursor = drained(source)
    assert len(records) == 7
    assert drained(source, cursor)[0] == []


def test_a_cut_off_download_that_is_not_sorted_is_a_fault_of_the_layout() -> None:
    class Unsorted(Report):
        def changed(self, since: datetime | None, limit: int) -> list[Row]:
            return list(reversed(super().changed(since, limit)))

    rows = [a_row(f"WO-{n}", modified=START + timedelta(minutes=n)) for n in range(4)]
    with pytest.raises(Misconfigured) as raised:
        FieldglassSource(Unsorted(rows, page_size=2)).changes(None)
    assert raised.value.field == "Last Modified"


def test_an_empty_feed_is_complete_and_can_be_polled_again() -> None:
    report = Report()
    source = FieldglassSource(report)
    page = source.changes(None)
    assert (page.records, page.complete) == ([], True)
    report.rows["WO-1"] = a_row()
    assert [record.external_id for record in source.changes(page.cursor).records] == ["WO-1"]


def test_the_cursor_forgets_what_lies_before_the_overlap() -> None:
    rows = [a_row(f"WO-{n}", modified=START + timedelta(minutes=n)) for n in range(50)]
    _, cursor = drained(FieldglassSource(Report(rows, overlap_seconds=60)))
    assert len(Feed.decode(cursor).seen) == 2


@given(st.text(max_size=60))
@example("")
@example("null")
@example("[]")
@example('{"at":1,"seen":{}}')
@example('{"at":"2026-03-01T12:00:00","seen":{}}')
@example('{"at":null,"seen":{"x":"0001-01-01T00:00:00+23:00"}}')
@example("[" * 100_000)
def test_a_foreign_cursor_is_refused(text: str) -> None:
    with pytest.raises(Refused) as raised:
        FieldglassSource(Report()).changes(text)
    assert raised.value.cause == "bad_cursor"


@given(st.dictionaries(st.text(max_size=16), st.datetimes(timezones=st.just(UTC)), max_size=5))
def test_a_cursor_survives_its_text(seen: dict[str, datetime]) -> None:
    cursor = Feed(max(seen.values(), default=None), seen)
    assert Feed.decode(cursor.encode()) == cursor


# Rows


@pytest.mark.parametrize("column", Layout().required())
def test_a_layout_that_lost_a_column_is_a_fault_of_the_settings_and_names_it(column: str) -> None:
    rows = [{name: value for name, value in a_row(f"WO-{n}").items() if name != column} for n in range(3)]
    with pytest.raises(Misconfigured) as raised:
        read_rows(rows, Layout())
    assert raised.value.cause == "layout_drift"
    assert raised.value.field == column
    assert repr(column) in str(raised.value)


@pytest.mark.parametrize("id_column", [{"Work Order ID": ""}, {"Work Order ID": "  "}, {"Work Order ID": 7}, {}])
def test_a_row_without_its_id_is_told_under_a_name_of_its_own(id_column: dict[str, Any]) -> None:
    bare = {name: value for name, value in a_row("WO-2").items() if name != "Work Order ID"}
    first, nameless, other = read_rows([a_row(), {**bare, **id_column}, {**bare, **id_column, "Role": "x"}], Layout())
    assert first.work_order_id == "WO-1"
    assert nameless.work_order_id == f"row:{nameless.digest}"
    assert other.work_order_id != nameless.work_order_id


@pytest.mark.parametrize("without", [{"Work Order ID": " "}, {}])
def test_a_row_without_its_id_is_refused_by_the_mapping_alone_for_that_column(without: dict[str, str]) -> None:
    sandbox = FieldglassSandbox()
    good = sandbox.work_orders[sandbox.add_work_order()]
    (row,) = read_rows([{**{name: value for name, value in good.items() if name != "Work Order ID"}, **without}, good], Layout())[
        :1
    ]
    mapping = MappingRegistry.shipped().get("fieldglass__engagement", "v0001")
    with pytest.raises(Refused) as raised:
        canonical(WorkOrder, mapping.apply(row.values).values, source="a work order")
    assert "Work Order ID" in f"{raised.value} {raised.value.field}" or raised.value.field == "terms.vms_id"
    canonical(WorkOrder, mapping.apply(good).values, source="a work order")


@pytest.mark.parametrize("text", ["", "canary", "03/01/2026", "2026-03-01T12:00:00", "0001-01-01T00:00:00+23:00"])
def test_a_row_without_a_usable_instant_names_column_and_work_order(text: str) -> None:
    with pytest.raises(Refused) as raised:
        read_rows([{**a_row("WO-5"), "Last Modified": text}], Layout())
    assert raised.value.field == "Last Modified"
    assert "WO-5" in str(raised.value)
    assert "canary" not in str(raised.value)


def test_rows_that_are_no_objects_are_a_fault_of_the_settings() -> None:
    with pytest.raises(Misconfigured):
        read_rows([["WO-1", "Accepted"]], Layout())


def test_the_columns_are_the_customers() -> None:
    layout = Layout(id_column="WO #", modified_column="Changed", status_column="State", end_column="Ends")
    (row,) = read_rows(
        [{"WO #": "7", "Changed": "2026-03-01T13:00:00+01:00", "State": "Activated", "Ends": "2026-06-30", "Extra": "x"}], layout
    )
    assert (row.work_order_id, row.status, row.ends_on) == ("7", "Activated", "2026-06-30")
    assert row.version == "2026-03-01T12:00:00.000000+00:00"
    assert row.values["Extra"] == "x"
