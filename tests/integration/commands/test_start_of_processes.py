"""A process that cannot start says why in one line; a supervisor or an administrator reads it, not a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 60


def run(module: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module`` in ``folder``, from which the packages are importable only because they are installed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STINT_")}
    return subprocess.run(  # noqa: S603  our own modules
        [sys.executable, "-m", module],
        cwd=folder,
        env={**inherited, "STINT_DATA_DIR": str(folder / "data"), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_a_worker_without_its_database_ends_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as nobody:  # bound, but it takes no connections
        nobody.bind(("127.0.0.1", 0))
        database = f"host=127.0.0.1 port={nobody.getsockname()[1]} dbname=stint"
        ended = run("flows", tmp_path, STINT_DATABASE_URL=database)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("worker: the database cannot do this now")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("module", "name"), [("flows", "worker"), ("console", "receiver")])
def test_a_process_with_an_unreadable_settings_file_ends_with_one_line(tmp_path: Path, module: str, name: str) -> None:
    (tmp_path / "stint.toml").write_text("database_url = [")
    ended = run(module, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{name}: stint.toml: not readable as TOML")
    assert len(ended.stderr.splitlines()) == 1
