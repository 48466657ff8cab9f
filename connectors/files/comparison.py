"""What an export tells, held against the two full ones before it.

Absence is the weakest of signs, so that a record has ended only once two full exports in a row lack it. One export that came twice is
one, one that lacks many at once waits for a person, and one that is not newer than the last is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.files.folders import Entry
from connectors.files.settings import FilesSettings, Mode
from connectors.files.table import Row, Table, digest
from workforce.errors import Refused
from workforce.ports import SourceRecord

REPEATED_WITHIN_US = 600 * 1_000_000
A_HANDFUL = 5


@dataclass(frozen=True, slots=True)
class Export:
    """One complete export: as it was named and dated, and under which path it lies now."""

    entry: Entry
    folder: str
    stored_as: str
    key: str
    """Orders the exports as text: the later one compares greater."""

    @property
    def identity(self) -> str:
        """Tells this file from every other, wherever it lies."""
        return digest(f"{self.entry.name}\0{self.entry.size}\0{self.entry.modified_us}".encode())


@dataclass(frozen=True, slots=True)
class Reading:
    """An export and its rows."""

    export: Export
    table: Table


def is_left_out(now: Reading, earlier: Sequence[Reading]) -> bool:
    """Whether a full export is not newer than the last, or is the last one delivered once more."""
    if not earlier:
        return False
    last = earlier[0]
    apart = abs(now.export.entry.modified_us - last.export.entry.modified_us)
    is_repeated = now.table.digest == last.table.digest and apart < REPEATED_WITHIN_US
    return now.export.key <= last.export.key or is_repeated


def require_few_absences(now: Reading, earlier: Sequence[Reading], settings: FilesSettings) -> None:
    """Raise ``Refused`` (cause ``suspicious_shrink``) when too many records of the export before are missing at once."""
    before = _ids(earlier[0].table.rows) if earlier else set[str]()
    missing = len(before - _ids(now.table.rows))
    tolerated = max(len(before) * settings.absence_limit_percent / 100, min(A_HANDFUL, len(before) // 2))
    if missing > tolerated and now.table.digest not in settings.confirmed_files:
        raise Refused(
            f"files: {now.export.entry.name} lacks {missing} of {len(before)} records; if that is right, name its digest "
            f"{now.table.digest} in confirmed_files, otherwise take it away",
            cause="suspicious_shrink",
            field="confirmed_files",
        )


def told_by(now: Reading, earlier: Sequence[Reading], settings: FilesSettings) -> list[SourceRecord]:
    """Every row of a delta. Of a full export the rows that differ from the one before, and the records that have ended."""
    if settings.mode is Mode.DELTA:
        return [_record(row, now.export) for row in now.table.rows]
    before, after = earlier[0].table.by_id() if earlier else {}, now.table.by_id()
    changed = [
        row for row in now.table.rows if row.record_id not in before or before[row.record_id].values != row.values
    ]  # what is there again is told again
    older = earlier[1].table.rows if len(earlier) > 1 else ()
    ended = [row for row in older if row.has_id and row.record_id not in before and row.record_id not in after]
    return [_record(row, now.export) for row in changed] + [_ended(row, now.export, settings) for row in ended]


def _ids(rows: Iterable[Row]) -> set[str]:
    return {row.record_id for row in rows if row.has_id}


def _ended(row: Row, confirmed_by: Export, settings: FilesSettings) -> SourceRecord:
    """The last known record, ended by the second file that lacks it."""
    values = {**row.values, settings.layout.status_column: settings.layout.absent_status}
    return SourceRecord(row.record_id, _version(row, confirmed_by, 0), values)


def _record(row: Row, export: Export) -> SourceRecord:
    return SourceRecord(row.record_id, _version(row, export, row.line), row.values)


def _version(row: Row, export: Export, line: int) -> str:
    return " ".join(filter(None, (row.modified, export.key, f"{line:08d}")))
