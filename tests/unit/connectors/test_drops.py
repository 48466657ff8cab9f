"""A drop of files: each is picked up whole, in its order, and once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.protocols.drops import Drop, Order, digest
from connectors.protocols.folders import Entry
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater

A_DAY_US = 86400 * 1_000_000
NOW_US = 20_000 * A_DAY_US


@dataclass
class Shelf:
    """Folders in memory: (folder, name) → (content, time in microseconds)."""

    files: dict[tuple[str, str], tuple[bytes, int]] = field(default_factory=dict)
    loses_answers: bool = False

    def entries(self, folder: str) -> list[Entry]:
        """What lies there."""
        return [Entry(name, len(content), at) for (place, name), (content, at) in self.files.items() if place == folder]

    def read(self, folder: str, name: str) -> bytes:
        """A file's content."""
        return self.files[folder, name][0]

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Write a file."""
        self.files[folder, name] = (content, NOW_US)

    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        """Move a file; the time of a moved one is its own."""
        self.files[to_folder, to_name] = self.files.pop((folder, name))
        if self.loses_answers:
            raise OutcomeUnknown("no answer")

    def close(self) -> None:
        """Nothing is open."""


def a_drop(
    shelf: Shelf, *, archive: str | None = "done", order: Order = Order.MODIFIED, ready: str | None = None,
    sleep: Callable[[float], None] = lambda _: None,
) -> Drop:  # fmt: skip
    return Drop(shelf, "in", archive, "*.csv", order, ready, 2.0, sleep, lambda: NOW_US / 1_000_000)


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,4}\.csv", fullmatch=True), st.integers(0, NOW_US), max_size=8), st.sampled_from(Order)
)
def test_files_come_in_their_order_and_keep_it_in_the_archive(times: dict[str, int], order: Order) -> None:
    shelf = Shelf({("in", name): (name.encode(), at) for name, at in times.items()})
    drop = a_drop(shelf, order=order)
    before = drop.exports()
    expected = sorted(times, key=lambda name: name if order is Order.NAME else (times[name], name))
    assert [export.entry.name for export in before] == expected
    for export in before:
        drop.put_away(export, digest(drop.content(export)))
    assert drop.exports() == []
    assert [(export.identity, export.key) for export in drop.archived()] == [(export.identity, export.key) for export in before]


def test_a_file_that_grows_waits_and_so_do_those_behind_it() -> None:
    shelf = Shelf({("in", name): (b"x", at) for at, name in enumerate(("1.csv", "2.csv", "3.csv"))})

    def grow(seconds: float) -> None:
        assert seconds == 2.0
        shelf.files["in", "2.csv"] = (shelf.files["in", "2.csv"][0] + b"x", 1)

    drop = a_drop(shelf, sleep=grow)
    assert [export.entry.name for export in drop.exports()] == ["1.csv"]


@pytest.mark.parametrize(("sign_at", "is_there"), [(6, True), (5, True), (4, False)])
def test_a_sign_that_is_older_than_the_file_is_another_file_s(sign_at: int, is_there: bool) -> None:
    shelf = Shelf({("in", "1.csv"): (b"x", 5), ("in", "1.csv.ok"): (b"", sign_at)})
    assert bool(a_drop(shelf, ready=".ok").exports()) is is_there


@pytest.mark.parametrize("name", [".1.csv", "1.csv.part", "1.txt", "1\n.csv"])
def test_what_is_unfinished_hidden_or_no_export_is_passed_over(name: str) -> None:
    assert a_drop(Shelf({("in", name): (b"x", 5)})).present() == []


def test_a_date_in_the_future_is_refused_where_dates_decide() -> None:
    shelf = Shelf({("in", "1.csv"): (b"x", NOW_US + A_DAY_US + 1)})
    with pytest.raises(Refused) as raised:
        a_drop(shelf).present()
    assert raised.value.cause == "dated_in_the_future"
    assert len(a_drop(shelf, order=Order.NAME).present()) == 1


def test_a_folder_of_too_many_files_is_a_fault_of_the_settings() -> None:
    shelf = Shelf({("in", f"{n}.csv"): (b"x", n) for n in range(2001)})
    with pytest.raises(Misconfigured) as raised:
        a_drop(shelf).present()
    assert (raised.value.cause, raised.value.field) == ("too_many_files", "archive")


def test_what_changes_while_it_is_read_is_read_later() -> None:
    shelf = Shelf({("in", "1.csv"): (b"x", 5)})
    drop = a_drop(shelf)
    (export,) = drop.exports()
    shelf.files["in", "1.csv"] = (b"longer", 5)
    with pytest.raises(RetryLater):
        drop.content(export)


def test_another_file_than_the_one_that_was_read_goes_back() -> None:
    shelf = Shelf({("in", "1.csv"): (b"x", 5)})
    drop = a_drop(shelf)
    (export,) = drop.exports()
    with pytest.raises(Refused) as raised:
        drop.put_away(export, digest(b"y"))
    assert raised.value.cause == "replaced_export"
    assert list(shelf.files) == [("in", "1.csv")]


@pytest.mark.parametrize(
    "act", [lambda drop, export: drop.put_away(export, digest(b"x")), lambda drop, export: drop.leave_out(export)]
)
def test_a_move_without_an_answer_is_looked_at_again(act: Callable[[Drop, object], None]) -> None:
    shelf = Shelf({("in", "1.csv"): (b"x", 5)}, loses_answers=True)
    drop = a_drop(shelf)
    (export,) = drop.exports()
    with pytest.raises(HubError) as raised:
        act(drop, export)
    assert type(raised.value) is RetryLater
    assert drop.exports() == []


def test_without_an_archive_files_stay() -> None:
    shelf = Shelf({("in", "1.csv"): (b"x", 5)})
    drop = a_drop(shelf, archive=None)
    (export,) = drop.exports()
    drop.put_away(export, digest(b"x"))
    assert (drop.exports(), drop.archived()) == ([export], [])
