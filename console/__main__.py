"""``python -m console``: one receiver process. ``stint receiver`` and ``stint up`` start it."""

from __future__ import annotations

import sys

import uvicorn

from config.hub import process_hub
from config.keys import api_token
from config.logs import configure_logs
from config.settings import Settings
from console.app import build_app
from workforce.errors import HubError

if __name__ == "__main__":
    configure_logs("receiver")
    try:
        settings = Settings()
        app = build_app(process_hub, api_token=api_token(settings), max_body_bytes=settings.max_body_bytes)
    except HubError as error:
        sys.exit(f"receiver: {error}")
    uvicorn.run(app, host=settings.receiver_host, port=settings.receiver_port, log_level="warning", access_log=False)
