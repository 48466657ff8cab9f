"""Greenhouse's place in the reading of changes, and its settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.greenhouse.cursor import MAX_KEPT, STREAMS, Delivered, Place
from connectors.greenhouse.settings import GreenhouseSettings
from connectors.records.cursors import Change
from workforce.errors import Refused

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OVERLAP = timedelta(minutes=5)


def delivered(n: int, *, minutes_ago: int = 0, hired: bool = True) -> Delivered:
    return Delivered(Change.of(str(n), NOON - timedelta(minutes=minutes_ago), {"status": hired}), hired)


@given(st.integers(0, 2), st.lists(st.text(max_size=9), max_size=4).map(tuple), st.none() | st.text(max_size=20))
def test_a_place_comes_back_from_its_text(stream: int, hired: tuple[str, ...], page: str | None) -> None:
    place = Place(stream=stream, hired=hired, next=page)
    assert Place.decode(place.encode()) == place


@pytest.mark.parametrize(
    "text", ['[1, {"stream": 3}]', '[1, {"stream": -1}]', '[1, {"stream": "1"}]', '[1, {"hired": [7]}]', "x"]
)
def test_a_text_of_somebody_else_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="cursor"):
        Place.decode(text)


def test_a_reading_walks_all_three_lists_and_the_next_starts_an_overlap_before_it_began() -> None:
    place = Place(floor=NOON - timedelta(days=1))
    for stream in range(len(STREAMS)):
        assert (place.stream, place.next) == (stream, None)
        served_at = NOON + timedelta(minutes=stream)
        place = place.following([], served_at=served_at, overlap=OVERLAP, next_page="more")
        assert (place.stream, place.next, place.is_at_rest) == (stream, "more", False)
        place = place.following([], served_at=served_at, overlap=OVERLAP)
    assert (place.stream, place.is_at_rest) == (0, True)
    assert place.floor == NOON - OVERLAP


def test_the_first_reading_of_everything_needs_the_applications_alone() -> None:
    assert Place().following([], served_at=NOON, overlap=OVERLAP).is_at_rest


def test_what_was_told_by_one_list_is_not_told_by_the_next_however_old_it_is() -> None:
    old = delivered(1, minutes_ago=600)
    place = Place(floor=NOON - timedelta(hours=1)).following([old], served_at=NOON, overlap=OVERLAP)
    assert (place.stream, place.news([old], NOON)) == (1, [])


def test_what_cannot_come_up_again_is_forgotten() -> None:
    old, fresh = delivered(2, minutes_ago=6), delivered(1, minutes_ago=3)
    place = Place().following([old, fresh], served_at=NOON, overlap=OVERLAP)
    assert set(place.seen) == {fresh.digest}
    assert place.hired == ("2", "1")


def test_an_application_that_is_not_hired_any_more_is_dropped_and_the_memory_is_bounded() -> None:
    place = Place().following([delivered(n) for n in range(MAX_KEPT + 5)], served_at=NOON, overlap=OVERLAP)
    place = place.following([delivered(MAX_KEPT, hired=False)], served_at=NOON, overlap=OVERLAP)
    assert len(place.hired) == MAX_KEPT - 1
    assert str(MAX_KEPT) not in place.hired
    assert "0" not in place.hired


def test_the_place_stays_small_however_many_are_told() -> None:
    place = Place()
    for start in range(0, 30_000, 500):
        told = [delivered(n) for n in range(start, start + 500)]
        place = place.following(told, served_at=NOON, overlap=OVERLAP, next_page="more")
    assert len(place.encode()) < 500_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://harvest.greenhouse.io"},
        {"auth_url": "https://auth.greenhouse.io/token"},
        {"client_id": "with:colon"},
        {"sub": "someone"},
        {"contractor_field": "employment_type"},
        {"contractor_values": ["Contractor"]},
        {"changed_since": "2026-01-01T00:00:00"},
        {"page_size": 501},
    ],
)
def test_a_form_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GreenhouseSettings.model_validate({"client_id": "client", "client_secret": "client-secret", **wrong})
