"""Uploads for the other system: one file for each operation, each of one row, named for what it does.

What was created is known by our marker for good, because only the other system gives ids, and later. An upload says what we ask for;
whether it was done is read from the next export: nothing here takes an upload for a fact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from connectors.files.client import FilesClient
from connectors.protocols.drops import digest
from connectors.records.nulls import refuse_nulls, without_nulls
from workforce.errors import AlreadyTaken, Misconfigured, NotFound, Refused
from workforce.markers import is_marker
from workforce.ports import SourceRecord, StoredRecord

_AMBIGUOUS = "ambiguous_marker"


class FilesSink:
    """The ``RecordSink`` capability. A record's id is that of the exports, or our marker for those that we created."""

    def __init__(self, client: FilesClient) -> None:
        self._client, self._layout = client, client.settings.layout

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """The records that carry ``marker`` in the exports, or else the upload that asks for one.

        Raises ``Misconfigured`` without marker_column, outbox and taken.
        """
        del values
        column, asked_for = self._marker_column(), self._client.uploads()
        found = self._client.history.records(lambda record: _text(record, column) == marker)
        if len(found) > 1:
            return [self._stored(record.external_id, record) for record in found]
        shown = [self._stored(marker, record) for record in found]
        return shown or ([StoredRecord(marker, marker, active=True)] if _creation(marker) in asked_for else [])

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Ask for a record that carries ``marker``, which is its id. Asked for already: nothing is written.

        Raises ``AlreadyTaken`` where the exports show it, of this stint or an earlier one: it is adopted, and what differs is asked for.
        Raises ``Misconfigured`` without marker_column, outbox and taken; ``OutcomeUnknown``.
        """
        found, column = self.find(marker, values), self._marker_column()
        if any(record.values for record in found):
            raise AlreadyTaken("files: the exports show a record with this marker; it is looked up", field=column)
        if not found:
            self._client.upload(_creation(marker), {**without_nulls(values), column: marker})
        return marker

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Ask for ``values``. Idempotent: the same again replaces the upload, if it still waits.

        ``None`` makes an empty cell; one in a column that every record has is refused (cause ``cannot_be_emptied``).
        """
        refuse_nulls("files", values)
        if values:
            self._ask("update", external_id, values)

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """Ask for the end as of ``ends_on`` (ISO date). Idempotent, likewise. Only ``read`` tells whether it has ended."""
        layout = self._layout
        asked = {
            layout.end_column: ends_on,
            layout.ended_at_column: ended_at.astimezone(UTC).isoformat(),
            layout.status_column: layout.closed_status,
        }
        self._ask("end", external_id, asked)

    def rehire(self, external_id: str, *, starts_on: str) -> None:
        """Ask for the record to be open, without an end; its new days come with the update. Raises ``NotFound``.

        Only ``read`` tells whether that was done: until then the same may be asked for again.
        """
        del starts_on
        layout = self._layout
        if not self.read(external_id).active:
            told_the_end = dict.fromkeys((layout.end_column, layout.ended_at_column))
            self._ask("rehire", external_id, {layout.status_column: layout.open_status, **told_the_end})

    def read(self, external_id: str) -> StoredRecord:
        """The record as the exports show it, by its id or by our marker. Raises ``NotFound``, ``Refused`` when several carry the marker."""
        return self._stored(external_id, self._shown(external_id))

    def _shown(self, external_id: str) -> SourceRecord:
        column = self._layout.marker_column
        found = self._client.history.records(
            lambda record: record.external_id == external_id or (column is not None and _text(record, column) == external_id)
        )
        if not found:
            raise NotFound("files: no file mentions this record", field=self._layout.id_column)
        if len(found) > 1:
            raise Refused("files: several records carry this marker; a person decides", cause=_AMBIGUOUS, field=column)
        return found[0]

    def _stored(self, external_id: str, record: SourceRecord) -> StoredRecord:
        layout = self._layout
        marker = _text(record, layout.marker_column) if layout.marker_column is not None else ""
        active = _text(record, layout.status_column) not in layout.inactive_statuses
        return StoredRecord(external_id, marker or None, active, record.values, _text(record, layout.end_column) or None)

    def _ask(self, operation: str, external_id: str, values: Mapping[str, object]) -> None:
        row = {**values, **self._key(external_id)}
        name = f"{operation}-{_safe(external_id)}-{digest(repr(sorted(row.items())).encode())}.csv"
        self._client.upload(name, row)

    def _key(self, external_id: str) -> Mapping[str, str]:
        """The columns by which the other system knows the record: its own id if it has shown one, and our marker.

        While no export can be read, an end has to be asked for all the same: then the form of the id tells which of the two it is.
        """
        columns = (self._layout.id_column, self._layout.marker_column)
        try:
            known = self._shown(external_id)
        except Refused as error:
            if error.cause == _AMBIGUOUS:
                raise
            return {columns[1] if columns[1] is not None and is_marker(external_id) else columns[0]: external_id}
        return {column: str(known.values[column]) for column in columns if column is not None and known.values[column]}

    def _marker_column(self) -> str:
        if self._layout.marker_column is None:
            raise Misconfigured(
                "layout.marker_column: name the column that carries our marker; without it a created record cannot be recognised",
                cause="no_marker_column",
                field="marker_column",
            )
        return self._layout.marker_column


def _text(record: SourceRecord, column: str) -> str:
    return str(record.values[column]).strip()


def _creation(marker: str) -> str:
    return f"create-{_safe(marker)}.csv"


def _safe(text: str) -> str:
    """``text`` as part of a file name."""
    quoted = quote(text, safe="", errors="surrogatepass")
    return quoted if len(quoted) <= 80 else digest(text.encode(errors="surrogatepass"))
