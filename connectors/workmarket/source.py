"""Assignments as a source of changes.

The list is paged by offset, and an offset skips what moves up while it is read. So it is read newest first (a change then moves others
down, which repeats them), and each part overlaps the one before. A part that shows nothing of the one before is not trusted: the poll ends
there, and the next one reads from where this one began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from connectors.workmarket.client import WorkMarketClient
from connectors.workmarket.cursor import Cursor
from connectors.workmarket.records import SYSTEM, Item
from workforce.errors import NotFound, RetryLater
from workforce.ports import ChangePage, SourceRecord

OVERLAP = 10
ATTEMPTS = 5


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
        horizon = (place.since if place.newest is None else place.newest) - self._client.settings.overlap_ticks
        place = replace(place, told={one: modified for one, modified in told.items() if modified >= horizon})
        return ChangePage(records, place.encode(), complete=place.newest is None)

    def read(self, external_id: str) -> SourceRecord:
        """The assignment as it is now. Raises ``NotFound``."""
        assignment, values = self._client.assignment(external_id)
        return _record(assignment, values)

    def _current(self, item: Item) -> tuple[SourceRecord | None, int]:
        """The record; one without a usable time of change has that of the list, and is for the mapping to judge."""
        try:
            values = self._client.values(item.id)
        except NotFound:  # deleted meanwhile, or not there yet: then a later poll shows it
            return None, 0
        modified = values.get("last_modified_on")
        item = item if type(modified) is not int else item.model_copy(update={"last_modified_on": modified})
        return _record(item, values), item.last_modified_on


def part(client: WorkMarketClient, place: Cursor) -> tuple[Cursor, list[Item], int]:
    """The next part of the list without what the one before showed, the place behind it, and the vendor's clock.

    ``newest`` is ``None`` behind the last part. So it is, with ``since`` as it was, behind one that is not trusted.
    """
    listing, clock = client.updated(place.since, place.start)
    items = listing.data
    fresh = [item for item in items if place.tail.get(item.id) != item.last_modified_on]
    is_end_of_one = not items and len(place.tail) == 1
    if place.start and len(fresh) == len(items) and not is_end_of_one:
        return replace(place, start=0, newest=None, tail={}), [], clock
    newest = place.newest
    if newest is None:
        newest = min(max((item.last_modified_on for item in items), default=place.since), clock)
    shrinks = not fresh and len(items) < len(place.tail)
    if not items or (shrinks if listing.total is None else place.start + len(items) >= listing.total):
        since = max(newest - client.settings.overlap_ticks, 0) if items or place.start else place.since
        return replace(place, since=since, start=0, newest=None, tail={}), fresh, clock
    tail = {item.id: item.last_modified_on for item in items}
    return replace(place, start=place.start + _step(items), newest=newest, tail=tail), fresh, clock


def _step(items: Sequence[Item]) -> int:
    """How far the next part starts behind this one: before the last of it, and before all that share the last one's time.

    Nobody says in which order those are that share a time, nor that it is the same in the next part.
    """
    tied = next(at for at, item in enumerate(items) if item.last_modified_on == items[-1].last_modified_on)
    return max(min(len(items) - OVERLAP, tied or len(items)), 1)


def every_item(client: WorkMarketClient) -> Iterator[Item]:
    """The whole list. Raises ``RetryLater`` when it moves faster than it can be read."""
    for _ in range(ATTEMPTS):
        place, is_first = Cursor(), True
        while is_first or place.newest is not None:
            before, is_first = place, False
            place, items, _clock = part(client, place)
            yield from items
        was_not_trusted = before.start and place.since == before.since
        if not was_not_trusted:
            return
    raise RetryLater(f"{SYSTEM}: the list of assignments changes faster than it can be read", cause="moving_list")


def _record(item: Item, values: dict[str, Any]) -> SourceRecord:
    return SourceRecord(item.id, f"{item.last_modified_on:015d}", values)
