"""Running a flow in this process as a Prefect run that can be resumed: the same job gives the same run.

The run is created with an idempotency key from the job, so that after ``kill -9`` the same run goes on and its finished steps are
not repeated. Prefect does not fence; the ledger's effects and epochs do.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectSignal
from prefect.flow_engine import run_flow_sync

from config import loopback
from workforce.errors import RetryLater

HEALTH_CACHE_SECONDS = 1.0
RESULT_SECONDS = 7 * 86400.0
PREFECTS_FAULTS = frozenset({"prefect_failed", "prefect_refused"})
"""The causes of a ``RetryLater`` that is about Prefect and says nothing about our work."""
_PREFECTS_OWN = frozenset({"prefect", "httpx", "httpcore", "anyio"})


class PrefectRuns:
    """Creates and runs flow runs against one Prefect API."""

    def __init__(self, api_url: str, *, health_cache_seconds: float = HEALTH_CACHE_SECONDS) -> None:
        self._api_url = api_url
        self._health_cache_seconds = health_cache_seconds
        self._lock = threading.Lock()
        self._flow_ids: dict[str, UUID] = {}
        self._health: tuple[float, bool] = (-math.inf, False)

    def is_up(self) -> bool:
        """Whether Prefect's API answers now; remembered for ``health_cache_seconds``."""
        checked, healthy = self._health
        now = time.monotonic()
        if now - checked < self._health_cache_seconds:
            return healthy
        # A server elsewhere is reached as Prefect's own client reaches it: through the environment's proxies.
        healthy = loopback.answers(f"{self._api_url}/health", straight=loopback.is_loopback(self._api_url))
        self._health = (now, healthy)
        return healthy

    def create(self, flow: Flow[..., Any], *, key: str, name: str, tags: Sequence[str], parameters: dict[str, Any]) -> FlowRun:
        """The run for ``key``: a new one, or the one that an earlier attempt of the same job made. Raises ``RetryLater``."""
        with prefect_as_retry_later(), get_client(sync_client=True) as client:
            body = {
                "flow_id": str(self._flow_id(client, flow)),
                "name": name,
                "parameters": parameters,
                "tags": list(tags),
                "idempotency_key": key,
                "state": {"type": "PENDING"},
            }
            answer = client.request("POST", "/flow_runs/", content=json.dumps(body))
            if not answer.is_success:
                raise RetryLater(f"Prefect answered {answer.status_code} to a new run", cause="prefect_refused")
            return FlowRun.model_validate(answer.json())

    def _flow_id(self, client: SyncPrefectClient, flow: Flow[..., Any]) -> UUID:
        with self._lock:
            if flow.name not in self._flow_ids:
                self._flow_ids[flow.name] = client.create_flow(flow)
            return self._flow_ids[flow.name]


def run_here(flow: Flow[..., Any], flow_run: FlowRun, parameters: dict[str, Any]) -> None:
    """Run ``flow_run`` in this thread; a run that was cut off is resumed.

    Raises what the flow raises, and ``RetryLater`` when Prefect itself gives up on the way.
    """
    with prefect_as_retry_later():
        run_flow_sync(flow, flow_run=flow_run, parameters=parameters)


@contextmanager
def prefect_as_retry_later() -> Iterator[None]:
    """Translate the troubles of Prefect and of its HTTP client into ``RetryLater``; they say nothing about our work.

    Its signals are among them: a run that was cancelled on the dashboard ends in an ``Abort``, which is no ``Exception`` and would
    pass by whoever decides what becomes of the job.
    """
    try:
        yield
    except (Exception, PrefectSignal) as error:
        if type(error).__module__.partition(".")[0] in _PREFECTS_OWN:
            raise RetryLater(f"Prefect could not go on ({type(error).__name__})", cause="prefect_failed") from error
        raise


def drop_old_results(folder: Path, *, older_than_seconds: float = RESULT_SECONDS) -> int:
    """Delete results that no run can need any more (a run is resumed within its job's life); how many."""
    dropped = 0
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.is_file() and time.time() - path.stat().st_mtime > older_than_seconds:
            path.unlink(missing_ok=True)
            dropped += 1
    return dropped
