"""Which files are there, complete and in which order; their tables; and the uploads that we leave for the other system."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from connectors.contract import ALONE, Surroundings
from connectors.files.folders import Entry, Folders, LocalFolders
from connectors.files.settings import FilesSettings, Order
from connectors.files.sftp import SftpFolders
from connectors.files.table import Table, digest, read_table, write_table
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater
from workforce.ports import CheckResult

MAX_FILES = 2000
KEPT_TABLES = 8
_UNFINISHED = (".part", ".tmp", ".partial", ".filepart", ".crdownload")
_ARCHIVED = re.compile(r"(\d{20})\.([\w-]{16})\.(.+)", re.DOTALL)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


class FilesClient:
    """One exchange of files. Thread-safe; connects on first use. Methods raise the four errors of ``workforce.errors``."""

    def __init__(
        self, settings: FilesSettings, around: Surroundings = ALONE, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.settings = settings
        self._folders: Folders = SftpFolders(settings, around.network) if settings.host is not None else LocalFolders()
        self._sleep = sleep
        self._lock = threading.Lock()
        self._settled: set[str] = set()
        self._tables: dict[str, Table] = {}

    def check(self) -> CheckResult:
        """List every folder."""
        settings = self.settings
        try:
            found = self.present()
            for folder in filter(None, (settings.archive, settings.outbox, settings.taken)):
                self._folders.entries(folder)
        except HubError as error:
            return CheckResult(ok=False, detail=str(error))
        return CheckResult(ok=True, detail=f"files: {settings.inbox} can be read; {len(found)} match {settings.pattern}")

    def close(self) -> None:
        """Give back the connection."""
        self._folders.close()

    def exports(self) -> list[Export]:
        """The complete exports in the inbox, in their order, up to the first that is still being written.

        A file is complete when two looks, ``settle_seconds`` apart, saw the same size and time.
        """
        first = self.present()
        if any(export.identity not in self._settled for export in first):
            self._sleep(self.settings.settle_seconds)
            seen = {export.identity for export in first}
            second = self.present()
            self._settled = {export.identity for export in second if export.identity in seen}
            first = second
        unfinished = [export.key for export in first if export.identity not in self._settled]
        return [export for export in first if not unfinished or export.key < min(unfinished)]

    def present(self) -> list[Export]:
        """The exports in the inbox, complete or not, as one look shows them."""
        settings = self.settings
        entries = self._folders.entries(settings.inbox)
        names = {entry.name for entry in entries}
        exports = [
            Export(entry, settings.inbox, entry.name, self._key(entry))
            for entry in entries
            if _is_export(entry.name, settings.pattern)
            and (not settings.ready_suffix or entry.name + settings.ready_suffix in names)
        ]
        if len(exports) > MAX_FILES:
            message = (
                f"files: more than {MAX_FILES} exports lie in {settings.inbox}; set archive, or clear the folder of old ones"
            )
            raise Misconfigured(message, cause="too_many_files", field="archive")
        return sorted(exports, key=lambda export: export.key)

    def archived(self) -> list[Export]:
        """The exports in the archive, in their order."""
        if self.settings.archive is None:
            return []
        found = []
        for stored in self._folders.entries(self.settings.archive):
            if match := _ARCHIVED.fullmatch(stored.name):
                entry = Entry(match[3], stored.size, int(match[1]))
                found.append(Export(entry, self.settings.archive, stored.name, self._key(entry)))
        return sorted(found, key=lambda export: export.key)

    def archive(self, export: Export, content_digest: str) -> None:
        """Move a read export out of the inbox, under a name that keeps its time. Nothing without an archive."""
        if self.settings.archive is None:
            return
        name = f"{export.entry.modified_us:020d}.{content_digest}.{export.entry.name}"
        try:
            self._folders.move(export.folder, export.stored_as, self.settings.archive, name)
        except OutcomeUnknown as error:  # the next look shows where it is
            raise RetryLater(str(error), cause=error.cause) from None

    def table(self, export: Export) -> Table:
        """The rows of ``export``. Raises ``Refused`` naming the line, ``Misconfigured`` naming a column, ``RetryLater`` when it changes."""
        with self._lock:
            kept = self._tables.get(export.identity)
        if kept is not None:
            return kept
        if export.entry.size > self.settings.max_file_bytes:
            raise Refused(
                f"files: {export.entry.name} is larger than max_file_bytes", cause="file_too_large", field="max_file_bytes"
            )
        content = self._folders.read(export.folder, export.stored_as)
        if len(content) != export.entry.size:
            raise RetryLater(f"files: {export.entry.name} changed while it was read", cause="file_changed")
        table = read_table(content, export.entry.name, self.settings)
        with self._lock:
            self._tables[export.identity] = table
            while len(self._tables) > KEPT_TABLES:
                del self._tables[next(iter(self._tables))]
        return table

    def upload(self, name: str, row: Mapping[str, object]) -> None:
        """Leave a file of one row for the other system; one of its name is replaced. Raises ``OutcomeUnknown``."""
        self._folders.put(self._outbox(), name, write_table(row, self.settings))

    def uploads(self) -> set[str]:
        """The names of the uploads that wait, and of those that the other system keeps once it has taken them."""
        folders = filter(None, (self._outbox(), self.settings.taken))
        return {entry.name for folder in folders for entry in self._folders.entries(folder)}

    def _outbox(self) -> str:
        if self.settings.outbox is None:
            raise Misconfigured("outbox: name the folder from which the other system imports", cause="no_outbox", field="outbox")
        return self.settings.outbox

    def _key(self, entry: Entry) -> str:
        modified = (_EPOCH + timedelta(microseconds=entry.modified_us)).isoformat(timespec="microseconds")
        return f"{entry.name} {modified}" if self.settings.order is Order.NAME else f"{modified} {entry.name}"


def _is_export(name: str, pattern: str) -> bool:
    is_hidden = name.startswith(".") or not name.isprintable()
    return not is_hidden and not name.lower().endswith(_UNFINISHED) and fnmatchcase(name, pattern)
