"""Commands as somebody types them, in an installation on the ledger of a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import typer
from structlog.testing import capture_logs
from typer.testing import CliRunner

from tests.integration.installed import Installed

Stint = Callable[..., Any]


def typed_at(installed: Installed, app: typer.Typer, *first: str, columns: int = 250) -> Stint:
    """Runs a command of ``app``, the words ``first`` before those that are typed; its exit code and what it printed."""
    environment = {
        "STINT_DATABASE_URL": installed.hub.database.dsn,
        "STINT_DATA_DIR": str(installed.hub.settings.data_dir),
        "STINT_INTERNAL_HOSTS": "localhost",
        "COLUMNS": str(columns),
    }

    def run(*arguments: str) -> Any:
        with capture_logs():  # the entry point has only warnings logged
            return CliRunner().invoke(app, [*first, *arguments], env=environment)

    return run


def told(answer: Any) -> Any:
    """The one JSON value of a command that succeeded."""
    assert answer.exit_code == 0, answer.stdout + answer.stderr
    return json.loads(answer.stdout)
