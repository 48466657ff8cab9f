"""A job while it runs, and when it is tried again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

TASK = "stint"
"""The queue knows one task; the job's name is among its arguments, so that an unknown name is ours to handle."""

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_VENDOR_PAUSE_SECONDS = 86_400.0


class Lane(StrEnum):
    """Which slots a job uses: each lane has its own, so that none starves behind another."""

    REVOKE = "revoke"
    SYNC = "sync"
    BULK = "bulk"


_LONGEST_PAUSE_SECONDS = {Lane.REVOKE: 300.0, Lane.SYNC: 900.0, Lane.BULK: 60.0}


@dataclass(frozen=True, slots=True)
class RunningJob:
    """What a handler gets. ``attempt`` counts from 1, over crashes too."""

    job_id: int
    name: str
    tenant: str
    lane: Lane
    attempt: int
    args: Mapping[str, str]

    @property
    def run(self) -> str:
        """The identity of this attempt: what owns effects while it runs."""
        return f"{self.name}-{self.job_id}.{self.attempt}"


def pause_seconds(lane: Lane, attempt: int, after_seconds: float | None = None) -> float:
    """How long to wait after the failed ``attempt``: what the vendor wishes, or twice as long each time, with jitter.

    A vendor's wish is never undercut, except one of more than a day.
    """
    if after_seconds is not None:
        return min(max(after_seconds, 0.0), _LONGEST_VENDOR_PAUSE_SECONDS)
    longest = _LONGEST_PAUSE_SECONDS[lane]
    full = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 20), longest)
    return full * random.uniform(0.5, 1.0)  # noqa: S311  spreads load, protects nothing
