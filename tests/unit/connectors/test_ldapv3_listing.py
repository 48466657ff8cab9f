"""Reading all accounts in pieces: whatever the stamps are and whatever changes meanwhile, none is missed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.activedirectory.client import usn_clock
from connectors.activedirectory.dialect import ActiveDirectory
from connectors.protocols.ldapv3.entries import Entry, Filter
from connectors.protocols.ldapv3.listing import Position
from connectors.protocols.ldapv3.settings import LdapV3Settings
from tests.unit.connectors import spans
from tests.unit.connectors.spans import PLACES, Spans
from workforce.errors import Refused

_SPAN = re.compile(r"uSNChanged([<>])=(\d+)")


@dataclass
class Domain(Spans):
    """A domain controller that knows entries by their update sequence number alone. ``page`` is how many fit on a page."""

    stamps: dict[str, int]
    page: int
    name: str = "dc1"
    database: bytes = b"first"
    shows_stamps: bool = True
    latest: int = 0
    asked: int = 0
    dialect: ActiveDirectory = field(default_factory=ActiveDirectory)
    settings: LdapV3Settings = field(default_factory=lambda: LdapV3Settings(url="ldap://dc1.client.example", **PLACES))

    def change(self, who: str) -> None:
        """Give it the next number, as every change does."""
        self.latest = max([self.latest, *self.stamps.values()]) + 1
        self.stamps[who] = self.latest

    def search(self, base: str, condition: Filter, attributes: Sequence[str]) -> list[Entry]:
        """All that meet the span in ``condition``."""
        del base, attributes
        self.asked += 1
        span = {sign: int(number) for sign, number in _SPAN.findall(condition)}
        low, high = span[">"], span.get("<", 10**19)
        if not self.shows_stamps:
            return [Entry(who, {}) for who in sorted(self.stamps) if low == 0 and high == 10**19]
        return [Entry(who, {"uSNChanged": [b"%d" % stamp]}) for who, stamp in sorted(self.stamps.items()) if low <= stamp <= high]

    def clock(self) -> tuple[str, int]:
        """As its client tells it."""
        return usn_clock(self.entry, self.settings.suffix)

    def entry(self, dn: str, attributes: Sequence[str]) -> Entry | None:
        """The rootDSE, or the domain controller's own entry."""
        del attributes
        if dn:
            return Entry(dn, {"invocationId": [self.database]})
        latest = self.latest or max([0, *self.stamps.values()])
        return Entry("", {"dsServiceName": [self.name.encode()], "highestCommittedUSN": [b"%d" % latest]})


def read_on(domain: Domain, cursor: str | None) -> tuple[list[str], str, bool]:
    entries, further, complete = spans.read_on(domain, cursor)
    return [entry.dn for entry in entries], further, complete


def read_all(domain: Domain, cursor: str | None = None) -> tuple[list[str], str]:
    entries, further = spans.read_all(domain, cursor)
    return [entry.dn for entry in entries], further


stamps = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 5000), max_size=60)


@given(stamps=stamps, page=st.integers(1, 10))
def test_every_entry_is_given_once_wherever_its_stamp_lies(stamps: dict[str, int], page: int) -> None:
    found, _ = read_all(Domain(stamps, page))
    assert sorted(found) == sorted(stamps)


@given(stamps=stamps, page=st.integers(1, 5), changes=st.lists(st.lists(st.text("abcdefgh", min_size=1, max_size=2), max_size=3)))
def test_what_changes_while_it_is_read_is_never_missed(stamps: dict[str, int], page: int, changes: list[list[str]]) -> None:
    domain, seen, cursor = Domain(stamps, page), dict[str, int](), None
    for _ in range(10_000):
        more, cursor, complete = read_on(domain, cursor)
        seen |= {who: domain.stamps[who] for who in more}
        if complete:
            break
        for who in changes.pop() if changes else ():
            domain.change(who)
    for who in (who for group in changes for who in group):
        domain.change(who)
    later, _ = read_all(domain, cursor)
    seen |= {who: domain.stamps[who] for who in later}
    assert seen == domain.stamps


@given(stamp=st.integers(0, 10**9), count=st.integers(0, 40))
def test_a_bulk_import_under_one_stamp_is_given_whole(stamp: int, count: int) -> None:
    found, _ = read_all(Domain({f"e{n}": stamp for n in range(count)}, page=3))
    assert len(found) == count


def test_reading_a_dense_directory_costs_few_searches() -> None:
    domain = Domain({f"e{n}": 10**6 + n for n in range(10_000)}, page=500)
    read_all(domain)
    assert domain.asked < 100


def test_nothing_is_told_again_unless_it_changed() -> None:
    domain = Domain({f"e{n}": n + 1 for n in range(30)}, page=4)
    _, cursor = read_all(domain)
    domain.change("e7")
    found, _ = read_all(domain, cursor)
    assert set(found) - {"e29"} == {"e7"}  # the last one that was seen may come again


@pytest.mark.parametrize("other", [{"database": b"restored"}, {"database": b"", "name": "dc2"}])
def test_the_cursor_of_another_domain_controller_or_of_one_that_was_restored_begins_anew(other: dict[str, Any]) -> None:
    domain = Domain({f"e{n}": n + 1 for n in range(30)}, page=50)
    _, cursor = read_all(domain)
    found, _ = read_all(replace(domain, **other), cursor)
    assert len(found) == 30


def test_the_cursor_of_another_part_of_the_tree_begins_anew() -> None:
    domain = Domain({f"e{n}": n + 1 for n in range(30)}, page=50)
    _, cursor = read_all(domain)
    domain.settings = domain.settings.model_copy(
        update={"people_base": "OU=P,DC=other,DC=example", "groups_base": "OU=G,DC=other,DC=example"}
    )
    found, _ = read_all(domain, cursor)
    assert len(found) == 30


def test_a_server_that_has_not_come_as_far_as_the_cursor_is_read_from_the_beginning() -> None:
    domain = Domain({f"e{n}": n + 1 for n in range(30)}, page=50)
    _, cursor = read_all(domain)
    found, _ = read_all(Domain({f"e{n}": n + 1 for n in range(20)}, page=50), cursor)
    assert len(found) == 20


def test_a_stamp_of_the_future_hides_no_later_change() -> None:
    domain = Domain({"e1": 1, "e2": 2, "ahead": 10**6}, page=50, latest=2)
    _, cursor = read_all(domain)
    domain.stamps["e1"] = domain.latest = 3
    found, _ = read_all(domain, cursor)
    assert "e1" in found


def test_what_was_deleted_last_makes_nobody_read_everything_again() -> None:
    domain = Domain({f"e{n}": n + 1 for n in range(30)}, page=50)
    _, cursor = read_all(domain)
    domain.latest = 31
    del domain.stamps["e29"]
    _, cursor = read_all(domain, cursor)
    found, _ = read_all(domain, cursor)
    assert found == []


def test_where_access_rules_hide_the_stamps_everybody_is_read_every_time() -> None:
    domain = Domain({f"e{n}": n + 1 for n in range(30)}, page=4, shows_stamps=False)
    found, cursor = read_all(domain)
    assert len(found) == 30
    found, _ = read_all(domain, cursor)
    assert len(found) == 30


@pytest.mark.parametrize("forged", [{"low": -1}, {"low": 5, "width": -9}, {"low": 10**30}])
def test_a_position_that_no_reading_can_have_is_the_beginning(forged: dict[str, int]) -> None:
    domain = Domain({f"e{n}": n + 1 for n in range(30)}, page=50)
    _, cursor = read_all(domain)
    found, _ = read_all(domain, replace(Position.decode(cursor), **forged).encode())
    assert len(found) == 30


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"server":"dc1","low":1,"more":2}',
        '{"server":"dc1","low":"1"}',
        "20261122",
        '{"server":"d","low":1.5}',
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Refused) as caught:
        read_on(Domain({}, 1), cursor)
    assert caught.value.cause == "bad_cursor"
