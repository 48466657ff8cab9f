"""Lists that come in pages: to the end, once, and whatever moves meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records.paging import Position, every_page, until_nothing_new
from workforce.errors import Refused, RetryLater


def test_every_page_is_read_until_none_follows() -> None:
    pages = {None: ("a", "2"), "2": ("b", "3"), "3": ("c", "")}
    assert [page[0] for page in every_page("vendor", pages.__getitem__, lambda page: page[1])] == ["a", "b", "c"]


def test_a_page_that_leads_back_is_no_end() -> None:
    pages = {None: "2", "2": "3", "3": "2"}
    with pytest.raises(RetryLater) as caught:
        list(every_page("vendor", pages.__getitem__, lambda page: page))
    assert caught.value.cause == "circular_pages"


def test_pages_are_asked_for_only_when_they_are_wanted() -> None:
    asked: list[str | None] = []

    def read(place: str | None) -> str:
        asked.append(place)
        return "next"

    next(iter(every_page("vendor", read, lambda page: page)))
    assert asked == [None]


def test_numbered_pages_end_with_one_that_brings_nothing_new() -> None:
    asked: list[int] = []

    def read(number: int) -> list[str]:
        asked.append(number)
        return [["a", "b"], ["b", "c"], ["c"], ["d"]][number - 1]

    assert list(until_nothing_new(read, str)) == ["a", "b", "c"]
    assert asked == [1, 2, 3]
    assert list(until_nothing_new(lambda number: [], str)) == []


@given(st.data())
def test_nothing_that_stays_is_lost_from_a_list_that_loses_entries_while_it_is_read(data: st.DataObject) -> None:
    entries = [str(n) for n in range(data.draw(st.integers(min_value=0, max_value=25)))]
    size = data.draw(st.integers(min_value=2, max_value=6))
    stays, found = set(entries), list[str]()
    position: Position | None = Position()
    while position is not None:
        for gone in data.draw(st.lists(st.sampled_from(entries), max_size=2)) if entries else []:
            entries = [one for one in entries if one != gone]
            stays.discard(gone)
        page = entries[position.index - 1 :][:size]
        fresh, position = position.following("vendor", page, len(entries)) if page or not entries else ([], Position())
        found += fresh
    assert stays <= set(found)


def test_an_empty_page_before_the_end_is_no_end() -> None:
    with pytest.raises(RetryLater) as caught:
        Position().following("vendor", [], 3)
    assert caught.value.cause == "missing_page"


def test_pages_of_one_cannot_be_followed() -> None:
    _, second = Position().following("vendor", ["a"], 3)
    assert second is not None
    with pytest.raises(Refused) as caught:
        second.following("vendor", ["a"], 3)
    assert caught.value.cause == "no_paging"


def test_each_page_counts_so_that_a_list_without_end_ends() -> None:
    position: Position | None = Position()
    for turn in range(1, 5):
        assert position is not None
        assert position.turn == turn
        _, position = position.following(
            "vendor", [f"{turn}a", f"{turn}b"] if turn == 1 else [position.anchor or "", f"{turn}b"], 99
        )
