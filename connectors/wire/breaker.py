"""A circuit breaker per connector instance: a vendor that does not serve is left alone for a while, and tried by one call at a time.

It keeps one sick vendor from holding every worker for the length of a timeout. A revocation passes it: it is tried at any rate.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from workforce.errors import RetryLater
from workforce.urgency import is_revoking

log = structlog.get_logger(__name__)

FAILURES_TO_OPEN = 5
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0


class Breaker:
    """Counts failures in a row. Thread-safe. "Unavailable" is logged once, at the first, and "back" once, at the next success."""

    def __init__(self, system: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._system, self._monotonic = system, monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._closed_again_at = 0.0
        self._on_trial = False

    def admit(self) -> None:
        """Let a call pass, or raise ``RetryLater`` with the rest of the pause. After each pause one call goes first."""
        with self._lock:
            if self._failures < FAILURES_TO_OPEN or is_revoking():
                return
            rest = self._closed_again_at - self._monotonic()
            if rest <= 0:
                self._closed_again_at = self._monotonic() + self._pause  # the others wait for what becomes of this one
                self._on_trial = True
                return
        message = f"{self._system}: it does not serve; it is tried again in {rest:.0f} s"
        raise RetryLater(message, cause="circuit_open", after_seconds=rest)

    def failed(self, cause: str) -> None:
        """A call met no working vendor."""
        with self._lock:
            self._failures += 1
            if self._failures == 1:
                log.warning("system.unavailable", system=self._system, cause=cause)
            if self._failures == FAILURES_TO_OPEN or self._on_trial:  # others only come late: they set out before
                self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS) if self._on_trial else FIRST_PAUSE_SECONDS
                self._closed_again_at = self._monotonic() + self._pause
                self._on_trial = False

    def served(self) -> None:
        """A call was answered, whatever the answer."""
        with self._lock:
            if self._failures:
                log.info("system.back", system=self._system, failures=self._failures)
            self._failures, self._on_trial = 0, False
