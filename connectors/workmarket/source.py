"""Assignments as a source of changes.

The list is paged by offset, and an offset skips what moves up while it is read. So it is read newest first (a change then moves others
down, which repeats them), each part overlaps the one before, and a part that shows nothing of the one before is not trusted: the
reading starts again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from connectors.workmarket.client import WorkMarketClient
from connectors.workmarket.cursor import Cursor
from connectors.workmarket.records import SYSTEM, Assignment, Item
from workforce.errors import NotFound, RetryLater
from workforce.ports import ChangePage, SourceRecord

OVERLAP = 10
RESTARTS = 5


class WorkMarketSource:
    """The ``RecordSource`` capability. A record is the assignment as ``get`` shows it; its version the time of its last change.

    What changed within the vendor's current tick is told by a later poll: until the tick is over it may change again unseen.
    """

    def __init__(self, client: WorkMarketClient) -> None:
        self._client = client

    def changes(self, cursor: str | None) -> ChangePage:
        """Assignments changed since ``cursor``, a part of the list at a time. Raises ``Misconfigured`` for a wrong time_unit."""
        place, items, clock = part(self._client, Cursor.decode(cursor))
        told, records = dict(place.told), []
        for item in items:
            if told.get(item.id) == item.last_modified_on or item.last_modified_on >= clock:
                continue
            record, modified = self._current(item)
            if record is not None and modified < clock and told.get(item.id) != modified:
                told[item.id] = modified
                records.append(record)
        horizon = (place.began or place.since) - self._overlap
        place = replace(place, told={one: modified for one, modified in told.items() if modified >= horizon})
        return ChangePage(records, place.encode(), complete=place.began is None)

    def read(self, external_id: str) -> SourceRecord:
        """The assignment as it is now. Raises ``NotFound``."""
        return _record(*self._client.assignment(external_id))

    @property
    def _overlap(self) -> int:
        return self._client.settings.overlap_seconds * self._client.settings.ticks_per_second

    def _current(self, item: Item) -> tuple[SourceRecord | None, int]:
        try:
            assignment, values = self._client.assignment(item.id)
        except NotFound:  # deleted meanwhile, or not there yet: then a later poll shows it
            return None, 0
        return _record(assignment, values), assignment.last_modified_on


def part(client: WorkMarketClient, place: Cursor) -> tuple[Cursor, list[Item], int]:
    """The next part of the list, the place behind it, and the vendor's clock. ``began`` is ``None`` behind the last part."""
    listing, clock = client.updated(place.since, place.start)
    items = list(listing.data)
    began = clock if place.began is None else place.began
    shows_the_part_before = any(place.tail.get(item.id) == item.last_modified_on for item in items)
    if place.start and not shows_the_part_before:
        return replace(place, start=0, began=clock, tail={}), [], clock
    if not items or (listing.total is not None and place.start + len(items) >= listing.total):
        overlap = client.settings.overlap_seconds * client.settings.ticks_per_second
        return replace(place, since=max(began - overlap, 0), start=0, began=None, tail={}), items, clock
    tail = {item.id: item.last_modified_on for item in items}
    return replace(place, start=place.start + max(1, len(items) - OVERLAP), began=began, tail=tail), items, clock


def every_item(client: WorkMarketClient) -> Iterator[Item]:
    """The whole list. Raises ``RetryLater`` when it moves faster than it can be read."""
    place, restarts = Cursor(), 0
    while restarts < RESTARTS:
        place, items, _ = part(client, place)
        yield from items
        if place.began is None:
            return
        restarts += place.start == 0
    raise RetryLater(f"{SYSTEM}: the list of assignments changes faster than it can be read", cause="moving_list")


def _record(assignment: Assignment, values: dict[str, Any]) -> SourceRecord:
    return SourceRecord(assignment.id, f"{assignment.last_modified_on:015d}", values)
