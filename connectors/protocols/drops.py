"""A folder into which another system drops files: each is picked up whole and in its order, and archived once it was read."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from connectors.protocols.folders import Entry, Folders
from workforce.errors import Misconfigured, OutcomeUnknown, Refused, RetryLater

MAX_FILES = 2000
MAX_NAME_BYTES = 255
AHEAD_SECONDS = 86400.0
"""A clock or a time zone that is wrong is off by less; what is dated later would hide every file until then."""
_UNFINISHED = (".part", ".tmp", ".partial", ".filepart", ".crdownload")
_ARCHIVED = re.compile(r"(000\d{17})\.([\w-]{16})\.(.+)", re.DOTALL)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Order(StrEnum):
    """What decides which of two files is the later one."""

    MODIFIED = "modified"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Export:
    """One complete file: as it was named and dated, and under which path it lies now."""

    entry: Entry
    folder: str
    stored_as: str
    key: str
    """Orders the files as text: the later one compares greater."""

    @property
    def identity(self) -> str:
        """Tells this file from every other, wherever it lies."""
        return digest(f"{self.entry.name}\0{self.entry.size}\0{self.entry.modified_us}".encode())


@dataclass
class Drop:
    """An inbox and, where there is one, the archive of what was read. Thread-safe. Methods raise the four errors.

    ``pattern`` has * and ?. With a ``ready_suffix`` a file counts only once one of its name and this suffix is there that is no older.
    Errors name the fields by which a settings form asks for these: ``archive``.
    """

    folders: Folders
    inbox: str
    archive: str | None
    pattern: str
    order: Order
    ready_suffix: str | None
    settle_seconds: float
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    _settled: set[str] = field(default_factory=set)

    def exports(self) -> list[Export]:
        """The complete files in the inbox, in their order, up to the first that is still being written.

        A file is complete when two looks, ``settle_seconds`` apart, saw the same size and time.
        """
        found = self._looked_at_twice()
        unfinished = [export.key for export in found if export.identity not in self._settled]
        return [export for export in found if not unfinished or export.key < min(unfinished)]

    def settled(self) -> list[Export]:
        """Every complete file in the inbox, for those to whom their order is nothing: one that is being written holds back no other."""
        return [export for export in self._looked_at_twice() if export.identity in self._settled]

    def present(self) -> list[Export]:
        """The files in the inbox, complete or not, as one look shows them. Raises ``Misconfigured``, ``Refused``."""
        entries = self.folders.entries(self.inbox)
        times = {entry.name: entry.modified_us for entry in entries}
        found = [entry for entry in entries if _is_export(entry.name, self.pattern)]
        if self.ready_suffix:  # the sign of an earlier file of this name is older than the file
            found = [entry for entry in found if times.get(entry.name + self.ready_suffix, -1) >= entry.modified_us]
        if len(found) > MAX_FILES:
            message = f"files: more than {MAX_FILES} exports lie in {self.inbox}; set archive, or clear the folder of old ones"
            raise Misconfigured(message, cause="too_many_files", field="archive")
        self._require_present_times(found)
        return sorted((Export(entry, self.inbox, entry.name, self._key(entry)) for entry in found), key=_key)

    def _looked_at_twice(self) -> list[Export]:
        """The files in the inbox; those that two looks saw alike are settled."""
        found = self.present()
        if any(export.identity not in self._settled for export in found):
            self.sleep(self.settle_seconds)
            seen, found = {export.identity for export in found}, self.present()
            self._settled = {export.identity for export in found if export.identity in seen}
        return found

    def archived(self) -> list[Export]:
        """The files in the archive, in their order."""
        if self.archive is None:
            return []
        found = []
        for stored in self.folders.entries(self.archive):
            if match := _ARCHIVED.fullmatch(stored.name):
                entry = Entry(match[3], stored.size, int(match[1]))
                found.append(Export(entry, self.archive, stored.name, self._key(entry)))
        return sorted(found, key=_key)

    def and_archived(self, inbox: list[Export]) -> list[Export]:
        """The files of ``inbox`` and, listed later so that none is missed on its way, those of the archive; in their order."""
        found = {export.identity: export for export in [*inbox, *self.archived()]}
        return sorted(found.values(), key=_key)

    def is_archived(self, export: Export) -> bool:
        """Whether it lies in the archive."""
        return export.folder == self.archive

    def content(self, export: Export) -> bytes:
        """The file's bytes, all of them. Raises ``RetryLater`` when it changes."""
        content = self.folders.read(export.folder, export.stored_as)
        if len(content) != export.entry.size:
            raise RetryLater(f"files: {export.entry.name} changed while it was read", cause="file_changed")
        return content

    def put_away(self, export: Export, content_digest: str) -> None:
        """Move a file that was read out of the inbox, under a name that keeps its time. Nothing without an archive.

        Raises ``Refused`` (cause ``replaced_export``) when another file, not read, has its name and time; that one stays in the inbox.
        """
        if self.archive is None:
            return
        name = _kept_as(export, content_digest)
        try:
            self.folders.move(export.folder, export.stored_as, self.archive, name)
            if digest(self.folders.read(self.archive, name)) == content_digest:
                return
            self.folders.move(self.archive, name, export.folder, export.stored_as)
        except OutcomeUnknown as error:  # the next look shows where it is
            raise RetryLater(str(error), cause=error.cause) from None
        if export.identity in {one.identity for one in self.present()}:
            message = f"files: another file has come under the name and time of {export.entry.name}, which was read; date it anew"
            raise Refused(message, cause="replaced_export")
        raise RetryLater(f"files: {export.entry.name} was replaced just now", cause="file_changed")

    def leave_out(self, export: Export) -> None:
        """Move a file into the archive that is not to be read."""
        try:
            self.folders.move(export.folder, export.stored_as, self.archive or "", _kept_as(export, "left-out"))
        except OutcomeUnknown as error:
            raise RetryLater(str(error), cause=error.cause) from None

    def _require_present_times(self, entries: Iterable[Entry]) -> None:
        latest = (self.clock() + AHEAD_SECONDS) * 1_000_000
        ahead = [entry.name for entry in entries if entry.modified_us > latest]
        if ahead and self.order is Order.MODIFIED:
            raise Refused(
                f"files: {min(ahead)} is dated in the future, and would pass for the newest until then; date it anew, and mend the clock",
                cause="dated_in_the_future",
            )

    def _key(self, entry: Entry) -> str:
        modified = (_EPOCH + timedelta(microseconds=entry.modified_us)).isoformat(timespec="microseconds")
        return f"{entry.name} {modified}" if self.order is Order.NAME else f"{modified} {entry.name}"


def digest(content: bytes) -> str:
    """12 bytes of SHA-256 as text for names and cursors."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()[:12]).decode()


def _key(export: Export) -> str:
    return export.key


def _kept_as(export: Export, mark: str) -> str:
    name = f"{export.entry.modified_us:020d}.{mark}.{export.entry.name}"
    if len(name.encode()) > MAX_NAME_BYTES:
        message = f"files: {export.entry.name} has too long a name to be archived; let the exports have shorter ones"
        raise Refused(message, cause="name_too_long")
    return name


def _is_export(name: str, pattern: str) -> bool:
    is_hidden = name.startswith(".") or not name.isprintable()
    return not is_hidden and not name.lower().endswith(_UNFINISHED) and fnmatchcase(name, pattern)
