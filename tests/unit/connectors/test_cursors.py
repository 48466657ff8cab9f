"""The place in a polled feed: nothing is lost or told twice while records change, whatever the clock's grain, and it stays small."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connectors.records.cursors import MAX_SEEN, Change, Cursor, Feed, digest_of
from connectors.salesforce.source import Place
from workforce.errors import Refused

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OVERLAP = timedelta(seconds=300)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Unsorted(Feed):
    is_sorted: ClassVar[bool] = False


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def state(n: int, seconds: float, revision: int = 0) -> Change:
    return Change.of(f"R{n}", at(seconds), {"revision": revision})


@dataclass
class Vendor:
    """Records whose stamps are cut off to ``grain``, shown ``late`` after their change, in pages of a query as it was when it began."""

    grain: timedelta
    is_sorted: bool
    now: datetime = START
    held: dict[int, list[tuple[datetime, Change]]] = field(default_factory=dict)
    listing: list[Change] = field(default_factory=list)

    def stamp(self) -> datetime:
        return START + (self.now - START) // self.grain * self.grain

    def change(self, n: int, revision: int, late: timedelta) -> None:
        """A record is locked until its change shows. Late is what begins a tick: within one, no vendor could tell which came last."""
        shown_at, last = self.held.get(n, [(START, None)])[-1]
        if shown_at <= self.now:
            change = Change.of(f"R{n}", self.stamp(), {"revision": revision})
            shows_at = self.now if last is not None and last.modified == change.modified else self.now + late
            self.held.setdefault(n, []).append((shows_at, change))

    def shown(self) -> list[Change]:
        versions = ([change for shows_at, change in held if shows_at <= self.now] for held in self.held.values())
        return [shown[-1] for shown in versions if shown]

    def page(self, place: Feed, size: int) -> tuple[list[Change], str | None]:
        if place.next is None:
            since = place.since if self.is_sorted else place.floor
            rows = [one for one in self.shown() if since is None or one.modified >= since]
            self.listing = sorted(rows, key=lambda one: (one.modified, one.record.external_id)) if self.is_sorted else rows
        start = int(place.next or 0)
        following = start + size
        return self.listing[start:following], str(following) if following < len(self.listing) else None


class FeedWhileRecordsChange(RuleBasedStateMachine):
    """Pages are read at any moments between changes. Who is told keeps what has a newer version, as the ledger does."""

    @initialize(
        grain=st.sampled_from([timedelta(microseconds=1), timedelta(milliseconds=1), SECOND]),
        shape=st.sampled_from([Feed, Unsorted]),
        size=st.integers(1, 4),
    )
    def begin(self, grain: timedelta, shape: type[Feed], size: int) -> None:
        self.vendor, self.shape, self.size = Vendor(grain, shape.is_sorted), shape, size
        self.forgets = False
        self.cursor: str | None = None
        self.revision = 0
        self.told: Counter[str] = Counter()
        self.known: dict[str, Change] = {}

    @rule(seconds=st.sampled_from([0.0003, 0.4, 1, 30, 200]))
    def time_passes(self, seconds: float) -> None:
        self.vendor.now += timedelta(seconds=seconds)

    @rule(n=st.integers(1, 9), late=st.sampled_from([0, 0, 0.5, 200, 290]))
    def a_record_changes(self, n: int, late: float) -> None:
        self.revision += 1
        self.vendor.now += self.vendor.grain if self.vendor.grain < SECOND else timedelta(0)
        self.vendor.change(n, self.revision, timedelta(seconds=late))

    @rule()
    def the_vendor_forgets_its_query(self) -> None:
        self.forgets = self.shape.is_sorted

    @rule()
    def a_page_is_read(self) -> None:
        self.read()

    def read(self) -> bool:
        place = self.shape.decode(self.cursor)
        if self.forgets:
            place, self.forgets = replace(place, next=None), False
        now = self.vendor.now
        states, next_page = self.vendor.page(place, self.size)
        news = place.news(states, now, grain=self.vendor.grain)
        is_through = next_page is None
        after = place.after(states, news, seen_until=now, overlap=OVERLAP, next_page=next_page, is_through=is_through)
        self.cursor = after.encode()
        for one in news:
            self.told[one.digest] += 1
            kept = self.known.get(one.record.external_id)
            if kept is None or kept.record.version < one.record.version:
                self.known[one.record.external_id] = one
        return is_through

    @invariant()
    def nothing_is_told_twice(self) -> None:
        assert not self.told or max(self.told.values()) == 1

    def teardown(self) -> None:
        if not hasattr(self, "vendor"):
            return
        self.vendor.now += timedelta(seconds=300)
        for _ in range(2):  # one that is under way, and one of its own
            while not self.read():
                pass
        assert self.known == {one.record.external_id: one for one in self.vendor.shown()}
        self.nothing_is_told_twice()


FeedWhileRecordsChange.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestFeedWhileRecordsChange = FeedWhileRecordsChange.TestCase


def test_a_second_change_within_one_tick_is_told() -> None:
    first = [state(1, 5.5, revision=1)]
    place = Feed().after(first, first, seen_until=START, overlap=OVERLAP)
    assert place.news([state(1, 5.5, revision=1), state(1, 5.5, revision=2)], START) == [state(1, 5.5, revision=2)]


@pytest.mark.parametrize(("seconds", "waits"), [(7, True), (7.5, False), (6, False), (9, False)])
def test_the_present_second_waits_where_no_fraction_is_told_and_one_of_the_future_does_not(seconds: float, waits: bool) -> None:
    assert (Feed().news([state(1, seconds)], at(7.6)) == []) is waits


def test_a_later_page_may_be_older_than_the_clock() -> None:
    place = Feed().after([], [], seen_until=at(7), overlap=OVERLAP, next_page="2", is_through=False)
    assert place.news([state(1, 7), state(2, 6)], at(60)) == [state(2, 6)]


def test_what_waits_is_above_the_next_floor_whatever_the_overlap() -> None:
    place = Feed().after([state(1, 7)], [], seen_until=at(7.6), overlap=timedelta(0))
    assert place.news([state(1, 7)], at(9)) == [state(1, 7)]


def test_the_place_forgets_what_is_settled() -> None:
    told = [state(n, n) for n in range(500)]
    place = Feed().after(told, told, seen_until=START, overlap=OVERLAP)
    later = place.after([], [], seen_until=at(3600), overlap=OVERLAP)
    assert (later.seen, later.floor) == ({}, at(3600) - OVERLAP)


@pytest.mark.parametrize("is_through", [True, False])
def test_the_place_stays_small_after_a_mass_update(is_through: bool) -> None:
    told = [state(n, n / 1000) for n in range(MAX_SEEN + 500)]
    place = Unsorted().after(told, told, seen_until=START, overlap=OVERLAP, is_through=is_through)
    assert len(place.seen) == MAX_SEEN
    assert len(place.encode()) < 300_000


def test_within_a_pass_a_sorted_feed_remembers_only_what_may_come_again() -> None:
    told = [state(n, n) for n in range(400)]
    place = Feed().after(told, told, seen_until=at(2000), overlap=OVERLAP, next_page="2", is_through=False)
    assert set(place.seen) == {told[-1].digest}


def test_without_the_vendors_clock_a_pass_of_several_pages_loses_nothing() -> None:
    first, last = [state(1, 0)], [state(2, 1000)]
    place = Feed().after(first, first, seen_until=None, overlap=OVERLAP, next_page="2", is_through=False)
    changed_again = state(1, 400, revision=1)  # after its page was read; the next page is read later still
    place = place.after(last, last, seen_until=None, overlap=OVERLAP)
    assert place.since is None
    assert place.news([changed_again, *last], at(2000)) == [changed_again]


def test_a_floor_never_moves_back() -> None:
    place = Feed(floor=START).after([], [], seen_until=START - timedelta(days=1), overlap=OVERLAP)
    assert place.floor == START


def test_the_earliest_instant_has_no_earlier_one() -> None:
    earliest = datetime.min.replace(tzinfo=UTC)
    assert Feed().after([], [], seen_until=earliest, overlap=OVERLAP).floor == earliest


def test_digests_tell_contents_apart_and_not_the_order_of_their_names() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 1, "b": "2"})
    assert Change.of("1", START, {"a": 1}).digest != Change.of("2", START, {"a": 1}).digest


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_versions_sort_as_their_instants(one: datetime, other: datetime) -> None:
    versions = [Change.of("1", moment, {}).record.version for moment in (one, other)]
    assert (versions[0] < versions[1]) == (one < other)


instants = st.datetimes(timezones=st.just(UTC))


@given(
    st.builds(
        Feed,
        floor=st.none() | instants,
        seen=st.dictionaries(st.text(max_size=16), instants, max_size=5),
        began=st.none() | instants,
        reached=st.none() | instants,
        next=st.none() | st.text(max_size=20),
    )
)
def test_a_place_comes_back_from_its_text(place: Feed) -> None:
    assert Feed.decode(place.encode()) == place


@given(st.text(max_size=60))
@example("")
@example("[]")
@example("null")
@example("not a cursor")
@example('[1, {"seen": {"a": "yesterday"}}]')
@example('[1, {"seen": {"a": "2026-11-22T12:00:00"}}]')
@example('[1, {"seen": {"a": "0001-01-01T00:00:00+23:00"}}]')
@example('[1, {"floor": 5}]')
@example('[1, {"surprise": null}]')
@example("{}")
@example("[1]")
@example("[2, {}]")
@example("[" * 100_000)
@example("\ud800")
def test_a_cursor_that_is_none_of_ours_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        Feed.decode(text)
    assert (caught.value.cause, caught.value.field) == ("bad_cursor", "cursor")


@pytest.mark.parametrize("address", ["@evil.example/", "/services/data/v59.0/query/1@evil", "https://evil.example/"])
def test_a_subclass_may_ask_more_of_a_field(address: str) -> None:
    assert Place.decode(Place(next="/services/data/v59.0/query/1-2000").encode()).next == "/services/data/v59.0/query/1-2000"
    with pytest.raises(Refused):
        Place.decode(Feed(next=address).encode())


def test_the_beginning_has_no_text() -> None:
    assert Feed.decode(None) == Feed()


def test_any_frozen_dataclass_can_be_a_place() -> None:
    @dataclass(frozen=True, slots=True)
    class Shelf(Cursor):
        known: frozenset[str] = frozenset()
        after: str | None = None

    shelf = Shelf(frozenset({"b", "a"}), "page 2")
    assert Shelf.decode(shelf.encode()) == shelf
