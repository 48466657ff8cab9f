"""Uploads for the other system: one file for each operation, each of one row, named for what it does.

What was created is known by our marker for good, because only the other system gives ids, and later. An upload says what we ask for;
whether it was done is read from the next export: nothing here takes an upload for a fact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from connectors.files.client import FilesClient
from connectors.files.source import FilesSource
from connectors.files.table import digest
from workforce.errors import Misconfigured, NotFound
from workforce.ports import StoredRecord


class FilesSink:
    """The ``RecordSink`` capability. A record's id is that of the exports, or our marker for those that we created."""

    def __init__(self, client: FilesClient) -> None:
        self._client, self._layout = client, client.settings.layout
        self._source = FilesSource(client)

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """The record that carries ``marker`` in the exports, or else waits in an upload."""
        del values
        self._marker_column()
        try:
            return [self.read(marker)]
        except NotFound:
            return [StoredRecord(marker, marker, active=True)] if _creation(marker) in self._client.uploads() else []

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Ask for a record that carries ``marker``, which is its id. Asked for already, or there: nothing is written.

        Raises ``Misconfigured`` without a marker_column, ``OutcomeUnknown``.
        """
        column = self._marker_column()
        if not self.find(marker, values):
            self._client.upload(_creation(marker), {**values, column: marker})
        return marker

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Ask for ``values``. Idempotent: the same again replaces the upload, if it still waits."""
        if values:
            self._ask("update", external_id, values)

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """Ask for the end as of ``ends_on`` (ISO date). Idempotent, likewise."""
        layout = self._layout
        asked = {
            layout.end_column: ends_on,
            layout.ended_at_column: ended_at.astimezone(UTC).isoformat(),
            layout.status_column: layout.closed_status,
        }
        self._ask("end", external_id, asked)

    def read(self, external_id: str) -> StoredRecord:
        """The record as the exports show it, by its id or by our marker. Raises ``NotFound``."""
        layout = self._layout
        record = self._source.latest(lambda row: external_id in {row.record_id, self._marker_of(row.values)} and row.has_id)
        status, ends_on = (str(record.values[column]).strip() for column in (layout.status_column, layout.end_column))
        marker = self._marker_of(record.values) or None
        return StoredRecord(external_id, marker, status not in layout.inactive_statuses, record.values, ends_on or None)

    def _ask(self, operation: str, external_id: str, values: Mapping[str, object]) -> None:
        row = {**self._key(external_id), **values}
        name = f"{operation}-{_safe(external_id)}-{digest(repr(sorted(row.items())).encode())}.csv"
        self._client.upload(name, row)

    def _key(self, external_id: str) -> Mapping[str, str]:
        """The columns by which the other system knows the record: its own id if it has shown one, and our marker."""
        try:
            known = self.read(external_id)
        except NotFound:
            is_ours = self._layout.marker_column is not None and _creation(external_id) in self._client.uploads()
            return {self._marker_column(): external_id} if is_ours else {self._layout.id_column: external_id}
        columns = (self._layout.id_column, self._layout.marker_column)
        return {column: str(known.values[column]) for column in columns if column is not None and known.values[column]}

    def _marker_of(self, values: Mapping[str, object]) -> str:
        column = self._layout.marker_column
        return str(values[column]).strip() if column is not None else ""

    def _marker_column(self) -> str:
        if self._layout.marker_column is None:
            raise Misconfigured(
                "layout.marker_column: name the column that carries our marker; without it a created record cannot be recognised",
                cause="no_marker_column",
                field="marker_column",
            )
        return self._layout.marker_column


def _creation(marker: str) -> str:
    return f"create-{_safe(marker)}.csv"


def _safe(text: str) -> str:
    """``text`` as part of a file name."""
    quoted = quote(text, safe="")
    return quoted if len(quoted) <= 80 else digest(text.encode())
