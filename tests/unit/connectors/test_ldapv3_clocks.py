"""Reading changes by ``modifyTimestamp``, which several servers write by clocks that are off: none is missed, and few are told twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from connectors.ldap.dialects.openldap import OpenLdap
from connectors.ldap.settings import LdapSettings
from connectors.protocols.ldapv3.dialect import CLOCK_SKEW
from connectors.protocols.ldapv3.entries import Entry, Filter, generalized_time
from tests.unit.connectors.spans import PLACES, Spans, read_all

SKEW = int(CLOCK_SKEW.total_seconds())
START = 1_800_000_000
_SPAN = re.compile(r"(!\()?\(?modifyTimestamp>=(\d{14})Z")


@dataclass
class Replicas(Spans):
    """One directory on several servers. ``now`` is the true time; the hub's own clock shows ``hub`` seconds more."""

    now: int = START
    hub: int = 0
    page: int = 1000
    stamps: dict[str, int] = field(default_factory=dict)
    arriving: list[tuple[int, str, int]] = field(default_factory=list)
    dialect: OpenLdap = field(default_factory=OpenLdap)
    settings: LdapSettings = field(default_factory=lambda: LdapSettings(url="ldap://ldap.client.example", **PLACES))

    def change(self, who: str, *, clock: int = 0, lag: int = 0) -> None:
        """Change an entry on a server whose clock is ``clock`` seconds ahead; ours shows it ``lag`` seconds later."""
        self.arriving.append((self.now + lag, who, self.now + clock))

    def clock(self) -> tuple[str, int]:
        """As its client tells it."""
        return "dc=client", self.now + self.hub - SKEW

    def search(self, base: str, condition: Filter, attributes: Sequence[str]) -> list[Entry]:
        """What is here by now and meets the span in ``condition``."""
        del base, attributes
        for each in sorted(one for one in self.arriving if one[0] <= self.now):
            self.arriving.remove(each)
            _, who, stamp = each
            self.stamps[who] = max(stamp, self.stamps.get(who, 0))
        spans = [(bool(excluded), _seconds(text)) for excluded, text in _SPAN.findall(condition)]
        low, end = min((s for not_, s in spans if not not_), default=0), max((s for not_, s in spans if not_), default=10**12)
        held = sorted((who, stamp) for who, stamp in self.stamps.items() if low <= stamp < end)
        return [Entry(who, {"modifyTimestamp": [_text(stamp)]}) for who, stamp in held]


def _text(stamp: int) -> bytes:
    return generalized_time(datetime.fromtimestamp(stamp, UTC)).encode()


def _seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())


def read(replicas: Replicas, cursor: str | None) -> tuple[dict[str, int], str]:
    """Who is told, with the stamps that they had; and where to go on."""
    entries, further = read_all(replicas, cursor)
    return {entry.dn: replicas.dialect.stamp(entry) for entry in entries}, further


def imported(number: int = 40) -> tuple[Replicas, str]:
    """A directory into which many were put a minute ago, and the cursor of its first reading."""
    replicas = Replicas(page=10)
    for n in range(number):
        replicas.change(f"e{n}")
    replicas.now += 60
    told, cursor = read(replicas, None)
    assert len(told) == number
    return replicas, cursor


def test_an_import_is_told_once_more_and_then_no_longer() -> None:
    replicas, cursor = imported()
    replicas.now += 3600
    again, cursor = read(replicas, cursor)
    assert len(again) == 40, "an entry of another server may have arrived with a stamp as old"
    for _ in range(3):
        replicas.now += 3600
        told, cursor = read(replicas, cursor)
        assert told == {}


def test_while_it_is_young_it_is_told_again() -> None:
    replicas, cursor = imported()
    for _ in range(3):
        replicas.now += 60
        told, cursor = read(replicas, cursor)
        assert len(told) == 40


def test_after_it_is_settled_only_what_changed_is_told() -> None:
    replicas, cursor = imported()
    replicas.now += 3600
    _, cursor = read(replicas, cursor)
    replicas.change("e7")
    replicas.now += 3600
    told, cursor = read(replicas, cursor)
    assert set(told) == {"e7"}
    replicas.now += 3600
    told, cursor = read(replicas, cursor)
    assert set(told) == {"e7"}, "once more, like the import"
    replicas.now += 3600
    assert read(replicas, cursor)[0] == {}


def test_a_stamp_of_the_future_settles_nothing() -> None:
    replicas, cursor = imported()
    replicas.change("ahead", clock=10**7)
    for n in range(4):
        replicas.now += 3600
        replicas.change(f"e{n}")
        told, cursor = read(replicas, cursor)
        assert f"e{n}" in told


servers = st.lists(st.tuples(st.integers(-SKEW // 3, SKEW // 3), st.integers(0, SKEW // 3)), min_size=1, max_size=3)
waits = st.sampled_from([1, SKEW // 3, SKEW - 1, SKEW, 3 * SKEW])
steps = st.lists(st.tuples(st.sampled_from(["change", "read"]), waits, st.integers(0, 5), st.integers(0, 2)), max_size=40)


@given(hub=st.integers(-SKEW, 4 * SKEW), servers=servers, steps=steps)
def test_whatever_the_clocks_show_every_change_is_told(
    hub: int, servers: list[tuple[int, int]], steps: list[tuple[str, int, int, int]]
) -> None:
    replicas, cursor, seen = Replicas(hub=hub, page=3), None, dict[str, int]()
    for what, seconds, who, server in steps:
        if what == "change":
            clock, lag = servers[server % len(servers)]
            replicas.change(f"e{who}", clock=clock, lag=lag)
        else:
            told, cursor = read(replicas, cursor)
            seen |= told
        replicas.now += seconds
    replicas.now += SKEW
    told, _ = read(replicas, cursor)
    assert seen | told == replicas.stamps
