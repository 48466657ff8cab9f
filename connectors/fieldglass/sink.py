"""Creating, changing and closing work orders: one row to the customer's upload for it, read back through the download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from connectors.fieldglass.client import SYSTEM, FieldglassClient
from connectors.fieldglass.records import Row
from connectors.fieldglass.source import every_row
from connectors.records.nulls import refuse_nulls, without_nulls
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused
from workforce.ports import StoredRecord


class FieldglassSink:
    """The ``RecordSink`` capability. Closing needs neither marker nor the uploads that create and change."""

    def __init__(self, client: FieldglassClient) -> None:
        self._client, self._settings, self._layout = client, client.settings, client.settings.layout

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """The work orders that carry ``marker``. Raises ``Misconfigured`` without a marker_column."""
        del values
        self._required("marker_column", self._layout.marker_column)
        return [self._stored(row) for row in self._marked(marker)]

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Upload a work order that carries ``marker``, and look up the id it was given.

        Raises ``OutcomeUnknown`` (cause ``id_not_shown``) while the download does not show it: then ``find`` will.
        """
        name = self._required("creation_connector", self._settings.creation_connector)
        column = self._required("marker_column", self._layout.marker_column)
        self._client.upload(name, _cells({**without_nulls(values), column: marker}))
        try:
            found = self._marked(marker)
        except HubError as error:  # whatever keeps us from looking: the upload was accepted
            raise OutcomeUnknown(f"{SYSTEM}: the upload was accepted; then: {error}", cause="id_not_shown") from None
        if len(found) != 1:
            fault = "several work orders carry its marker" if found else "the download does not show it yet"
            raise OutcomeUnknown(f"{SYSTEM}: the upload was accepted; {fault}", cause="id_not_shown")
        return found[0].work_order_id

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Upload ``values`` (by column label; the end date among them) for a work order. Idempotent.

        ``None`` makes an empty cell; one in a column that every work order has is refused (cause ``cannot_be_emptied``).
        """
        refuse_nulls("fieldglass", values)
        if values:
            name = self._required("revision_connector", self._settings.revision_connector)
            self._client.upload(name, _cells({**values, self._layout.id_column: external_id}))

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """Close the work order as of ``ends_on`` (ISO date at the work location). Idempotent: closing it again changes nothing.

        The receipt tells that the row was taken; that it is closed is told by ``read``.
        """
        row = {
            self._layout.id_column: external_id,
            self._layout.end_column: ends_on,
            self._layout.closed_at_column: ended_at.astimezone(UTC).isoformat(),
            self._layout.status_column: self._layout.closed_status,
        }
        self._client.upload(self._settings.closing_connector, row)

    def read(self, external_id: str) -> StoredRecord:
        """The work order as it is now, with every column. Raises ``NotFound``."""
        return self._stored(self._client.work_order(external_id))

    def _marked(self, marker: str) -> list[Row]:
        parameter = self._settings.parameters.marker
        rows = self._client.marked(marker, parameter) if parameter else [r for r in every_row(self._client) if r.marker == marker]
        return list({row.work_order_id: row for row in sorted(rows, key=lambda row: row.modified)}.values())

    def _stored(self, row: Row) -> StoredRecord:
        active = row.status not in self._layout.inactive_statuses
        return StoredRecord(row.work_order_id, row.marker, active, row.values, row.ends_on or None)

    def _required(self, field: str, value: str | None) -> str:
        if value is None:
            message = f"{field}: name it as the customer's Fieldglass does; work orders cannot be created or changed without it"
            raise Misconfigured(message, cause="missing_setting", field=field)
        return value


def _cells(values: Mapping[str, object]) -> dict[str, str]:
    return dict(_cell(column, value) for column, value in values.items())


def _cell(column: str, value: object) -> tuple[str, str]:
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        raise Refused(
            f"{SYSTEM}: column {column!r} holds more than one value; map it to a text", cause="not_a_cell", field=column
        )
    return column, "" if value is None else str(value)
