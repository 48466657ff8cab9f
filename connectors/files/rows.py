"""The lines of an export as rows of a snapshot: which column is the id, and which says when the record changed.

Only a row without its id is passed on, under a name of its own, so that it alone is parked. Each has the column for the instant of its
end, which an export may lack.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from connectors.files.settings import FilesSettings, Layout, Mode
from connectors.protocols.csv_tables import Line, read_lines, unusable
from connectors.protocols.drops import digest
from connectors.protocols.snapshots import Row


def read_rows(content: bytes, name: str, settings: FilesSettings) -> list[Row]:
    """The rows of the file ``name``. Raises ``Refused`` naming the line, ``Misconfigured`` when it lacks a column of the layout."""
    lines = read_lines(content, name, settings.csv, columns=settings.layout.required())
    rows = [_row(line, name, settings.layout) for line in lines]
    if settings.mode is Mode.FULL:
        _require_unique(rows, name, settings.layout.id_column)
    return rows


def _row(line: Line, name: str, layout: Layout) -> Row:
    record_id = line.cells[layout.id_column].strip()
    modified = _modified(line, name, layout.modified_column) if layout.modified_column else ""
    values = {layout.ended_at_column: "", **line.cells}
    if record_id:
        return Row(record_id, line.number, modified, values)
    content = json.dumps(line.cells, sort_keys=True).encode()
    return Row(f"row:{digest(content)}", line.number, modified, values, has_id=False)


def _modified(line: Line, name: str, column: str) -> str:
    try:
        moment = datetime.fromisoformat(line.cells[column].strip())
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        pass
    raise unusable(name, line.number, f"has no ISO 8601 instant with its offset in {column!r}", "invalid_record", column)


def _require_unique(rows: Sequence[Row], name: str, column: str) -> None:
    lines: dict[str, int] = {}
    for row in rows:
        first = lines.setdefault(row.record_id, row.line)
        if first != row.line and row.has_id:
            fault = f"has the id of line {first}; a full file holds each record once"
            raise unusable(name, row.line, fault, "duplicate_id", column)
