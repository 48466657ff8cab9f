"""The worker of the queue: handlers are synchronous functions run in threads; each lane has slots of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import psycopg
import structlog
from procrastinate import App, PsycopgConnector, RetryDecision, exceptions, jobs
from procrastinate.job_context import JobContext
from procrastinate.retry import BaseRetryStrategy
from psycopg_pool import AsyncConnectionPool

from ledger.database import Database
from ledger.queueing.owned_jobs import OwnedJobs
from ledger.queueing.running_job import TASK, Lane, RunningJob, pause_seconds
from workforce.errors import Fenced, Misconfigured, OutcomeUnknown, RetryLater

log = structlog.get_logger()

Handler = Callable[[RunningJob], None]
OnFailed = Callable[[RunningJob, Exception], None]

_POLL_SECONDS = 1.0  # NOTIFY brings new jobs at once; polling is for those whose not-before time has come
_RESTART_SECONDS = 1.0
_BULK_SLOTS = 1


class _Again(Exception):
    """The job goes back to the queue for ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.1f} s")
        self.seconds = seconds


class _Retry(BaseRetryStrategy):
    """What goes back: what asks for it, and a revocation whatever stopped it, be it a defect or the parking itself."""

    def get_retry_decision(self, *, exception: BaseException, job: jobs.Job) -> RetryDecision | None:
        if isinstance(exception, _Again):
            seconds = exception.seconds
        elif job.queue == Lane.REVOKE:
            seconds = pause_seconds(Lane.REVOKE, job.attempts + 1)
        else:
            return None
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=seconds))


class Worker:
    """Runs jobs until it is told to stop.

    What a handler raises decides: ``RetryLater`` and ``OutcomeUnknown`` put the job back, ``max_attempts`` times; ``Fenced`` ends it
    quietly; anything else ends it as failed, after ``on_failed`` has parked it. A revocation ends only by being done: whatever is
    raised puts it back, for ever, and ``on_failed`` merely tells. A worker that does not show itself for ``lease_seconds`` loses its
    jobs to the others; so vendor calls must be shorter than that.
    """

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        *,
        on_failed: OnFailed,
        revoke_slots: int = 2,
        sync_slots: int = 4,
        lease_seconds: float = 30.0,
        max_attempts: int = 20,
        name: str = "worker",
    ) -> None:
        self._dsn = database.dsn
        self._handlers = handlers
        self._on_failed = on_failed
        self._lanes: tuple[tuple[Sequence[Lane], int], ...] = (
            ((Lane.REVOKE,), revoke_slots),
            ((Lane.SYNC,), sync_slots),
            ((Lane.BULK,), _BULK_SLOTS),
        )
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._name = name

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; running jobs are finished first. Survives the database being away."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        pools = [ThreadPoolExecutor(slots, thread_name_prefix=lanes[0]) for lanes, slots in self._lanes]
        # Each lane keeps one connection to listen.
        connections = AsyncConnectionPool(
            self._dsn, open=False, min_size=1, max_size=2 + len(self._lanes), timeout=5.0, reconnect_timeout=5.0, kwargs={"connect_timeout": 5},
            configure=_act_as_application, check=AsyncConnectionPool.check_connection,
        )  # fmt: skip
        connector = PsycopgConnector()
        app = App(connector=connector)
        app.job_manager = owned = OwnedJobs(connector, stopping=stop.is_set)
        app.task(name=TASK, pass_context=True, retry=_Retry())(partial(self._perform, _by_lane(self._lanes, pools)))
        async with connections, app.open_async(connections):
            parts = [self._forever(stop, partial(self._lane, app, lanes, slots)) for lanes, slots in self._lanes]
            await self._until_stopped(stop, [*parts, self._forever(stop, partial(self._sweep, owned))])
        for pool in pools:
            pool.shutdown()

    async def _until_stopped(self, stop: threading.Event, parts: Sequence[Coroutine[Any, Any, None]]) -> None:
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            while not stop.is_set():  # noqa: ASYNC110  a threading.Event cannot wake the loop
                await asyncio.sleep(0.1)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _forever(self, stop: threading.Event, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keep one part alive, over the database's absence and over defects; parts do not wait for each other."""
        while not stop.is_set():
            try:
                await part()
            except (exceptions.ConnectorException, psycopg.OperationalError) as error:
                log.warning("worker.database_unavailable", worker=self._name, error=type(error).__name__)
            except Exception:
                log.exception("worker.part_failed", worker=self._name)
            await asyncio.sleep(_RESTART_SECONDS)

    async def _lane(self, app: App, lanes: Sequence[Lane], slots: int) -> None:
        await app.run_worker_async(
            queues=[lane.value for lane in lanes],
            name=f"{self._name}-{lanes[0]}",
            concurrency=slots,
            fetch_job_polling_interval=_POLL_SECONDS,
            install_signal_handlers=False,
            update_heartbeat_interval=self._lease_seconds / 4,
            stalled_worker_timeout=self._lease_seconds,
        )

    async def _sweep(self, owned: OwnedJobs) -> None:
        while True:
            taken = await owned.take_back(self._lease_seconds)
            if taken:
                log.warning("jobs.taken_back", worker=self._name, job_ids=taken)
            await asyncio.sleep(self._lease_seconds / 4)

    async def _perform(self, pools: Mapping[str, ThreadPoolExecutor], context: JobContext, **arguments: Any) -> None:
        job = _running(context.job, arguments)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(pools[job.lane], self._handle, job)

    def _handle(self, job: RunningJob) -> None:
        """Run the handler in this thread, and decide what its error means."""
        with structlog.contextvars.bound_contextvars(job_id=job.job_id, job=job.name, tenant=job.tenant, attempt=job.attempt):
            try:
                self._handlers.get(job.name, _unknown)(job)
            except Fenced as error:
                log.info("job.fenced", cause=error.cause)
                if job.lane is Lane.REVOKE:
                    raise
            except (RetryLater, OutcomeUnknown) as error:
                self._again(job, error)
            except Exception as error:
                log.exception("job.failed", cause=getattr(error, "cause", "defect"))
                self._fail(job, error)
                raise

    def _again(self, job: RunningJob, error: RetryLater | OutcomeUnknown) -> None:
        if job.lane is not Lane.REVOKE and job.attempt >= self._max_attempts:
            log.warning("job.gave_up", cause=error.cause)
            self._fail(job, error)
            raise error
        seconds = pause_seconds(job.lane, job.attempt, getattr(error, "after_seconds", None))
        log.info("job.again", cause=error.cause, seconds=round(seconds, 1))
        raise _Again(seconds) from error

    def _fail(self, job: RunningJob, error: Exception) -> None:
        """Have the failure parked. If that cannot be done now, the job is tried again rather than lost."""
        try:
            self._on_failed(job, error)
        except RetryLater as unavailable:
            raise _Again(pause_seconds(job.lane, job.attempt, unavailable.after_seconds)) from unavailable


def _unknown(job: RunningJob) -> None:
    raise Misconfigured(f"no handler is called {job.name!r}; update this worker, then replay", cause="unknown_job", field="name")


def _running(job: jobs.Job, arguments: Mapping[str, Any]) -> RunningJob:
    return RunningJob(
        job_id=cast("int", job.id),
        name=str(arguments["name"]),
        tenant=str(arguments["tenant"]),
        lane=Lane(job.queue),
        attempt=job.attempts + 1,
        args=dict(arguments["args"]),
    )


def _by_lane(lanes: Sequence[tuple[Sequence[Lane], int]], pools: Sequence[ThreadPoolExecutor]) -> dict[str, ThreadPoolExecutor]:
    return {lane: pool for (names, _), pool in zip(lanes, pools, strict=True) for lane in names}


async def _act_as_application(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute("SET ROLE stint_app")
    await connection.execute("SET statement_timeout = '30s'")
    await connection.commit()
