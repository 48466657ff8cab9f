"""Folders of files: what the connector asks of a place, and this machine's own folders. An SFTP server's are in ``sftp``."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workforce.errors import Misconfigured, Refused, RetryLater


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
        """Move a file. One that is gone has been moved already."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


def temporary(name: str) -> str:
    """The name under which a file is written: hidden, so that nobody picks it up."""
    return f".{name}.part"


def missing_folder(folder: str) -> Misconfigured:
    """The folder of the settings is not there."""
    return Misconfigured(f"files: there is no folder {folder}; make it, or mend the path", cause="missing_folder")


def forbidden(path: str) -> Refused:
    """The place does not let us."""
    return Refused(
        f"files: {path}: permission denied; let this user read the inbox and write to archive and outbox", cause="forbidden"
    )


class LocalFolders:
    """Folders of this machine. Symbolic links are not followed: a tenant's folder leads nowhere else."""

    def entries(self, folder: str) -> list[Entry]:
        """The regular files in ``folder``."""
        found = []
        with _told(folder):
            if not Path(folder).is_dir():
                raise missing_folder(folder)
            for entry in os.scandir(folder):
                if entry.is_file(follow_symlinks=False):
                    state = entry.stat(follow_symlinks=False)
                    found.append(Entry(entry.name, state.st_size, state.st_mtime_ns // 1000))
        return found

    def read(self, folder: str, name: str) -> bytes:
        """A file's content."""
        with _told(f"{folder}/{name}"):
            descriptor = os.open(Path(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise RetryLater(f"files: {name} is no file any more", cause="file_changed")
                return file.read()

    def put(self, folder: str, name: str, content: bytes) -> None:
        """Write, flush to the disk, rename: a reader sees the whole file, also after a power cut."""
        if not Path(folder).is_dir():
            raise missing_folder(folder)
        unfinished = Path(folder, temporary(name))
        with _told(f"{folder}/{name}"):
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(Path(folder, name))
            _flush(folder)

    def move(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        """Move a file within this machine."""
        if not Path(to_folder).is_dir():
            raise missing_folder(to_folder)
        with _told(f"{folder}/{name}"):
            try:
                Path(folder, name).rename(Path(to_folder, to_name))
            except FileNotFoundError:
                return
            _flush(to_folder)

    def close(self) -> None:
        """Nothing is open."""


def _flush(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise forbidden(path) from None
    except OSError as error:
        raise RetryLater(f"files: {path}: {os.strerror(error.errno or 0)}", cause=f"os_{error.errno}") from None
