"""A job as a Prefect run: one for each try that Prefect took up, remembered while it runs, with how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect import Flow

from flows.prefect_runs import PrefectRuns, run_here
from ledger.database import Database
from ledger.queueing import runs
from ledger.queueing.queue import RunningJob
from workforce.errors import HubError


def run_job(
    database: Database,
    prefect: PrefectRuns,
    job: RunningJob,
    flow: Flow[..., Any],
    *,
    label: str,
    engagement_ids: Sequence[UUID],
    parameters: dict[str, Any],
) -> None:
    """Run ``flow`` in this thread as the run that ``job`` is at: a new one, or the one that was cut off. ``label`` names it on the dashboard.

    Raises what the flow raises, and ``RetryLater`` (causes ``PREFECTS_FAULTS``) when Prefect itself gives up.
    """
    with database.transaction(job.tenant) as tx:
        number = runs.number(tx, job.job_id)
    flow_run = prefect.create(
        flow,
        key=f"{job.tenant}-{job.job_id}-{number}",
        name=f"{flow.name} · {job.tenant} · {label}",
        tags=[f"tenant:{job.tenant}", *(f"engagement:{each}" for each in engagement_ids)],
        parameters=parameters,
    )
    with database.transaction(job.tenant) as tx:
        runs.remember(tx, job.job_id, number, flow_run.id, process=flow.name, engagement_ids=engagement_ids)
    ended = "defect"
    try:
        run_here(flow, flow_run, parameters)
        ended = "completed"
    except HubError as error:
        ended = error.cause
        raise
    finally:
        with database.transaction(job.tenant) as tx:
            runs.finish(tx, job.job_id, number, ended)
