"""What the exports tell together: each record in its newest version, as ``changes`` tells it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from connectors.files.comparison import Export, Reading, is_left_out, require_few_absences, told_by
from connectors.files.settings import FilesSettings, Mode
from connectors.files.table import Table
from workforce.ports import SourceRecord


class History:
    """Reads every export there is on first use, and only new ones afterwards. Thread-safe."""

    def __init__(self, exports: Callable[[], list[Export]], table: Callable[[Export], Table], settings: FilesSettings) -> None:
        self._exports, self._table, self._settings = exports, table, settings
        self._lock = threading.Lock()
        self._forget()

    def records(self, matches: Callable[[SourceRecord], bool]) -> list[SourceRecord]:
        """The records that match. An export that nobody may believe yet, or can read, stops it as it stops ``changes``."""
        with self._lock:
            self._read_on()
            return [record for record in self._records.values() if matches(record)]

    def _forget(self) -> None:
        self._known: list[str] = []
        self._earlier: list[Reading] = []
        self._records: dict[str, SourceRecord] = {}

    def _read_on(self) -> None:
        exports = self._exports()
        identities = [export.identity for export in exports]
        if identities[: len(self._known)] != self._known:  # one came late, or the archive was cleaned
            self._forget()
        for export in exports[len(self._known) :]:
            self._take(Reading(export, self._table(export)))
            self._known.append(export.identity)

    def _take(self, now: Reading) -> None:
        is_full = self._settings.mode is Mode.FULL
        if is_full and is_left_out(now, self._earlier):
            return
        if is_full and now.export.folder != self._settings.archive:  # what is in the archive has been believed
            require_few_absences(now, self._earlier, self._settings)
        for record in told_by(now, self._earlier, self._settings):
            has_id = str(record.values[self._settings.layout.id_column]).strip() != ""
            known = self._records.get(record.external_id)
            if has_id and (known is None or known.version < record.version):
                self._records[record.external_id] = record
        self._earlier = [now, *self._earlier][:2] if is_full else []
