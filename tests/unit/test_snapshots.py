"""Two complete snapshots in a row have to lack a record before it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.protocols.snapshots import REPEATED_WITHIN_US, Comparison, Row, Snapshot
from workforce.errors import Refused
from workforce.ports import SourceRecord

COMPARISON = Comparison(absence_limit_percent=5, confirmed=(), absent={"status": "ended"})
AN_HOUR_US = 3600 * 1_000_000


def a_snapshot(n: int, sites: Mapping[str, str], *, digest: str | None = None, taken_us: int | None = None) -> Snapshot:
    rows = [
        Row(who, line, "", {"id": who, "status": "active", "site": site}) for line, (who, site) in enumerate(sites.items(), 2)
    ]
    return Snapshot(f"{n}.csv", f"{n:08d}", n * AN_HOUR_US if taken_us is None else taken_us, digest or f"digest-{n}", rows)


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
    assert ended.values == {"id": "A", "status": "ended", "site": "Rome"}
    assert ended.version > first[0].version


def test_a_row_without_its_id_never_ends() -> None:
    nameless = Snapshot("1.csv", "1", 0, "digest", [Row("row:1", 2, "", {"id": ""}, has_id=False)])
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
    confirmed = Comparison(5, [now.digest], {})
    confirmed.require_few_absences(now, [last])
    if is_believed:
        COMPARISON.require_few_absences(now, [last])
        return
    with pytest.raises(Refused) as raised:
        COMPARISON.require_few_absences(now, [last])
    assert (raised.value.cause, raised.value.field) == ("suspicious_shrink", "confirmed_files")
    assert now.digest in str(raised.value)
