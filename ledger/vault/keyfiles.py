"""Key material in files that only their owner can read."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from workforce.errors import Misconfigured


def load_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of ``path``, which is made by ``make`` with mode 0600 if it is missing; two makers at once agree on one.

    Raises ``Misconfigured`` when the file is open to others.
    """
    if not path.exists():
        _create(path, make())
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Misconfigured(f"{path} is open to others ({mode:o}); run: chmod 600 {path}", cause="key_file_open")
    return path.read_bytes()


def _create(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)  # unlike a rename, this never replaces a key that somebody else just made
    finally:
        Path(name).unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make new names in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
