"""Greenhouse's place in the reading of changes, and its settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.greenhouse.cursor import MAX_KEPT, Delivered, Place, version_of
from connectors.greenhouse.settings import GreenhouseSettings
from workforce.errors import Refused

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OVERLAP = timedelta(minutes=5)

instants = st.integers(-6 * 10**16, 2 * 10**17).map(
    lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)


@given(instants, instants, st.integers(-14, 14))
def test_versions_sort_as_their_instants_whatever_the_zone(one: datetime, other: datetime, hours: int) -> None:
    moved = other.astimezone(timezone(timedelta(hours=hours)))
    assert (version_of(one) < version_of(moved)) == (one < moved)


@given(
    st.builds(
        Place,
        since=st.none() | instants,
        began=st.none() | instants,
        stream=st.integers(0, 2),
        page=st.none() | st.text(max_size=20),
        seen=st.dictionaries(st.integers(1), st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3),
        hired=st.lists(st.integers(1), max_size=4),
    )
)
def test_a_place_comes_back_from_its_text(place: Place) -> None:
    assert Place.decode(place.encode()) == place


@given(st.text(max_size=40))
def test_a_text_of_somebody_else_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="cursor"):
        Place.decode("x" + text)


def test_a_reading_walks_all_three_lists_and_the_next_starts_an_overlap_before_it_began() -> None:
    place = Place(since=NOON - timedelta(days=1))
    for stream in (0, 1, 2):
        assert (place.stream, place.page) == (stream, None)
        place = place.after("more", NOON + timedelta(minutes=stream), OVERLAP)
        assert (place.page, place.is_at_rest) == ("more", False)
        place = place.after(None, NOON + timedelta(minutes=stream), OVERLAP)
    assert place.is_at_rest
    assert place.since == NOON - OVERLAP


def test_the_first_reading_of_everything_needs_the_applications_alone() -> None:
    assert Place().after(None, NOON, OVERLAP).is_at_rest


def test_what_cannot_come_up_again_is_forgotten() -> None:
    old, fresh = (Delivered(n, True, version_of(NOON - timedelta(minutes=n * 3)), "d") for n in (2, 1))
    place = Place().with_delivered([old, fresh]).after(None, NOON, OVERLAP)
    assert not place.is_news(fresh)
    assert set(place.seen) == {1}
    assert place.hired == [2, 1]


def test_an_application_that_is_not_hired_any_more_is_dropped_and_the_memory_is_bounded() -> None:
    told = [Delivered(n, True, "v", "d") for n in range(MAX_KEPT + 5)]
    place = Place().with_delivered(told).with_delivered([Delivered(MAX_KEPT, False, "w", "d")])
    assert len(place.hired) == MAX_KEPT - 1
    assert MAX_KEPT not in place.hired
    assert 0 not in place.hired


def test_the_place_stays_small_however_many_are_told() -> None:
    place = Place()
    for start in range(0, 30_000, 500):
        place = place.with_delivered(Delivered(n, True, version_of(NOON), "0" * 16) for n in range(start, start + 500))
    assert len(place.encode()) < 500_000
    assert not place.is_news(Delivered(29_999, True, version_of(NOON), "0" * 16))


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
