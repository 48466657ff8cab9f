"""``stint up``: the whole installation on this machine, until it is told to stop."""

from __future__ import annotations

import time

from rich.console import Console

from cli.installation import running_database
from cli.supervisor import Supervisor, until_signalled
from config import services
from config.settings import Settings

START_SECONDS = 120.0
WATCH_SECONDS = 0.5


def start_services(supervisor: Supervisor, settings: Settings) -> None:
    """Start receiver, worker and Prefect's server; the receiver accepts while Prefect is still starting."""
    supervisor.start(services.receiver(settings))
    if settings.prefect_api_url is None:
        supervisor.start(services.prefect_server(settings))
    supervisor.start(services.worker(settings))


def up(settings: Settings) -> None:
    """Run everything until SIGTERM or Ctrl-C. Raises ``Misconfigured`` when a process ends by itself."""
    console, started = Console(), time.monotonic()
    with until_signalled() as signalled, running_database(settings), Supervisor(settings.logs_dir) as supervisor:
        start_services(supervisor, settings)
        supervisor.wait_ready("receiver", START_SECONDS)
        console.print(f"receiver ready after {time.monotonic() - started:.1f} s: {settings.receiver_url} (API: /docs)")
        if settings.prefect_api_url is None:
            supervisor.wait_ready("prefect", START_SECONDS)
        dashboard = settings.prefect_api.removesuffix("/api")
        console.print(f"everything ready after {time.monotonic() - started:.1f} s; Prefect dashboard: {dashboard}")
        console.print(f"logs: {settings.logs_dir} · stop with Ctrl-C")
        while not signalled():
            for name in list(supervisor.processes):
                supervisor.require_alive(name)
            time.sleep(WATCH_SECONDS)
        console.print("stopping")
