"""One exchange of files: the exports that come, read by the layout, and the uploads that we leave for the other system."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.files.rows import read_rows
from connectors.files.settings import FilesSettings, Mode
from connectors.protocols.csv_tables import read_header, write_row
from connectors.protocols.drops import Drop, Export, digest
from connectors.protocols.history import History
from connectors.protocols.snapshots import Comparison, Snapshot
from workforce.errors import Misconfigured, Refused
from workforce.ports import CheckResult

KEPT_SNAPSHOTS = 4


class FilesClient:
    """One exchange of files. Thread-safe; connects on first use. Methods raise the four errors of ``workforce.errors``."""

    def __init__(
        self,
        settings: FilesSettings,
        around: Surroundings = ALONE,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._folders = settings.reached(around)
        self.drop = Drop(
            self._folders,
            inbox=settings.inbox,
            archive=settings.archive,
            pattern=settings.pattern,
            order=settings.order,
            ready_suffix=settings.ready_suffix,
            settle_seconds=settings.settle_seconds,
            sleep=sleep,
            clock=clock,
        )
        self.comparison = Comparison(settings.absence_limit_percent, settings.confirmed_files)
        self.history = History(self.drop, self.snapshot, self.comparison if settings.mode is Mode.FULL else None)
        self._clock = clock
        self._lock = threading.Lock()
        self._snapshots: dict[str, Snapshot] = {}

    @faults_as_result
    def check(self) -> CheckResult:
        """List every folder."""
        settings = self.settings
        found = self.drop.present()
        for folder in filter(None, (settings.archive, settings.outbox, settings.taken)):
            self._folders.entries(folder)
        return CheckResult(ok=True, detail=f"files: {settings.inbox} can be read; {len(found)} match {settings.pattern}")

    def close(self) -> None:
        """Give back the connection."""
        self._folders.close()

    def snapshot(self, export: Export) -> Snapshot:
        """What ``export`` holds. Raises ``Refused`` naming the line, ``Misconfigured`` naming a column, ``RetryLater`` when it changes."""
        with self._lock:
            kept = self._snapshots.get(export.identity)
        if kept is not None:
            return kept
        name, content = export.entry.name, self._content(export)
        rows = read_rows(content, name, self.settings)
        ending = self.settings.layout.ending(min(export.entry.modified_us, int(self._clock() * 1_000_000)))
        snapshot = Snapshot(name, export.key, export.entry.modified_us, digest(content), rows, ending)
        with self._lock:
            self._snapshots[export.identity] = snapshot
            while len(self._snapshots) > KEPT_SNAPSHOTS:
                del self._snapshots[next(iter(self._snapshots))]
        return snapshot

    def header(self, export: Export) -> list[str]:
        """The columns of ``export``. Raises as ``snapshot``."""
        layout = self.settings.layout
        return read_header(self._content(export), export.entry.name, self.settings.csv, columns=layout.required())

    def upload(self, name: str, row: Mapping[str, object]) -> None:
        """Leave a file of one row for the other system; one of its name is replaced. Raises ``OutcomeUnknown``."""
        self._folders.put(self._outbox(), name, write_row(row, self.settings.csv))

    def uploads(self) -> set[str]:
        """The names of the uploads that wait, and of those that the other system keeps once it has taken them. Raises ``Misconfigured``."""
        if self.settings.taken is None:
            message = "taken: name the folder where the other system keeps what it has imported; else a creation could be asked for twice"
            raise Misconfigured(message, cause="no_taken_folder", field="taken")
        return {entry.name for folder in (self._outbox(), self.settings.taken) for entry in self._folders.entries(folder)}

    def _content(self, export: Export) -> bytes:
        if export.entry.size > self.settings.max_file_bytes:
            message = f"files: {export.entry.name} is larger than max_file_bytes"
            raise Refused(message, cause="file_too_large", field="max_file_bytes")
        return self.drop.content(export)

    def _outbox(self) -> str:
        if self.settings.outbox is None:
            raise Misconfigured("outbox: name the folder from which the other system imports", cause="no_outbox", field="outbox")
        return self.settings.outbox
