"""The durable queue: jobs are deferred in the transaction of the row that causes them.

``procrastinate`` holds the jobs. Of the jobs that share a lock, one runs at a time, and the others wait in the order of priority, then of
age, *also while the first one waits for its not-before time*. That keeps an engagement's jobs in order through an outage; and it is
why a job that must overtake (a revocation) has a lock of its own (``revoke:<engagement>``) and leaves the rest to fencing, and why
work for a distant time is a timer and not a job with ``not_before``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg

from ledger.database import Database, Row, Tx
from ledger.queueing.queue_worker import Worker
from ledger.queueing.running_job import TASK, Lane, RunningJob

__all__ = ["Job", "JobState", "Lane", "RunningJob", "Worker", "defer", "depth", "prune", "state"]

_PRIORITIES = {Lane.REVOKE: 20, Lane.SYNC: 10, Lane.BULK: 0}
_YIELDING = 5


class JobState(StrEnum):
    """How far a job is."""

    WAITING = "todo"
    RUNNING = "doing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Job:
    """Work to do. ``args`` are ids, never personal data.

    Of the jobs with one ``lock`` one runs at a time. While a job with the same ``key`` waits, another is not added. One that ``yields``
    lets the others of its lane go first, however old it is.
    """

    name: str
    args: Mapping[str, str]
    lane: Lane
    lock: str
    key: str | None = None
    not_before: datetime | None = None
    yields: bool = False


def defer(tx: Tx, tenant: str, job: Job, *, pull_forward: bool = False) -> int:
    """Add ``job``, to be seen by workers once ``tx`` commits; its id, or that of a waiting job that does as well.

    That is one with the same key or, to ``pull_forward``, one with the same lock and arguments, whose not-before time is then dropped:
    it was put back for later, and a new job would wait behind it. Locks and keys are the tenant's own. The waiting job cannot start
    before ``tx`` commits, so it sees what ``tx`` wrote.
    """
    lock, key = f"{tenant}:{job.lock}", None if job.key is None else f"{tenant}:{job.key}"
    args = {"name": job.name, "tenant": tenant, "args": job.args}
    while True:
        waiting = _pulled_forward(tx, lock, args) if pull_forward else None
        if waiting is None and key is not None:
            waiting = _waiting(tx, key)
        if waiting is not None:
            _wake(tx, job.lane, waiting)
            return waiting
        try:
            with tx.savepoint():
                return _insert(tx, job, lock, key, args)
        except psycopg.errors.UniqueViolation:
            continue  # somebody else added it and committed in between


def state(tx: Tx, job_id: int) -> JobState | None:
    """How far a job is; ``None`` once it was pruned."""
    row = tx.one("SELECT status FROM procrastinate_jobs WHERE id = %(id)s", id=job_id)
    return None if row is None else JobState(row["status"])


def depth(database: Database) -> dict[Lane, int]:
    """How many jobs wait in each lane, of all tenants."""
    with database.system() as tx:
        rows = tx.all("SELECT queue_name, count(*) AS number FROM procrastinate_jobs WHERE status = 'todo' GROUP BY queue_name")
    counted = {row["queue_name"]: row["number"] for row in rows}
    return {lane: int(counted.get(lane, 0)) for lane in Lane}


def prune(database: Database, *, older_than_hours: int = 72, batch: int = 10_000) -> int:
    """Delete finished jobs (the audit trail keeps what they did), ``batch`` in a transaction; how many."""
    pruned = 0
    while True:
        deleted = _prune_batch(database, older_than_hours, batch)
        pruned += deleted
        if deleted < batch:
            return pruned


def _prune_batch(database: Database, older_than_hours: int, batch: int) -> int:
    with database.system() as tx:
        return tx.execute(
            """
            DELETE FROM procrastinate_jobs WHERE id IN (
                SELECT id FROM procrastinate_jobs AS job
                WHERE status IN ('succeeded', 'failed', 'cancelled', 'aborted')
                  AND NOT EXISTS (
                      SELECT 1 FROM procrastinate_events AS event
                      WHERE event.job_id = job.id AND event.at > now() - make_interval(hours => %(hours)s)
                  )
                LIMIT %(batch)s
                FOR UPDATE SKIP LOCKED
            )
            """,
            hours=older_than_hours,
            batch=batch,
        )


def _waiting(tx: Tx, key: str) -> int | None:
    row = tx.one("SELECT id FROM procrastinate_jobs WHERE queueing_lock = %(key)s AND status = 'todo' FOR SHARE", key=key)
    return None if row is None else int(row["id"])


def _pulled_forward(tx: Tx, lock: str, args: Mapping[str, object]) -> int | None:
    """The first waiting job with this lock and these arguments, with no not-before time any more."""
    row = tx.one(
        """
        UPDATE procrastinate_jobs SET scheduled_at = NULL
        WHERE id = (
            SELECT id FROM procrastinate_jobs
            WHERE lock = %(lock)s AND args = %(args)s AND status = 'todo'
            ORDER BY priority DESC, id LIMIT 1
            FOR UPDATE
        )
        RETURNING id
        """,
        lock=lock,
        args=args,
    )
    return None if row is None else int(row["id"])


def _insert(tx: Tx, job: Job, lock: str, key: str | None, args: Mapping[str, object]) -> int:
    row: Row = tx.the(
        """
        SELECT unnest(procrastinate_defer_jobs_v1(ARRAY[
            ROW(%(lane)s, %(task)s, %(priority)s, %(lock)s, %(key)s, %(args)s, %(not_before)s)::procrastinate_job_to_defer_v1
        ])) AS id
        """,
        lane=job.lane,
        task=TASK,
        priority=_PRIORITIES[job.lane] - (_YIELDING if job.yields else 0),
        lock=lock,
        key=key,
        args=args,
        not_before=job.not_before,
    )
    return int(row["id"])


def _wake(tx: Tx, lane: Lane, job_id: int) -> None:
    """A worker that asked while we held the waiting job has passed it over: have it ask again after the commit."""
    tx.one(
        "SELECT pg_notify('procrastinate_queue_v1#' || %(lane)s, %(notice)s)",
        lane=lane,
        notice=json.dumps({"type": "job_inserted", "job_id": job_id}),
    )
