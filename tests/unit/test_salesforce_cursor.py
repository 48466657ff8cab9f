"""The place in Salesforce's feed: nothing is lost or told twice, whatever is committed late, and it stays small."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.salesforce.cursor import MAX_SEEN, Place
from connectors.salesforce.records import Row
from workforce.errors import Refused

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OVERLAP = timedelta(seconds=300)


def row(n: int, second: float, revision: int = 0) -> Row:
    return Row(id=f"a0P{n:012d}AAA", modified=START + timedelta(seconds=second), values={"Revision__c": revision})


def told_by_polls(rows: list[tuple[float, Row]], polls: list[float], page_size: int) -> list[str]:
    """What polls tell of rows that each show from a moment on. Each poll reads to its end, its cursor stored after each page."""
    told: list[str] = []
    cursor: str | None = None
    for moment in sorted(polls):
        place = Place.decode(cursor)
        since = place.since
        visible = [one for shows_at, one in rows if shows_at <= moment and (since is None or one.modified >= since)]
        visible.sort(key=lambda one: (one.modified, one.id))
        pages = [visible[at : at + page_size] for at in range(0, len(visible), page_size)] or [[]]
        for number, page in enumerate(pages, start=1):
            place = Place.decode(cursor)
            told += [one.digest for one in place.unseen(page)]
            next_page = None if number == len(pages) else f"/services/data/v59.0/query/{number}"
            now = START + timedelta(seconds=moment)
            cursor = place.after(page, next_page=next_page, told_at=now, overlap=OVERLAP).encode()
    return told


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 280)), max_size=40),
    st.lists(st.integers(0, 3600), max_size=12),
    st.integers(1, 7),
)
def test_every_change_is_told_once_however_late_within_the_overlap_it_is_committed(
    changes: list[tuple[int, int]], polls: list[int], page_size: int
) -> None:
    rows = [(second + late, row(n, second)) for n, (second, late) in enumerate(changes)]
    told = told_by_polls([(float(at), one) for at, one in rows], [*map(float, polls), 4000.0], page_size)
    assert sorted(told) == sorted(one.digest for _, one in rows)


def test_a_second_change_within_one_tick_is_told() -> None:
    place = Place().after([row(1, 5, revision=1)], next_page=None, told_at=START, overlap=OVERLAP)
    assert place.unseen([row(1, 5, revision=1), row(1, 5, revision=2)]) == [row(1, 5, revision=2)]


def test_the_place_forgets_what_is_settled() -> None:
    place = Place().after([row(n, n) for n in range(500)], next_page=None, told_at=START, overlap=OVERLAP)
    later = place.after([], next_page=None, told_at=START + timedelta(hours=1), overlap=OVERLAP)
    assert (later.seen, later.floor) == ({}, START + timedelta(hours=1) - OVERLAP)


def test_the_place_stays_small_after_a_mass_update() -> None:
    rows = [row(n, n / 1000) for n in range(MAX_SEEN + 500)]
    place = Place().after(rows, next_page=None, told_at=START, overlap=OVERLAP)
    assert len(place.seen) == MAX_SEEN
    assert len(place.encode()) < 300_000


def test_without_salesforces_clock_a_pass_of_several_pages_loses_nothing() -> None:
    place = Place().after([row(1, 0)], next_page="/services/data/v59.0/query/2", told_at=None, overlap=OVERLAP)
    changed_again = row(1, 400, revision=1)  # after its page was read; the next page is read later still
    place = place.after([row(2, 1000)], next_page=None, told_at=None, overlap=OVERLAP)
    assert place.since is None or place.since <= changed_again.modified
    assert place.unseen([changed_again, row(2, 1000)]) == [changed_again]


def test_a_floor_never_moves_back() -> None:
    place = Place(floor=START).after([], next_page=None, told_at=START - timedelta(days=1), overlap=OVERLAP)
    assert place.floor == START


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "not a cursor",
        '{"next": null}',
        '{"next": null, "seen": {"yesterday": ["a"]}}',
        '{"next": null, "seen": {"2026-11-22T12:00:00": ["a"]}}',
        '{"next": "@evil.example/", "seen": {}}',
        '{"next": "/services/data/v59.0/query/1@evil", "seen": {}}',
        '{"next": null, "seen": {}, "floor": 5}',
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        Place.decode(text)
    assert caught.value.cause == "bad_cursor"
