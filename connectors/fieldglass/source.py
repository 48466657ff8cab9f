"""Work orders as a source of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Protocol

from connectors.fieldglass.records import Row
from connectors.fieldglass.settings import FieldglassSettings
from connectors.records.cursors import Feed
from connectors.records.instants import utc_now
from workforce.errors import Misconfigured
from workforce.ports import ChangePage, SourceRecord

MAX_ROWS = 100_000


class Downloads(Protocol):
    """What the source needs of the client."""

    settings: FieldglassSettings

    def changed(self, since: datetime | None, limit: int) -> list[Row]:
        """Rows modified at or after ``since``, sorted by that instant, at most about ``limit`` of them."""
        ...

    def work_order(self, work_order_id: str) -> Row:
        """One row as it is now."""
        ...


class FieldglassSource:
    """The ``RecordSource`` capability.

    Paging is by the last instant read and never by offset: an offset skips rows when others move while it is read. A row of the second
    that is now, where the vendor tells whole seconds, waits for the next poll: it may change once more without its version telling so.
    """

    def __init__(self, client: Downloads, *, now: Callable[[], datetime] = utc_now) -> None:
        self._client, self._now = client, now

    def changes(self, cursor: str | None) -> ChangePage:
        """Work orders changed since ``cursor``.

        Raises ``Misconfigured`` naming a missing column, or when a cut-off answer is not sorted; ``Refused`` naming the column of a bad row.
        """
        rows, place, complete = self.page(Feed.decode(cursor))
        return ChangePage([_record(row) for row in rows], place.encode(), complete=complete)

    def page(self, place: Feed) -> tuple[list[Row], Feed, bool]:
        """The rows behind ``place``, the place behind those, and whether that is the end.

        A sorted answer, cut off or not, shows everything up to its last instant, so each is a pass of its own. A row that is dated in the
        future does not count: the floor would move there, and hide every other until then.
        """
        settings = self._client.settings
        since, limit = place.since, settings.page_size
        while True:
            rows, now = self._client.changed(since, limit), self._now()
            asked_for = [row for row in rows if place.floor is None or row.modified >= place.floor]  # what it may not heed
            news, cut_off = place.news(asked_for, now), len(rows) >= limit
            if cut_off:
                self._require_sorted(rows)
            if news or not cut_off:
                last = max((row.modified for row in rows if row.modified <= now), default=None)
                after = place.after(rows, news, seen_until=last, overlap=settings.overlap, keep=MAX_ROWS)
                return news, after, not cut_off
            since, limit = self._further(rows, since, limit)

    def read(self, external_id: str) -> SourceRecord:
        """The work order as it is now. Raises ``NotFound``."""
        return _record(self._client.work_order(external_id))

    def _further(self, rows: Sequence[Row], since: datetime | None, limit: int) -> tuple[datetime | None, int]:
        """Where to look behind a cut-off answer of known rows: from its last instant or, if all share it, with more rows at once."""
        last = rows[-1].modified
        if since is None or last > since:
            return last, limit
        if limit >= MAX_ROWS:
            raise Misconfigured(
                f"page_size: more than {MAX_ROWS} work orders share one {self._client.settings.layout.modified_column!r}, or the "
                "download does not heed the modified-since parameter",
                field="page_size",
            )
        return since, limit * 2

    def _require_sorted(self, rows: Sequence[Row]) -> None:
        if any(earlier.modified > later.modified for earlier, later in pairwise(rows)):
            column = self._client.settings.layout.modified_column
            raise Misconfigured(
                f"layout: the download is not sorted by {column!r}; sort the connector by it, ascending",
                cause="layout_drift",
                field=column,
            )


def every_row(client: Downloads) -> Iterator[Row]:
    """The whole download, those of this very second too, each row in every version that it shows while it is read."""
    source, place, complete = FieldglassSource(client, now=lambda: datetime.max.replace(tzinfo=UTC)), Feed(), False
    while not complete:
        rows, place, complete = source.page(place)
        yield from rows


def _record(row: Row) -> SourceRecord:
    return SourceRecord(row.work_order_id, row.version, row.values)
