"""Exports as a source of changes: one file a page, compared with the ones before it.

A version is the row's own instant of change, where the layout names one, then the file's place in the order, then the line. A file is
moved to the archive only by the call that brings a cursor from after it: until then a crash just means reading it again, which gives
the same versions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from connectors.files.client import Export, FilesClient
from connectors.files.cursor import Cursor, Mark
from connectors.files.settings import Mode
from connectors.files.table import Row, Table
from workforce.errors import NotFound, Refused
from workforce.ports import ChangePage, SourceRecord

log = structlog.get_logger(__name__)


class FilesSource:
    """The ``RecordSource`` capability."""

    def __init__(self, client: FilesClient) -> None:
        self._client = client
        self._settings = client.settings

    def changes(self, cursor: str | None) -> ChangePage:
        """What the next unread file changes; the archive comes first when ``cursor`` is ``None``.

        Raises ``Refused`` naming file and line; with the causes ``suspicious_shrink`` (a full file has less than half the rows of the one
        before: confirm it in confirmed_files) and ``previous_file_missing``.
        """
        place, waiting = self._waiting(Cursor.decode(cursor))
        if not waiting:
            return ChangePage([], place.encode())
        export = waiting[0]
        table = self._client.table(export)
        is_full = self._settings.mode is Mode.FULL
        records = self._full(export, table, place) if is_full else [_record(row, export) for row in table.rows]
        after = place.after(export, table.digest, from_archive=export.folder == self._settings.archive)
        return ChangePage(records, after.encode(), complete=len(waiting) == 1)

    def read(self, external_id: str) -> SourceRecord:
        """The record as the files show it now: as ended where two full files in a row lack it. Raises ``NotFound``."""
        return self.latest(lambda row: row.record_id == external_id)

    def latest(self, matches: Callable[[Row], bool]) -> SourceRecord:
        """The newest mention of a record, in the version that ``changes`` gave it. Raises ``NotFound``.

        A full file repeats what has not changed, so the files are read back to the one that brought the change.
        """
        exports = sorted([*self._client.archived(), *self._client.exports()], key=lambda export: export.key, reverse=True)
        for missed, export in enumerate(exports):
            row = self._mention(export, matches)
            if row is None:
                continue
            if self._settings.mode is Mode.DELTA:
                return _record(row, export)
            if missed >= 2:
                return self._ended(row, exports[missed - 2])
            return self._since(row, export, exports[missed + 1 :])
        raise NotFound("files: no file mentions this record", field=self._settings.layout.id_column)

    def _since(self, row: Row, export: Export, older: Sequence[Export]) -> SourceRecord:
        record_id = row.record_id
        for earlier in older:
            before = self._mention(earlier, lambda other: other.record_id == record_id)
            if before is None or before.digest != row.digest:
                break
            row, export = before, earlier
        return _record(row, export)

    def _mention(self, export: Export, matches: Callable[[Row], bool]) -> Row | None:
        return next((row for row in reversed(self._client.table(export).rows) if matches(row)), None)

    def _waiting(self, place: Cursor) -> tuple[Cursor, list[Export]]:
        """The unread exports in their order. Those of the inbox that ``place`` shows as read are archived first."""
        replay = [export for export in self._client.archived() if place.replayed is not None and export.key > place.replayed]
        inbox = self._client.exports()
        if replay:
            return place, replay + [export for export in inbox if export.identity not in place.read]
        for export in inbox:
            if export.identity in place.read:
                self._client.archive(export, place.read[export.identity])
        there = {export.identity for export in self._client.present()}
        return place.without(set(place.read) - there), [export for export in inbox if export.identity not in place.read]

    def _full(self, export: Export, table: Table, place: Cursor) -> list[SourceRecord]:
        """The rows that differ from the file before, and the ends of those that this and the file before both lack."""
        if place.last and export.key < place.last[0].key:
            log.warning("files.late_file_left_out", file=export.entry.name)
            return []
        earlier = self._earlier(place.last)
        before = earlier[0].by_id() if earlier else {}
        self._require_no_collapse(export, len(table.rows), len(before))
        now = table.by_id()
        changed = [_record(row, export) for row in table.rows if not _is_same(before.get(row.record_id), row)]
        older = earlier[1].rows if len(earlier) > 1 else ()
        gone = [row for row in older if row.has_id and row.record_id not in before and row.record_id not in now]
        return changed + [self._ended(row, export) for row in gone]

    def _earlier(self, marks: Sequence[Mark]) -> list[Table]:
        """The files read last, as they lie in the inbox or in the archive now."""
        if not marks:
            return []
        there = {export.identity: export for export in [*self._client.archived(), *self._client.present()]}
        tables = [self._client.table(there[mark.identity]) for mark in marks if mark.identity in there]
        if [table.digest for table in tables] != [mark.digest for mark in marks]:
            raise Refused(
                "files: one of the two full files read last is gone or was changed, so nobody can tell who is missing now; "
                "put it back, or read this system from the beginning",
                cause="previous_file_missing",
            )
        return tables

    def _require_no_collapse(self, export: Export, now: int, before: int) -> None:
        if now * 2 < before and export.entry.name not in self._settings.confirmed_files:
            raise Refused(
                f"files: {export.entry.name} has {now} rows after {before}; if that is right, name it in confirmed_files, "
                "otherwise take it away",
                cause="suspicious_shrink",
                field="confirmed_files",
            )

    def _ended(self, row: Row, confirmed_by: Export) -> SourceRecord:
        """The last known record, ended by the second file that lacks it."""
        layout = self._settings.layout
        return SourceRecord(
            row.record_id, _version(row, confirmed_by, 0), {**row.values, layout.status_column: layout.absent_status}
        )


def _is_same(before: Row | None, row: Row) -> bool:
    return before is not None and before.digest == row.digest


def _record(row: Row, export: Export) -> SourceRecord:
    return SourceRecord(row.record_id, _version(row, export, row.line), row.values)


def _version(row: Row, export: Export, line: int) -> str:
    return " ".join(filter(None, (row.modified, export.key, f"{line:08d}")))
