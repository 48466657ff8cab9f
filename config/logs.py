"""Structured logs: one JSON object a line, an event name and ids, never payloads."""

from __future__ import annotations

import logging
import sys

import structlog

_LEVELS = {"prefect": logging.WARNING, "procrastinate": logging.WARNING, "httpx": logging.WARNING, "alembic": logging.WARNING}


def configure_logs(process: str, *, level: int = logging.INFO) -> None:
    """Send this process's logs, from ``level`` on, to standard error as JSON lines that carry ``process``."""
    logging.basicConfig(stream=sys.stderr, level=level, format="%(message)s")
    for name, least in _LEVELS.items():
        logging.getLogger(name).setLevel(least)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
