"""The processes of one installation: their command lines, environments, folders and health addresses. Starts nothing itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from config.hub import prefect_database_url
from config.keys import prefect_auth
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    """One process. ``health_url`` answers 200 once it is ready; ``None`` where being alive is all there is to know.

    It is run in ``folder``, so that it reads no ``stint.toml`` of the place where its parent happens to be.
    """

    name: str
    command: tuple[str, ...]
    health_url: str | None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path | None = None


def receiver(settings: Settings) -> Service:
    """The receiver and REST API."""
    command = (sys.executable, "-m", "console")
    return Service("receiver", command, f"{settings.receiver_url}/readyz", environment_of(settings), settings.data_dir)


def worker(settings: Settings) -> Service:
    """A worker."""
    environment = {**environment_of(settings), **prefect_client(settings)}
    return Service("worker", (sys.executable, "-m", "flows"), None, environment, settings.data_dir)


def prefect_server(settings: Settings) -> Service:
    """Prefect's server with its dashboard, on loopback, in its own database."""
    command = (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(settings.prefect_port))
    environment = {**_inherited(), **prefect_client(settings), **_prefect_server_environment(settings)}
    return Service("prefect", command, f"{settings.prefect_api}/health", environment, settings.data_dir)


def prefect_client(settings: Settings) -> dict[str, str]:
    """The environment of a process that talks to Prefect."""
    home = settings.prefect_home
    return {
        "PREFECT_API_URL": settings.prefect_api,
        "PREFECT_API_AUTH_STRING": prefect_auth(settings),
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_LOCAL_STORAGE_PATH": str(settings.prefect_results),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "no_proxy": _no_proxy(),
    }


def _prefect_server_environment(settings: Settings) -> dict[str, str]:
    """Measured settings: batches make it twice as fast, and services that Stint does not use stay off."""
    database_url = prefect_database_url(settings)
    return {
        "PREFECT_API_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_API_AUTH_STRING": prefect_auth(settings),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "50",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    }


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment of this process with ``settings`` in place of its own, so that a child reads what its parent decided."""
    explicit = {
        f"STINT_{name.upper()}": str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)
        for name in Settings.model_fields
        if (value := getattr(settings, name)) is not None
    }
    return {**_inherited(), **explicit}


def _inherited() -> dict[str, str]:
    """Our environment without settings: one that the parent decided to leave unset would come back. Other secrets stay."""
    names = {f"STINT_{name.upper()}" for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in names}


def _no_proxy() -> str:
    """The hosts that no proxy is asked for: those of the environment, and loopback, where Prefect's server listens."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return ",".join(filter(None, (given, "127.0.0.1", "localhost")))
