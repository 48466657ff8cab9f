"""Contracts as a source of changes, by comparison: Deel's list has no filter for what changed.

A cursor holds one short digest for each contract of the last pass, no content: of a closed contract as the list tells it, of an open one as
it is told when it is read. A pass lists every contract and tells those whose digest is new; so nothing is lost, whether or not Deel moves
``updated_at``. What the list dropped while it was being read is told once more by the next pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.deel.client import DeelClient
from connectors.deel.records import CLOSED, Listed, Stamped, digest, parse
from connectors.records.cursors import Cursor
from workforce.errors import Misconfigured, NotFound
from workforce.ports import ChangePage, SourceRecord

MAX_CONTRACTS = 20_000
"""Keeps a cursor below 650 kB."""


@dataclass(frozen=True, slots=True)
class Place(Cursor):
    """``known`` is the last pass, ``found`` what the pass under way has met, ``after`` where its next page begins."""

    known: frozenset[str] = frozenset()
    found: frozenset[str] = frozenset()
    after: str | None = None


class DeelSource:
    """The ``RecordSource`` capability. ``values`` are the contract as Deel tells it; versions are ordered by ``updated_at``."""

    def __init__(self, client: DeelClient) -> None:
        self._client = client

    def changes(self, cursor: str | None) -> ChangePage:
        """One page of a pass over all contracts. Raises ``Misconfigured`` beyond 20,000 contracts."""
        place = Place.decode(cursor)
        page = self._client.contracts(place.after)
        told: list[SourceRecord] = []
        found = set(place.found)
        for one, record in self._compared(page.data, place):
            if record is not None and one not in found:
                told.append(record)
            found.add(one)
        if len(found) > MAX_CONTRACTS:
            message = f"deel: more than {MAX_CONTRACTS} contracts; make an instance for each team and name it as team_id"
            raise Misconfigured(message, cause="too_many_contracts", field="team_id")
        after = page.page.cursor
        if page.data and after and after != place.after:
            return ChangePage(told, Place(place.known, frozenset(found), after).encode(), complete=False)
        return ChangePage(told, Place(frozenset(found)).encode())

    def read(self, external_id: str) -> SourceRecord:
        """The contract as it is now. Raises ``NotFound``."""
        return _record(self._client.contract(external_id))

    def _compared(self, rows: tuple[dict[str, Any], ...], place: Place) -> Iterator[tuple[str, SourceRecord | None]]:
        """The digest of each contract, and the contract where the digest is new."""
        for row in rows:
            listed = parse(Listed, row)
            reads_anyway = self._client.settings.reads_each_open_contract and listed.status not in CLOSED
            one = digest(row)
            if not reads_anyway and one in place.known:
                yield one, None
                continue
            try:
                contract = self._client.contract(listed.id)
            except NotFound:  # gone since it was listed, or not shown yet: the next pass tells
                continue
            one = digest(contract) if reads_anyway else one
            yield one, None if one in place.known else _record(contract)


def _record(contract: Mapping[str, Any]) -> SourceRecord:
    now = parse(Stamped, contract)
    return SourceRecord(now.id, now.updated_at.isoformat(timespec="microseconds"), contract)
