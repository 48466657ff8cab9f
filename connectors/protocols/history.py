"""What the files of a drop tell together: each record in its newest version."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from connectors.protocols.drops import Drop, Export
from connectors.protocols.snapshots import Comparison, Snapshot
from workforce.ports import SourceRecord


class History:
    """Reads every file there is on first use, and only new ones afterwards. Thread-safe.

    ``comparison`` is ``None`` where files hold only what changed.
    """

    def __init__(self, drop: Drop, snapshot: Callable[[Export], Snapshot], comparison: Comparison | None) -> None:
        self._drop, self._snapshot, self._comparison = drop, snapshot, comparison
        self._lock = threading.Lock()
        self._forget()

    def records(self, matches: Callable[[SourceRecord], bool]) -> list[SourceRecord]:
        """The records that match. A file that nobody may believe yet, or can read, stops it as it stops the telling of changes."""
        with self._lock:
            self._read_on()
            return [record for record in self._records.values() if matches(record)]

    def _forget(self) -> None:
        self._known: list[str] = []
        self._earlier: list[Snapshot] = []
        self._records: dict[str, SourceRecord] = {}

    def _read_on(self) -> None:
        exports = self._drop.and_archived(self._drop.exports())
        identities = [export.identity for export in exports]
        if identities[: len(self._known)] != self._known:  # one came late, or the archive was cleaned
            self._forget()
        for export in exports[len(self._known) :]:
            self._take(export, self._snapshot(export))
            self._known.append(export.identity)

    def _take(self, export: Export, now: Snapshot) -> None:
        if self._comparison is None:
            self._keep(now, now.every_row())
        elif not self._comparison.is_left_out(now, self._earlier):
            if not self._drop.is_archived(export):  # what is in the archive has been believed
                self._comparison.require_few_absences(now, self._earlier)
            self._keep(now, self._comparison.changes(now, self._earlier))
            self._earlier = [now, *self._earlier][:2]

    def _keep(self, now: Snapshot, records: Iterable[SourceRecord]) -> None:
        nameless = {row.record_id for row in now.rows if not row.has_id}
        for record in records:
            known = self._records.get(record.external_id)
            if record.external_id not in nameless and (known is None or known.version < record.version):
                self._records[record.external_id] = record
