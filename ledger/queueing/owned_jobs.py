"""Job states that only the job's present owner may change.

procrastinate finishes and retries a job by its id alone. A worker that was stopped for longer than its lease, and whose job has been
given to another, would so finish the other's run when it wakes; with a failing second run the job would be lost. Here an ending counts only
for the attempt that it belongs to, because every way back into the queue counts the attempts up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import structlog
from procrastinate import exceptions, jobs, manager
from procrastinate.connector import BaseConnector

log = structlog.get_logger()

_PAUSE_SECONDS = 1.0

# Whoever waits for the same lock is announced, or it would lie there until the next poll.
_FINISH = """
    WITH finished AS (
        UPDATE procrastinate_jobs SET status = %(status)s::procrastinate_job_status, attempts = attempts + 1, abort_requested = false
        WHERE id = %(id)s AND status = 'doing' AND attempts = %(attempts)s
        RETURNING lock
    ), next AS (
        SELECT id, queue_name FROM procrastinate_jobs
        WHERE status = 'todo' AND lock = (SELECT lock FROM finished)
        ORDER BY priority DESC, id LIMIT 1
    ), woken AS (
        SELECT pg_notify('procrastinate_queue_v1#' || queue_name, json_build_object('type', 'job_inserted', 'job_id', id)::text)
        FROM next
    )
    SELECT (SELECT count(*) FROM finished) AS number, (SELECT count(*) FROM woken) AS woken
"""
# The key is given up: a job with the same key may have been added meanwhile, and waits behind this one for the same lock. A revocation
# that was asked for again while it ran is done again at once, by this job: the other would wait out the pause behind it.
_RETRY = """
    WITH ours AS (
        SELECT id, queue_name, lock, args FROM procrastinate_jobs
        WHERE id = %(id)s AND status = 'doing' AND attempts = %(attempts)s
        FOR UPDATE
    ), absorbed AS (
        UPDATE procrastinate_jobs AS other SET status = 'cancelled'
        FROM ours
        WHERE ours.queue_name = 'revoke' AND other.lock = ours.lock AND other.args = ours.args
          AND other.status = 'todo' AND other.scheduled_at IS NULL
        RETURNING other.id
    ), retried AS (
        UPDATE procrastinate_jobs AS job
        SET status = 'todo', attempts = attempts + 1, queueing_lock = NULL, abort_requested = false,
            scheduled_at = CASE WHEN EXISTS (SELECT 1 FROM absorbed) THEN NULL ELSE now() + make_interval(secs => %(seconds)s) END
        FROM ours WHERE job.id = ours.id
        RETURNING job.id
    )
    SELECT count(*) AS number FROM retried
"""
_TAKE_BACK = """
    WITH gone AS (
        DELETE FROM procrastinate_workers
        WHERE last_heartbeat < now() - make_interval(secs => %(lease_seconds)s)
        RETURNING id
    ), orphaned AS (
        SELECT id FROM procrastinate_jobs
        WHERE status = 'doing' AND (worker_id IS NULL OR worker_id IN (SELECT id FROM gone))
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE procrastinate_jobs AS job
        SET status = 'todo', attempts = attempts + 1, queueing_lock = NULL, abort_requested = false, scheduled_at = NULL,
            worker_id = NULL
        FROM orphaned WHERE job.id = orphaned.id
        RETURNING job.id, job.queue_name
    )
    SELECT id, pg_notify('procrastinate_queue_v1#' || queue_name, json_build_object('type', 'job_inserted', 'job_id', id)::text)
    FROM taken
"""

# A worker that slept for longer than its lease was struck off, and puts itself back under its number.
_SHOW_UP = """
    INSERT INTO procrastinate_workers (id) OVERRIDING SYSTEM VALUE VALUES (%(worker_id)s)
    ON CONFLICT (id) DO UPDATE SET last_heartbeat = now()
"""
_RELEASE = """
    UPDATE procrastinate_jobs
    SET status = 'todo', attempts = attempts + 1, queueing_lock = NULL, worker_id = NULL
    WHERE status = 'doing' AND worker_id = %(worker_id)s AND id <> ALL(%(held)s)
"""


class OwnedJobs(manager.JobManager):
    """procrastinate's manager with owned endings, which outlives the database's absence.

    procrastinate's worker stops at a failed query and then waits for its running jobs, however long they take; here the queries are
    simply asked again. Endings are tried again until ``stopping``.
    """

    def __init__(self, connector: BaseConnector, *, stopping: Callable[[], bool]) -> None:
        super().__init__(connector)
        self._stopping = stopping
        self._held: dict[int | None, int] = {}
        self._in_doubt: set[int] = set()

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> jobs.Job | None:
        """The next job, or ``None`` when there is none or the database is away.

        A fetch whose reply was lost may have given us a job that we never saw: such jobs are released before the next fetch.
        """
        try:
            if worker_id in self._in_doubt:
                await self.update_heartbeat(worker_id)
                await self.connector.execute_query_async(_RELEASE, worker_id=worker_id, held=list(self._held))
                self._in_doubt.discard(worker_id)
                log.info("queue.back", worker_id=worker_id)
            job = await super().fetch_job(queues, worker_id)
        except exceptions.ConnectorException as error:
            if worker_id not in self._in_doubt:
                log.warning("queue.unavailable", worker_id=worker_id, error=type(error.__cause__).__name__)
            self._in_doubt.add(worker_id)
            return None
        if job is not None:
            self._held[job.id] = job.attempts
        return job

    async def update_heartbeat(self, worker_id: int) -> None:
        """Show that the worker lives. A failed one is followed by the next."""
        with contextlib.suppress(exceptions.ConnectorException):
            await self.connector.execute_query_async(_SHOW_UP, worker_id=worker_id)

    async def listen_for_jobs(
        self, *, on_notification: manager.NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Listen until cancelled, over the loss of the connection."""
        while True:
            with contextlib.suppress(exceptions.ConnectorException):
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def finish_job(self, job: jobs.Job, status: jobs.Status, delete_job: bool) -> None:  # noqa: ARG002  inherited
        """End the attempt, if the job is still ours."""
        await self._end(_FINISH, job, status=status.value)

    async def retry_job(
        self,
        job: jobs.Job,
        retry_at: datetime | None = None,
        priority: int | None = None,  # noqa: ARG002  inherited
        queue: str | None = None,  # noqa: ARG002  inherited
        lock: str | None = None,  # noqa: ARG002  inherited
    ) -> None:
        """Put the job back, if it is still ours. The pause is counted by the database's clock, not by this machine's."""
        pause = (retry_at - datetime.now(UTC)).total_seconds() if retry_at else 0.0
        await self._end(_RETRY, job, seconds=max(pause, 0.0))

    async def take_back(self, lease_seconds: float) -> list[int]:
        """Put back the jobs whose worker has not shown itself for ``lease_seconds``; their ids."""
        rows = await self.connector.execute_query_all_async(_TAKE_BACK, lease_seconds=lease_seconds)
        return [row["id"] for row in rows]

    async def _end(self, statement: str, job: jobs.Job, **values: object) -> None:
        while True:
            try:
                row = await self.connector.execute_query_one_async(statement, id=job.id, attempts=job.attempts, **values)
                break
            except exceptions.ConnectorException:
                if self._stopping():
                    raise  # the lease runs out, and another worker takes the job back
                await asyncio.sleep(_PAUSE_SECONDS)
        if self._held.get(job.id) == job.attempts:
            del self._held[job.id]
        if row["number"] == 0:
            log.warning("job.not_ours_any_more", job_id=job.id, attempt=job.attempts + 1)
