"""Closing work orders."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.fieldglass.client import FieldglassClient
from workforce.ports import StoredRecord


class FieldglassEnding:
    """The ``RecordEnding`` capability: one row to the closing connector, read back through the download."""

    def __init__(self, client: FieldglassClient) -> None:
        self._client = client
        self._layout = client.settings.layout

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """Close the work order as of ``ends_on`` (ISO date at the work location). Idempotent: closing it again changes nothing."""
        self._client.upload_closing(
            {
                self._layout.id_column: external_id,
                self._layout.end_column: ends_on,
                self._layout.closed_at_column: ended_at.astimezone(UTC).isoformat(),
                self._layout.status_column: self._layout.closed_status,
            }
        )

    def read(self, external_id: str) -> StoredRecord:
        """The work order as it is now, with the id, status and end columns. Raises ``NotFound``."""
        row = self._client.work_order(external_id)
        values = {self._layout.status_column: row.status, self._layout.end_column: row.ends_on}
        return StoredRecord(
            row.work_order_id,
            marker=None,
            active=row.status not in self._layout.inactive_statuses,
            values=values,
            ends_on=row.ends_on or None,
        )
