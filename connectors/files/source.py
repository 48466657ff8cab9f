"""Exports as a source of changes: one file a page, a full one compared with the ones before it.

A version is the row's own instant of change, where the layout names one, then the file's place in the order, then the line.

A full export is archived before it is told, because the next one may overwrite it; until the cursor behind it is kept, it is read again
from the archive. A delta is archived by the call that brings a cursor from after it: one that comes late counts as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from connectors.files.client import FilesClient
from connectors.files.cursor import Cursor, Mark
from connectors.files.settings import Mode
from connectors.protocols.drops import Export
from connectors.protocols.snapshots import Snapshot
from workforce.errors import NotFound, Refused
from workforce.ports import ChangePage, SourceRecord

log = structlog.get_logger(__name__)


class FilesSource:
    """The ``RecordSource`` capability."""

    def __init__(self, client: FilesClient) -> None:
        self._client, self._settings = client, client.settings
        self._drop, self._comparison = client.drop, client.comparison

    def changes(self, cursor: str | None) -> ChangePage:
        """What the next unread file changes; the archive comes first when ``cursor`` is ``None``.

        Raises ``Refused`` naming file and line; with the causes ``suspicious_shrink`` (a full file lacks many of the records before: confirm
        it in confirmed_files), ``previous_file_missing`` and ``replaced_export``.
        """
        is_full, place = self._settings.mode is Mode.FULL, Cursor.decode(cursor)
        place, waiting = self._newer(place) if is_full else self._unread(place)
        if not waiting:
            return ChangePage([], place.encode())
        export, now = waiting[0], self._client.snapshot(waiting[0])
        records, after = self._full(export, now, place) if is_full else self._delta(export, now, place)
        return ChangePage(records, after.encode(), complete=len(waiting) == 1)

    def read(self, external_id: str) -> SourceRecord:
        """The record as the files show it now: as ended where two full files in a row lack it. Raises ``NotFound``."""
        found = self._client.history.records(lambda record: record.external_id == external_id)
        if not found:
            raise NotFound("files: no file mentions this record", field=self._settings.layout.id_column)
        return found[0]

    def _newer(self, place: Cursor) -> tuple[Cursor, list[Export]]:
        """The full exports after the one read last. Older ones that came late leave the inbox unread."""
        newest, inbox = place.through or "", self._drop.exports()
        for export in inbox if self._settings.archive else ():
            if export.key <= newest:
                log.warning("files.left_out", file=export.entry.name)
                self._drop.leave_out(export)
        return place, [export for export in self._drop.and_archived(inbox) if export.key > newest]

    def _full(self, export: Export, now: Snapshot, place: Cursor) -> tuple[list[SourceRecord], Cursor]:
        earlier = self._earlier(place.last)
        if not self._drop.is_archived(export):  # what is in the archive has been believed
            self._comparison.require_few_absences(now, earlier)
            self._drop.put_away(export, now.digest)
        after = replace(place, read={}, through=export.key)
        if self._comparison.is_left_out(now, earlier):
            log.warning("files.left_out", file=export.entry.name)
            return [], after
        return self._comparison.changes(now, earlier), after.marked(Mark(export.identity, now.digest))

    def _unread(self, place: Cursor) -> tuple[Cursor, list[Export]]:
        """The unread deltas in their order. Those of the inbox that ``place`` shows as read are archived first."""
        inbox = self._drop.exports()
        unread = [export for export in inbox if export.identity not in place.read]
        replay = [export for export in self._drop.archived() if place.through is not None and export.key > place.through]
        if not replay:
            for export in inbox:
                if export.identity in place.read:
                    self._drop.put_away(export, place.read[export.identity])
            place = place.only({export.identity for export in self._drop.present()})
        return place, replay + unread

    def _delta(self, export: Export, now: Snapshot, place: Cursor) -> tuple[list[SourceRecord], Cursor]:
        if self._drop.is_archived(export):
            after = replace(place, last=(), through=export.key)
        else:
            after = replace(place, last=(), through=None, read={**place.read, export.identity: now.digest})
        return now.every_row(), after

    def _earlier(self, marks: Sequence[Mark]) -> list[Snapshot]:
        """The files read last, as they lie in the inbox or in the archive now."""
        there = {export.identity: export for export in self._drop.and_archived(self._drop.present())} if marks else {}
        snapshots = [self._client.snapshot(there[mark.identity]) for mark in marks if mark.identity in there]
        if [snapshot.digest for snapshot in snapshots] != [mark.digest for mark in marks]:
            raise Refused(
                "files: one of the two full files read last is gone or was changed, so nobody can tell who is missing now; "
                "put it back, set archive, or read this system from the beginning",
                cause="previous_file_missing",
            )
        return snapshots
