"""Which files are there, complete and in which order; their tables; and the uploads that we leave for the other system."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from connectors.contract import ALONE, Surroundings
from connectors.files.comparison import Export
from connectors.files.folders import Entry, Folders, LocalFolders
from connectors.files.history import History
from connectors.files.settings import FilesSettings, Order
from connectors.files.sftp import SftpFolders
from connectors.files.table import Table, digest, read_table, write_table
from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater
from workforce.ports import CheckResult

MAX_FILES = 2000
KEPT_TABLES = 4
MAX_NAME_BYTES = 255
AHEAD_SECONDS = 86400.0
"""A clock or a time zone that is wrong is off by less; what is dated later would hide every export until then."""
_UNFINISHED = (".part", ".tmp", ".partial", ".filepart", ".crdownload")
_ARCHIVED = re.compile(r"(000\d{17})\.([\w-]{16})\.(.+)", re.DOTALL)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
        self.history = History(lambda: self.and_archived(self.exports()), self.table, settings)
        self._folders = _folders(settings, around)
        self._sleep, self._clock = sleep, clock
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
        found = self.present()
        if any(export.identity not in self._settled for export in found):
            self._sleep(self.settings.settle_seconds)
            seen, found = {export.identity for export in found}, self.present()
            self._settled = {export.identity for export in found if export.identity in seen}
        unfinished = [export.key for export in found if export.identity not in self._settled]
        return [export for export in found if not unfinished or export.key < min(unfinished)]

    def present(self) -> list[Export]:
        """The exports in the inbox, complete or not, as one look shows them. Raises ``Misconfigured``, ``Refused``."""
        settings = self.settings
        entries = self._folders.entries(settings.inbox)
        times = {entry.name: entry.modified_us for entry in entries}
        found = [entry for entry in entries if _is_export(entry.name, settings.pattern)]
        if settings.ready_suffix:  # the sign of an earlier file of this name is older than the file
            found = [entry for entry in found if times.get(entry.name + settings.ready_suffix, -1) >= entry.modified_us]
        if len(found) > MAX_FILES:
            message = (
                f"files: more than {MAX_FILES} exports lie in {settings.inbox}; set archive, or clear the folder of old ones"
            )
            raise Misconfigured(message, cause="too_many_files", field="archive")
        self._require_present_times(found)
        exports = [Export(entry, settings.inbox, entry.name, self._key(entry)) for entry in found]
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

    def and_archived(self, inbox: list[Export]) -> list[Export]:
        """The exports of ``inbox`` and, listed later so that none is missed on its way, those of the archive; in their order."""
        found = {export.identity: export for export in [*inbox, *self.archived()]}
        return sorted(found.values(), key=lambda export: export.key)

    def archive(self, export: Export, content_digest: str) -> None:
        """Move a read export out of the inbox, under a name that keeps its time. Nothing without an archive.

        Raises ``Refused`` (cause ``replaced_export``) when another file, not read, has its name and time; that one stays in the inbox.
        """
        folder = self.settings.archive
        if folder is None:
            return
        name = _kept_as(export, content_digest)
        try:
            self._folders.move(export.folder, export.stored_as, folder, name)
            if digest(self._folders.read(folder, name)) == content_digest:
                return
            self._folders.move(folder, name, export.folder, export.stored_as)
        except OutcomeUnknown as error:  # the next look shows where it is
            raise RetryLater(str(error), cause=error.cause) from None
        if export.identity in {one.identity for one in self.present()}:
            message = f"files: another file has come under the name and time of {export.entry.name}, which was read; date it anew"
            raise Refused(message, cause="replaced_export")
        raise RetryLater(f"files: {export.entry.name} was replaced just now", cause="file_changed")

    def leave_out(self, export: Export) -> None:
        """Move an export out of the inbox that is not to be read."""
        try:
            self._folders.move(export.folder, export.stored_as, self.settings.archive or "", _kept_as(export, "left-out"))
        except OutcomeUnknown as error:
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
        """The names of the uploads that wait, and of those that the other system keeps once it has taken them. Raises ``Misconfigured``."""
        if self.settings.taken is None:
            message = "taken: name the folder where the other system keeps what it has imported; else a creation could be asked for twice"
            raise Misconfigured(message, cause="no_taken_folder", field="taken")
        return {entry.name for folder in (self._outbox(), self.settings.taken) for entry in self._folders.entries(folder)}

    def _outbox(self) -> str:
        if self.settings.outbox is None:
            raise Misconfigured("outbox: name the folder from which the other system imports", cause="no_outbox", field="outbox")
        return self.settings.outbox

    def _require_present_times(self, entries: Iterable[Entry]) -> None:
        latest = (self._clock() + AHEAD_SECONDS) * 1_000_000
        ahead = [entry.name for entry in entries if entry.modified_us > latest]
        if ahead and self.settings.order is Order.MODIFIED:
            raise Refused(
                f"files: {min(ahead)} is dated in the future, and would pass for the newest until then; date it anew, and mend the clock",
                cause="dated_in_the_future",
            )

    def _key(self, entry: Entry) -> str:
        modified = (_EPOCH + timedelta(microseconds=entry.modified_us)).isoformat(timespec="microseconds")
        return f"{entry.name} {modified}" if self.settings.order is Order.NAME else f"{modified} {entry.name}"


def _folders(settings: FilesSettings, around: Surroundings) -> Folders:
    if settings.host is not None:
        return SftpFolders(settings, around.network)
    fields = {getattr(settings, field): field for field in ("inbox", "archive", "outbox", "taken")}
    return LocalFolders(fields, around.folders)


def _kept_as(export: Export, mark: str) -> str:
    name = f"{export.entry.modified_us:020d}.{mark}.{export.entry.name}"
    if len(name.encode()) > MAX_NAME_BYTES:
        message = f"files: {export.entry.name} has too long a name to be archived; let the exports have shorter ones"
        raise Refused(message, cause="name_too_long")
    return name


def _is_export(name: str, pattern: str) -> bool:
    is_hidden = name.startswith(".") or not name.isprintable()
    return not is_hidden and not name.lower().endswith(_UNFINISHED) and fnmatchcase(name, pattern)
