"""The employmentStatus table: what is written, and that writing it again writes nothing."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.bamboohr.history import RowChange, StatusHistory
from connectors.bamboohr.records import StatusRow
from workforce.errors import Refused

STATUSES = st.sampled_from(["Contractor", "Terminated", "Full-Time", None])
DAYS = st.integers(0, 60).map(lambda n: (date(2026, 1, 1) + timedelta(days=n)).isoformat())
TABLES = st.lists(st.tuples(DAYS, STATUSES), max_size=6).map(
    lambda rows: [StatusRow(id=str(n), date=day, employmentStatus=status) for n, (day, status) in enumerate(rows)]
)
ENDED = st.tuples(TABLES, DAYS).map(
    lambda drawn: [*drawn[0], row(str(len(drawn[0])), max([drawn[1], *(str(one.date) for one in drawn[0])]), "Terminated")]
)


def row(row_id: str, day: str, status: str) -> StatusRow:
    return StatusRow(id=row_id, date=day, employmentStatus=status)


def history(*rows: StatusRow) -> StatusHistory:
    return StatusHistory.of(rows, contractor="Contractor", terminated="Terminated")


def written(rows: list[StatusRow], *changes: RowChange | None) -> list[StatusRow]:
    after = list(rows)
    for change in changes:
        if change is not None and change.row_id is None:
            after.append(StatusRow(id=str(len(rows)), **change.columns))
        elif change is not None:
            after = [one.model_copy(update=dict(change.columns)) if one.id == change.row_id else one for one in after]
    return after


def converted(rows: list[StatusRow]) -> bool:
    ordered = history(*rows).rows
    return bool(ordered) and ordered[-1].employmentStatus not in {"Contractor", "Terminated"}


def start_or_none(of: StatusHistory, starts_on: str) -> RowChange | None:
    try:
        return of.start(starts_on)
    except Refused:
        return None


def test_an_empty_table_gets_the_row_that_starts_the_stint() -> None:
    assert history().start("2026-02-01") == RowChange(None, {"date": "2026-02-01", "employmentStatus": "Contractor"})


def test_a_moved_start_corrects_the_row_and_adds_none() -> None:
    assert history(row("7", "2026-02-01", "Contractor")).start("2026-02-03") == RowChange("7", {"date": "2026-02-03"})


def test_a_stint_after_an_ended_one_gets_its_own_row() -> None:
    ended = history(row("1", "2025-01-01", "Contractor"), row("2", "2025-06-30", "Terminated"))
    assert ended.start("2026-02-01") == RowChange(None, {"date": "2026-02-01", "employmentStatus": "Contractor"})


def test_a_stint_that_starts_on_the_day_of_the_last_ending_leaves_the_old_one_alone() -> None:
    ended = history(row("1", "2025-01-01", "Contractor"), row("2", "2025-06-30", "Terminated"))
    assert ended.start("2025-06-30") == RowChange(None, {"date": "2025-06-30", "employmentStatus": "Contractor"})


def test_a_start_that_reaches_into_an_earlier_stint_is_refused() -> None:
    second = history(
        row("1", "2025-01-01", "Contractor"), row("2", "2025-06-30", "Terminated"), row("3", "2026-02-01", "Contractor")
    )
    with pytest.raises(Refused) as caught:
        second.start("2025-06-15")
    assert (caught.value.cause, caught.value.field) == ("overlapping_stints", "hireDate")


def test_the_ending_row_carries_the_columns_that_the_company_requires() -> None:
    change = history(row("1", "2026-02-01", "Contractor")).end("2026-03-31", {"terminationTypeId": "9"})
    assert change == [RowChange(None, {"terminationTypeId": "9", "date": "2026-03-31", "employmentStatus": "Terminated"})]


def test_an_ending_that_moves_corrects_the_row_and_adds_none() -> None:
    ended = history(row("1", "2026-02-01", "Contractor"), row("2", "2026-03-31", "Terminated"))
    assert ended.end("2026-03-15", {}) == [RowChange("2", {"date": "2026-03-15"})]


def test_rows_that_end_the_stint_twice_are_all_corrected() -> None:
    twice = history(
        row("1", "2026-02-01", "Contractor"), row("2", "2026-03-31", "Terminated"), row("3", "2026-03-31", "Terminated")
    )
    assert twice.end("2026-03-15", {}) == [RowChange("2", {"date": "2026-03-15"}), RowChange("3", {"date": "2026-03-15"})]


def test_a_contractor_who_became_an_employee_is_not_terminated() -> None:
    hired = history(row("1", "2026-02-01", "Contractor"), row("2", "2026-03-01", "Full-Time"))
    with pytest.raises(Refused) as caught:
        hired.end("2026-03-31", {})
    assert (caught.value.cause, caught.value.field) == ("not_a_contractor", "employmentStatus")


def test_an_ending_before_the_start_still_rules() -> None:
    rows = [row("0", "2026-02-01", "Contractor")]
    after = written(rows, *history(*rows).end("2026-01-20", {}))
    assert history(*after).ended_on == "2026-02-01"


def test_a_rehired_person_has_a_row_behind_the_ending_which_stays() -> None:
    ended = history(row("1", "2025-01-01", "Contractor"), row("2", "2025-06-30", "Terminated"))
    assert ended.again("2026-02-01") == RowChange(None, {"date": "2026-02-01", "employmentStatus": "Contractor"})
    assert ended.again("2025-06-15") == RowChange(None, {"date": "2025-06-30", "employmentStatus": "Contractor"})


def test_nobody_is_rehired_who_is_there() -> None:
    assert history().again("2026-02-01") is None
    assert history(row("1", "2026-02-01", "Contractor")).again("2026-02-01") is None
    assert history(row("1", "2026-02-01", "Contractor"), row("2", "2026-03-01", "Full-Time")).again("2026-04-01") is None


@given(TABLES, DAYS, DAYS)
def test_after_a_rehire_nothing_is_ended_no_row_is_lost_and_the_next_ending_rules(
    rows: list[StatusRow], starts_on: str, ends_on: str
) -> None:
    after = written(rows, history(*rows).again(starts_on))
    assert history(*after).ended_on is None
    assert history(*after).again(starts_on) is None
    assert after[: len(rows)] == rows
    if not converted(after):
        assert history(*written(after, *history(*after).end(ends_on, {}))).ended_on is not None


@given(ENDED, DAYS)
def test_the_start_of_a_stint_that_was_rehired_into_is_not_moved_into_the_one_before(
    rows: list[StatusRow], starts_on: str
) -> None:
    rehire = history(*rows).again(starts_on)
    assert rehire is not None
    after = written(rows, rehire)
    assert history(*after).start(starts_on) is None


@given(TABLES, DAYS)
def test_after_an_ending_the_stint_is_ended_and_ending_again_writes_nothing(rows: list[StatusRow], ends_on: str) -> None:
    assume(not converted(rows))
    after = written(rows, *history(*rows).end(ends_on, {}))
    assert history(*after).ended_on is not None
    assert history(*after).end(ends_on, {}) == []


@given(TABLES, DAYS)
def test_starting_twice_writes_once(rows: list[StatusRow], starts_on: str) -> None:
    change = start_or_none(history(*rows), starts_on)
    after = written(rows, change)
    assert start_or_none(history(*after), starts_on) is None


@given(TABLES, DAYS, st.randoms())
def test_the_order_in_which_rows_arrive_does_not_matter(rows: list[StatusRow], day: str, random: object) -> None:
    assume(not converted(rows))
    shuffled = sorted(rows, key=lambda _: random.random())  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert history(*shuffled).end(day, {}) == history(*rows).end(day, {})
    assert start_or_none(history(*shuffled), day) == start_or_none(history(*rows), day)
