"""Folders of this machine: what the system refuses is told by the field that is to be mended."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from connectors.protocols.folders import LocalFolders
from workforce.errors import Misconfigured

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - another file system than that of temporary folders, nearly everywhere


def test_a_folder_on_another_file_system_is_named(tmp_path: Path) -> None:
    if not SHARED_MEMORY.is_dir() or SHARED_MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with TemporaryDirectory(dir=SHARED_MEMORY) as elsewhere:
        (tmp_path / "1.csv").write_bytes(b"x")
        folders = LocalFolders({str(tmp_path): "inbox", elsewhere: "archive"}, [tmp_path, Path(elsewhere)])
        with pytest.raises(Misconfigured) as raised:
            folders.move(str(tmp_path), "1.csv", elsewhere, "1.csv")
    assert (raised.value.cause, raised.value.field) == ("other_file_system", "archive")
    assert (tmp_path / "1.csv").exists()


def test_a_file_that_is_gone_was_moved_already(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    folders = LocalFolders({}, [tmp_path])
    folders.move(str(tmp_path / "a"), "1.csv", str(tmp_path / "b"), "1.csv")
    assert folders.entries(str(tmp_path / "b")) == []
