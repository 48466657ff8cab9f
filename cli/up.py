"""``stint up``: the whole installation on this machine, until it is told to stop."""

from __future__ import annotations

import time
from functools import partial

from rich.console import Console

from cli.installation import running_database
from cli.output import print_json
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


def up(settings: Settings, *, as_json: bool = False) -> None:
    """Run everything until SIGTERM or Ctrl-C. A process that ends by itself is started again; the others go on.

    ``as_json`` prints one JSON object once everything is ready, and nothing else on standard output. Raises ``Misconfigured`` for a
    process that does not get ready.
    """
    errors = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    console, started = Console(quiet=as_json, soft_wrap=True), time.monotonic()
    dashboard = settings.prefect_api.removesuffix("/api")
    with until_signalled() as signalled, running_database(settings), Supervisor(settings.logs_dir) as supervisor:
        start_services(supervisor, settings)
        mend = partial(supervisor.mend, errors.print)
        supervisor.wait_ready("receiver", START_SECONDS)
        receiver_ready = time.monotonic() - started
        console.print(f"receiver ready after {receiver_ready:.1f} s: {settings.receiver_url} (API: /docs)")
        if settings.prefect_api_url is None:
            supervisor.wait_ready("prefect", START_SECONDS, while_waiting=mend)
        everything_ready = time.monotonic() - started
        console.print(f"everything ready after {everything_ready:.1f} s; Prefect dashboard: {dashboard}")
        console.print(f"logs: {settings.logs_dir} · stop with Ctrl-C")
        if as_json:
            ready = {"receiver_ready_s": round(receiver_ready, 2), "everything_ready_s": round(everything_ready, 2)}
            print_json({"ok": True, "receiver": settings.receiver_url, "prefect": dashboard, **ready})
        while not signalled():
            mend()
            time.sleep(WATCH_SECONDS)
        console.print("stopping")
