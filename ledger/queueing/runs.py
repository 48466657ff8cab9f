"""Which flow run carries out which job, so that a job that is taken up again continues the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.database import Tx


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A flow run of a job. ``number`` counts the job's runs from 1; ``state`` is ``running`` or how it ended; ``ended_at`` is missing while it runs."""

    job_id: int
    number: int
    flow_run_id: UUID
    process: str
    engagement_id: UUID | None
    state: str
    started_at: datetime
    ended_at: datetime | None


def number(tx: Tx, job_id: int) -> int:
    """Which run of the job is on: the unfinished one, after a crash, or else the next."""
    row = tx.the(
        "SELECT count(*) FILTER (WHERE ended_at IS NOT NULL) + 1 AS number FROM flow_runs WHERE job_id = %(job_id)s",
        job_id=job_id,
    )
    return int(row["number"])


def remember(tx: Tx, job_id: int, number: int, flow_run_id: UUID, *, process: str, engagement_ids: Sequence[UUID]) -> None:
    """Keep a run of the job, and the engagements that it is about; one that is kept already stays."""
    tx.execute(
        """
        INSERT INTO flow_runs (tenant, job_id, number, flow_run_id, process, engagement_id, together, state)
        VALUES (%(tenant)s, %(job_id)s, %(number)s, %(flow_run_id)s, %(process)s, %(engagement_id)s, %(together)s, 'running')
        ON CONFLICT (tenant, job_id, number) DO NOTHING
        """,
        tenant=tx.tenant,
        job_id=job_id,
        number=number,
        flow_run_id=flow_run_id,
        process=process,
        engagement_id=engagement_ids[0] if len(engagement_ids) == 1 else None,
        together=list(engagement_ids) if len(engagement_ids) > 1 else [],
    )


def flow_run_of(tx: Tx, job_id: int) -> UUID | None:
    """The job's latest run."""
    row = tx.one("SELECT flow_run_id FROM flow_runs WHERE job_id = %(job_id)s ORDER BY number DESC LIMIT 1", job_id=job_id)
    return None if row is None else UUID(str(row["flow_run_id"]))


def finish(tx: Tx, job_id: int, number: int, state: str) -> None:
    """A run of the job ended in ``state``."""
    tx.execute(
        """
        UPDATE flow_runs SET state = %(state)s, ended_at = clock_timestamp()
        WHERE job_id = %(job_id)s AND number = %(number)s AND ended_at IS NULL
        """,
        state=state,
        job_id=job_id,
        number=number,
    )


def list_for(tx: Tx, engagement_id: UUID) -> list[FlowRun]:
    """The engagement's runs, newest first, those that it shared with others included."""
    rows = tx.all(
        """
        SELECT job_id, number, flow_run_id, process, engagement_id, state, started_at, ended_at
        FROM flow_runs WHERE engagement_id = %(engagement_id)s OR together @> ARRAY[%(engagement_id)s::uuid]
        ORDER BY started_at DESC
        """,
        engagement_id=engagement_id,
    )
    return [FlowRun(**row) for row in rows]
