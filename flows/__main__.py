"""``python -m flows``: one worker process. ``stint worker`` and ``stint up`` start it."""

from __future__ import annotations

from config.hub import process_hub
from config.logs import configure_logs
from flows.worker import work

if __name__ == "__main__":
    configure_logs("worker")
    hub = process_hub()
    try:
        work(hub)
    finally:
        hub.close()
