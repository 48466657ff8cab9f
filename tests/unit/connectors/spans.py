"""Directories of a test that are read in spans of stamps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

from connectors.protocols.ldapv3.client import LdapV3Client
from connectors.protocols.ldapv3.entries import Entry, Filter
from connectors.protocols.ldapv3.listing import next_page

PLACES: dict[str, Any] = {
    "bind_dn": "cn=stint,dc=client,dc=example",
    "bind_password": "secret",
    "people_base": "ou=people,dc=client,dc=example",
    "groups_base": "ou=groups,dc=client,dc=example",
}


class Spans(ABC):
    """What a reading asks of a directory. ``page`` is how many entries fit on a page."""

    page: int

    @abstractmethod
    def search(self, base: str, condition: Filter, attributes: Sequence[str]) -> list[Entry]:
        """All that meet the span in ``condition``."""

    def first_page(self, base: str, condition: Filter, attributes: Sequence[str]) -> tuple[list[Entry], bool]:
        """As many as fit, and whether that is all."""
        found = self.search(base, condition, attributes)
        return found[: self.page], len(found) <= self.page


def read_on(directory: Spans, cursor: str | None) -> tuple[list[Entry], str, bool]:
    """The next page, where to go on, and whether it was the last."""
    listed = next_page(cast("LdapV3Client", cast("Any", directory)), cursor)
    return list(listed.entries), listed.position.encode(), listed.complete


def read_all(directory: Spans, cursor: str | None = None) -> tuple[list[Entry], str]:
    """Every page from ``cursor`` on."""
    found: list[Entry] = []
    for _ in range(10_000):
        more, cursor, complete = read_on(directory, cursor)
        found += more
        if complete:
            return found, cursor
    raise AssertionError("it never completes")
