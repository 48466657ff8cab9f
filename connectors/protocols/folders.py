"""Folders of files: what is asked of a place that has some, and this machine's own. An SFTP server's are in ``sftp``."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from workforce.errors import HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_LATEST_US = 10**17 - 1  # in the year 5138: later times are no dates


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file as a folder lists it. ``modified_us`` is in microseconds of Unix time."""

    name: str
    size: int
    modified_us: int


class Folders(Protocol):
    """A place with folders. Methods raise the four errors; reading raises ``RetryLater`` where a file has just gone."""

    def entries(self, folder: str) -> list[Entry]:
        """The regular files in ``folder``. Raises ``Misconfigured`` when there is no such folder."""
        ...

    def read(self, folder: str, name: str) -> bytes:
        """A file's content."""
        ...

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Write a file that appears whole or not at all, in place of one of its name. Raises ``OutcomeUnknown``."""
        ...

    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        """Move a file. One that is gone has been moved already. Raises ``OutcomeUnknown``."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


def temporary(name: str) -> str:
    """A name under which a file is written: hidden, so that nobody picks it up, and of nobody else's making."""
    return f".{name}.{secrets.token_hex(8)}.part"


def missing_folder(folder: str) -> Misconfigured:
    """The folder of the settings is not there."""
    return Misconfigured(f"files: there is no folder {folder}; make it, or mend the path", cause="missing_folder")


def forbidden(path: str) -> Refused:
    """The place does not let us."""
    return Refused(
        f"files: {path}: permission denied; let this user read what is exported there, and write where files are left or archived",
        cause="forbidden",
    )


class LocalFolders:
    """Folders of this machine, in or below those that the installation permits.

    ``fields`` is path → field of the form. Where a path leads is judged each time, and what was judged is what is opened: a link that is put
    there later leads nowhere. Files that are links are not followed.
    """

    def __init__(self, fields: Mapping[str, str], permitted: Sequence[Path]) -> None:
        self._fields, self._permitted = fields, permitted

    def entries(self, folder: str) -> list[Entry]:
        """The regular files in ``folder``."""
        with self._opened(folder) as place, os.scandir(place) as listed:
            states = [(each.name, each.stat(follow_symlinks=False)) for each in listed if each.is_file(follow_symlinks=False)]
        return [Entry(name, state.st_size, min(max(state.st_mtime_ns // 1000, 0), _LATEST_US)) for name, state in states]

    def read(self, folder: str, name: str) -> bytes:
        """A file's content."""
        with self._opened(folder, name) as place:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise RetryLater(f"files: {name} is no file any more", cause="file_changed")
                return file.read()

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Write, flush to the disk, rename: a reader sees the whole file, also after a power cut."""
        unfinished = temporary(name)
        with self._opened(folder, name) as place:
            try:
                with open(unfinished, "xb", opener=partial(os.open, dir_fd=place)) as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(unfinished, name, src_dir_fd=place, dst_dir_fd=place)
            except OSError:
                with suppress(OSError):
                    os.unlink(unfinished, dir_fd=place)
                raise
            _flush(place, name)

    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        """Move a file within this machine."""
        with self._opened(folder, name) as place, self._opened(to_folder, to_name) as target:
            try:
                os.rename(name, to_name, src_dir_fd=place, dst_dir_fd=target)
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno == errno.EXDEV:
                    raise self._other_file_system(to_folder, folder) from None
                raise
            _flush(target, to_name)

    def close(self) -> None:
        """Nothing is open."""

    def _other_file_system(self, folder: str, one: str) -> Misconfigured:
        field, other = self._fields[folder], self._fields[one]
        message = f"{field}: it has to lie on the same file system as {other}"
        return Misconfigured(message, cause="other_file_system", field=field)

    @contextmanager
    def _opened(self, folder: str, name: str = "") -> Iterator[int]:
        """The folder's descriptor; what the system refuses within the block is told in the four errors."""
        try:
            place = self._descriptor(folder)
        except (FileNotFoundError, NotADirectoryError):
            raise missing_folder(folder) from None
        except OSError as error:
            raise _told(error, folder) from None
        try:
            yield place
        except OSError as error:
            raise _told(error, str(Path(folder, name))) from None
        finally:
            os.close(place)

    def _descriptor(self, folder: str) -> int:
        """Open step by step what ``folder`` leads to, from the permitted folder in which it lies, and through no link."""
        try:
            wanted = Path(folder).resolve()
            root = next(root for root in (each.resolve() for each in self._permitted) if wanted.is_relative_to(root))
        except (StopIteration, RuntimeError):  # a loop of links
            field = self._fields[folder]
            message = f"{field}: {folder} is not permitted; list it in STINT_FILE_FOLDERS / file_folders of the installation"
            raise Misconfigured(message, cause="folder_not_permitted", field=field) from None
        place = os.open(root, _FOLDER)
        for step in wanted.relative_to(root).parts:
            outer = place
            try:
                place = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=outer)
            finally:
                os.close(outer)
        return place


def _flush(place: int, name: str) -> None:
    """Make sure of a rename that has been done."""
    try:
        os.fsync(place)
    except OSError as error:
        raise OutcomeUnknown(f"files: {name} was put, and the disk fails: {os.strerror(error.errno or 0)}") from None


def _told(error: OSError, path: str) -> HubError:
    if isinstance(error, PermissionError):
        return forbidden(path)
    return RetryLater(f"files: {path}: {os.strerror(error.errno or 0)}", cause=f"os_{error.errno}")
