"""``python -m flows``: one worker process. ``stint worker`` and ``stint up`` start it."""

from __future__ import annotations

import sys

from config.hub import process_hub
from config.logs import configure_logs
from flows.worker import work
from workforce.errors import HubError

if __name__ == "__main__":
    configure_logs("worker")
    try:
        hub = process_hub()
    except HubError as error:
        sys.exit(f"worker: {error}")
    try:
        work(hub)
    finally:
        hub.close()
