"""Two complete snapshots in a row have to lack a record before it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.protocols.snapshots import REPEATED_WITHIN_US, Comparison, Ending, Row, Snapshot
from workforce.errors import Refused
from workforce.ports import SourceRecord

COMPARISON = Comparison(absence_limit_percent=5, confirmed=())
AN_HOUR_US = 3600 * 1_000_000


def ending(hours: float) -> Ending:
    return Ending("status", "ended_at", ("ended", "cancelled"), "ended", int(hours * AN_HOUR_US))


def a_snapshot(n: int, sites: Mapping[str, str], *, digest: str | None = None, taken_us: int | None = None) -> Snapshot:
    rows = [
        Row(who, line, "", {"id": who, "status": "active", "site": site}) for line, (who, site) in enumerate(sites.items(), 2)
    ]
    return Snapshot(
        f"{n}.csv", f"{n:08d}", n * AN_HOUR_US if taken_us is None else taken_us, digest or f"digest-{n}", rows, ending(n)
    )


def told(snapshots: Sequence[Snapshot]) -> list[list[SourceRecord]]:
    """What each tells after those before it."""
    befores = accumulate(snapshots, lambda before, now: [now, *before][:2], initial=list[Snapshot]())
    return [COMPARISON.changes(now, before) for now, before in zip(snapshots, befores, strict=False)]


@given(st.lists(st.dictionaries(st.sampled_from("ABCDE"), st.sampled_from(["Rome", "Bonn"])), max_size=12))
def test_who_is_told_to_be_there_was_in_one_of_the_latest_two_snapshots(history: list[dict[str, str]]) -> None:
    state: dict[str, SourceRecord] = {}
    for n, records in enumerate(told([a_snapshot(n, sites) for n, sites in enumerate(history)])):
        for record in records:
            assert record.external_id not in state or state[record.external_id].version < record.version
            state[record.external_id] = record
        active = {who: record.values["site"] for who, record in state.items() if record.values["status"] == "active"}
        assert active == {**(history[n - 1] if n else {}), **history[n]}


def test_what_has_ended_keeps_its_last_values_and_the_latest_version() -> None:
    first, _, (ended,) = told([a_snapshot(1, {"A": "Rome"}), a_snapshot(2, {}), a_snapshot(3, {})])
    assert ended.values == {"id": "A", "status": "ended", "site": "Rome", "ended_at": "1970-01-01T03:00:00+00:00"}
    assert ended.version > first[0].version


@pytest.mark.parametrize(
    ("values", "ended_at"),
    [
        pytest.param({"status": "active"}, "1970-01-01T02:00:00+00:00", id="it did not say"),
        pytest.param({"status": "active", "ended_at": "2038-01-01T00:00:00Z"}, "1970-01-01T02:00:00+00:00", id="for later"),
        pytest.param({"status": " cancelled ", "ended_at": "1970-01-01T00:30:00Z"}, "1970-01-01T00:30:00Z", id="ended before"),
        pytest.param({"status": "cancelled", "ended_at": " "}, "1970-01-01T02:00:00+00:00", id="ended before, without instant"),
    ],
)
def test_what_is_missing_ended_with_the_snapshot_that_confirms_it_unless_it_had_ended(
    values: dict[str, str], ended_at: str
) -> None:
    missed = ending(2).missed({"id": "A", **values})
    assert missed == {"id": "A", "status": "ended", "ended_at": ended_at}


@pytest.mark.parametrize(
    ("values", "ended_at"),
    [
        pytest.param({"status": "active", "ended_at": ""}, "", id="runs"),
        pytest.param({"status": "suspended", "ended_at": ""}, "", id="a word that nobody knows"),
        pytest.param({"status": "cancelled", "ended_at": ""}, "1970-01-01T02:00:00+00:00", id="ended, and does not say when"),
        pytest.param({"status": "cancelled"}, "1970-01-01T02:00:00+00:00", id="ended, without the column"),
        pytest.param({"status": "ended", "ended_at": "1970-01-01T00:30:00Z"}, "1970-01-01T00:30:00Z", id="ended, and says when"),
    ],
)
def test_a_record_that_does_not_say_when_it_ended_has_the_time_of_the_snapshot_that_tells_it(
    values: dict[str, str], ended_at: str
) -> None:
    row = Row("A", 2, "", values)
    now = Snapshot("2.csv", "2", 2 * AN_HOUR_US, "digest", [row], ending(2))
    assert now.record(row).values.get("ended_at", "") == ended_at
    assert {**now.record(row).values, "ended_at": ""} == {**values, "ended_at": ""}


def test_a_record_that_ended_before_is_not_told_again_by_every_snapshot() -> None:
    rows = [Row("A", 2, "", {"id": "A", "status": "ended", "ended_at": ""})]
    first, *rest = told([Snapshot(f"{n}.csv", f"{n}", n * AN_HOUR_US, f"digest-{n}", rows, ending(n)) for n in range(4)])
    assert [record.values["ended_at"] for record in first] == ["1970-01-01T00:00:00+00:00"]
    assert rest == [[], [], []]


def test_a_row_without_its_id_never_ends() -> None:
    nameless = Snapshot("1.csv", "1", 0, "digest", [Row("row:1", 2, "", {"id": "", "status": ""}, has_id=False)], ending(1))
    assert told([nameless, a_snapshot(2, {}), a_snapshot(3, {})])[1:] == [[], []]


@pytest.mark.parametrize(
    ("n", "digest", "taken_us", "is_left_out"),
    [
        (2, "same", AN_HOUR_US + REPEATED_WITHIN_US - 1, True),
        (2, "same", AN_HOUR_US + REPEATED_WITHIN_US, False),
        (2, "other", AN_HOUR_US + 1, False),
        (1, "other", 2 * AN_HOUR_US, True),
        (0, "other", 0, True),
    ],
)
def test_one_that_came_twice_or_late_is_left_out(n: int, digest: str, taken_us: int, is_left_out: bool) -> None:
    last = a_snapshot(1, {}, digest="same")
    assert COMPARISON.is_left_out(a_snapshot(n, {}, digest=digest, taken_us=taken_us), [last]) is is_left_out
    assert not COMPARISON.is_left_out(last, [])


@pytest.mark.parametrize(
    ("before", "missing", "is_believed"), [(200, 10, True), (200, 11, False), (10, 5, True), (10, 6, False), (2, 2, False)]
)
def test_many_absences_at_once_wait_for_a_person(before: int, missing: int, is_believed: bool) -> None:
    last = a_snapshot(1, {str(who): "Rome" for who in range(before)})
    now = a_snapshot(2, {str(who): "Rome" for who in range(missing, before)})
    confirmed = Comparison(5, [now.digest])
    confirmed.require_few_absences(now, [last])
    if is_believed:
        COMPARISON.require_few_absences(now, [last])
        return
    with pytest.raises(Refused) as raised:
        COMPARISON.require_few_absences(now, [last])
    assert (raised.value.cause, raised.value.field) == ("suspicious_shrink", "confirmed_files")
    assert now.digest in str(raised.value)
