from __future__ import annotations

import queue as standard_queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from ledger.database import Database
from ledger.ids import uuid7
from ledger.queueing.jobs import defer_joiner, defer_leaver
from ledger.queueing.queue import Job, JobState, Lane, RunningJob, Worker, defer, depth, prune, state
from tests.integration.ledger_cases import stored_engagement, wait_until_somebody_waits
from workforce.errors import Fenced, HubError, Misconfigured, OutcomeUnknown, Refused, RetryLater

pytestmark = pytest.mark.integration

WAIT_SECONDS = 30


def a_job(name: str = "joiner", **difference: object) -> Job:
    fields: dict[str, object] = {"args": {"engagement_id": "e-1"}, "lane": Lane.SYNC, "lock": f"lock of {name}", **difference}
    return Job(name, **fields)  # type: ignore[arg-type]  # a test's shorthand


def deferred(database: Database, job: Job) -> int:
    with database.transaction("acme") as tx:
        return defer(tx, "acme", job)


@dataclass
class Watched:
    """A running worker and what it did, in order."""

    seen: standard_queue.SimpleQueue[tuple[str, int]] = field(default_factory=standard_queue.SimpleQueue)
    failed: standard_queue.SimpleQueue[tuple[str, Exception]] = field(default_factory=standard_queue.SimpleQueue)

    def next(self) -> tuple[str, int]:
        return self.seen.get(timeout=WAIT_SECONDS)

    def next_failed(self) -> tuple[str, Exception]:
        return self.failed.get(timeout=WAIT_SECONDS)


@contextmanager
def a_worker(
    database: Database,
    act: Callable[[RunningJob], None] = lambda job: None,
    *,
    on_failed: Callable[[RunningJob, Exception], None] | None = None,
    **options: float,
) -> Iterator[Watched]:
    watched, stop = Watched(), threading.Event()

    def handle(job: RunningJob) -> None:
        watched.seen.put((job.name, job.attempt))
        act(job)

    names = ("joiner", "leaver", "poll", "first", "second", "hang")
    worker = Worker(
        database,
        dict.fromkeys(names, handle),
        on_failed=on_failed or (lambda job, error: watched.failed.put((job.name, error))),
        lease_seconds=options.pop("lease_seconds", 30),
        **options,  # type: ignore[arg-type]  # slots are int
    )
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield watched
    finally:
        stop.set()
        thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


def states(database: Database) -> dict[str, int]:
    with database.system() as tx:
        rows = tx.all("SELECT status::text, count(*) AS number FROM procrastinate_jobs GROUP BY status")
    return {row["status"]: row["number"] for row in rows}


def test_a_job_is_deferred_with_the_row_that_causes_it_or_not_at_all(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction("acme") as tx:
        _ = defer(tx, "acme", a_job()) / 0
    assert depth(database) == {Lane.REVOKE: 0, Lane.SYNC: 0, Lane.BULK: 0}
    with database.transaction("acme") as tx:
        defer(tx, "acme", a_job())
        assert depth(database)[Lane.SYNC] == 0
    assert depth(database)[Lane.SYNC] == 1


def test_while_a_job_waits_another_with_its_key_is_not_added_and_the_transaction_goes_on(database: Database) -> None:
    first = deferred(database, a_job(key="k"))
    with database.transaction("acme") as tx:
        assert defer(tx, "acme", a_job(key="k")) == first
        assert defer(tx, "acme", a_job(key="other")) != first
    assert depth(database)[Lane.SYNC] == 2


def test_a_key_that_is_being_added_elsewhere_is_waited_for(dsn: str, database: Database) -> None:
    added: list[int] = []
    with database.transaction("acme") as tx:
        first = defer(tx, "acme", a_job(key="k"))
        other = threading.Thread(target=lambda: added.append(deferred(database, a_job(key="k"))))
        other.start()
        wait_until_somebody_waits(dsn)
    other.join(WAIT_SECONDS)
    assert added == [first]


def test_a_waiting_job_does_not_start_before_what_was_added_to_it_is_committed(database: Database) -> None:
    first = deferred(database, a_job(key="k"))
    with database.transaction("acme") as tx:
        defer(tx, "acme", a_job(key="k"))
        with a_worker(database) as worker:
            deferred(database, a_job("poll"))
            assert worker.next() == ("poll", 1)
            assert worker.seen.empty()
            tx.execute("SELECT 1")
    with a_worker(database) as worker:
        assert worker.next() == ("joiner", 1)
    with database.system() as tx:
        assert state(tx, first) is JobState.SUCCEEDED


def put_back_until_tomorrow(database: Database, job_id: int) -> None:
    """As after a vendor's wish; the key is given up."""
    with database.system() as tx:
        tx.execute(
            "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 day', queueing_lock = NULL WHERE id = %(id)s",
            id=job_id,
        )


def test_a_leaver_that_is_asked_for_again_does_not_wait_for_its_not_before_time(database: Database) -> None:
    engagement_id = uuid7()

    def ask() -> int:
        with database.transaction("acme") as tx:
            defer_leaver(tx, engagement_id)
        with database.system() as tx:
            return int(tx.the("SELECT max(id) AS id FROM procrastinate_jobs")["id"])

    put_back_until_tomorrow(database, first := ask())
    with a_worker(database) as worker:
        assert ask() == first
        assert worker.next() == ("leaver", 1)
    assert ask() != first


def test_a_joiner_is_pulled_forward_unless_it_is_deferred_for_later_itself(database: Database) -> None:
    engagement_id, later = stored_engagement(database).id, datetime.now(UTC) + timedelta(hours=1)

    def due_after(not_before: datetime | None) -> list[bool]:
        with database.transaction("acme") as tx:
            defer_joiner(tx, engagement_id, not_before=not_before)
        with database.system() as tx:
            rows = tx.all("SELECT scheduled_at IS NULL AS due FROM procrastinate_jobs ORDER BY id")
        return [row["due"] for row in rows]

    assert [due_after(later), due_after(later), due_after(None), due_after(later)] == [[False], [False], [True], [True]]


def test_a_job_that_is_pulled_forward_is_the_same_work_or_another_is_added(database: Database) -> None:
    first = deferred(database, a_job())
    with database.transaction("acme") as tx:
        assert defer(tx, "acme", a_job(args={"engagement_id": "e-2"}), pull_forward=True) != first
        assert defer(tx, "acme", a_job(), pull_forward=True) == first


def test_a_revocation_that_is_asked_for_while_it_runs_does_not_wait_out_the_pause_after_it(database: Database) -> None:
    def act(job: RunningJob) -> None:
        if job.attempt == 1:
            deferred(database, a_job("leaver", lane=Lane.REVOKE, key="k"))
            raise RetryLater("busy", after_seconds=3600)

    with a_worker(database, act) as worker:
        deferred(database, a_job("leaver", lane=Lane.REVOKE, key="k"))
        assert [worker.next(), worker.next()] == [("leaver", 1), ("leaver", 2)]
    assert states(database) == {"succeeded": 1, "cancelled": 1}


def test_jobs_run_and_are_done(database: Database) -> None:
    with a_worker(database) as worker:
        deferred(database, a_job("joiner"))
        deferred(database, a_job("leaver", lane=Lane.REVOKE))
        assert {worker.next(), worker.next()} == {("joiner", 1), ("leaver", 1)}
    assert states(database) == {"succeeded": 2}
    assert prune(database, older_than_hours=1) == 0
    assert prune(database, older_than_hours=-1, batch=1) == 2


def test_a_revocation_overtakes_a_full_lane_and_the_lock_of_its_engagement(database: Database) -> None:
    release = threading.Event()
    for number in range(10):
        deferred(database, a_job(lock=f"e-{number}"))
    with a_worker(database, lambda job: None if job.name == "leaver" else wait(release), sync_slots=2) as worker:
        assert [worker.next()[0] for _ in range(2)] == ["joiner"] * 2
        deferred(database, a_job("leaver", lane=Lane.REVOKE, lock="revoke:e-0"))
        assert worker.next() == ("leaver", 1)
        assert depth(database)[Lane.SYNC] == 8
        release.set()


def wait(release: threading.Event) -> None:
    assert release.wait(WAIT_SECONDS)


def test_a_full_lane_of_joiners_does_not_keep_the_polls_waiting(database: Database) -> None:
    release = threading.Event()
    for number in range(3):
        deferred(database, a_job(lock=f"e-{number}"))
    with a_worker(database, lambda job: None if job.name == "poll" else wait(release), sync_slots=2) as worker:
        assert [worker.next()[0] for _ in range(2)] == ["joiner"] * 2
        deferred(database, a_job("poll", lane=Lane.BULK))
        assert worker.next() == ("poll", 1)
        release.set()


def test_sync_goes_before_bulk_and_one_lock_runs_one_job_at_a_time_in_order(database: Database) -> None:
    running = threading.Semaphore(1)

    def alone(job: RunningJob) -> None:
        assert running.acquire(blocking=False)
        running.release()

    for name, lane in (("poll", Lane.BULK), ("first", Lane.SYNC), ("second", Lane.SYNC)):
        deferred(database, a_job(name, lane=lane, lock="e-1"))
    with a_worker(database, alone) as worker:
        assert [worker.next()[0] for _ in range(3)] == ["first", "second", "poll"]
    assert worker.failed.empty()


@pytest.mark.parametrize(
    "error", [RetryLater("busy", after_seconds=0), RetryLater("busy", after_seconds=1.5), OutcomeUnknown("lost")], ids=str
)
def test_what_may_succeed_later_is_tried_again_not_before_its_time(database: Database, error: HubError) -> None:
    times: list[datetime] = []

    def act(job: RunningJob) -> None:
        times.append(datetime.now(UTC))
        if job.attempt == 1:
            raise error

    with a_worker(database, act) as worker:
        deferred(database, a_job())
        assert [worker.next(), worker.next()] == [("joiner", 1), ("joiner", 2)]
    pause = getattr(error, "after_seconds", None)
    assert times[1] - times[0] >= timedelta(seconds=1.0 if pause is None else pause)


def test_a_job_that_goes_back_does_not_collide_with_a_new_one_of_its_key(database: Database) -> None:
    first = deferred(database, a_job(key="k"))

    def act(job: RunningJob) -> None:
        if job.job_id == first and job.attempt == 1:
            deferred(database, a_job(key="k"))
            raise RetryLater("busy", after_seconds=0)

    with a_worker(database, act) as worker:
        assert [worker.next() for _ in range(3)] == [("joiner", 1), ("joiner", 2), ("joiner", 1)]
    assert states(database) == {"succeeded": 2}


@pytest.mark.parametrize("error", [Refused("role: unknown"), Misconfigured("no key"), ZeroDivisionError()], ids=repr)
def test_what_cannot_succeed_fails_and_is_handed_over_for_parking(database: Database, error: Exception) -> None:
    def act(job: RunningJob) -> None:
        raise error

    with a_worker(database, act) as worker:
        deferred(database, a_job())
        assert worker.next_failed() == ("joiner", error)
    assert states(database) == {"failed": 1}


def test_a_fenced_job_ends_quietly_and_an_unknown_one_is_handed_over(database: Database) -> None:
    def act(job: RunningJob) -> None:
        raise Fenced("stale")

    with a_worker(database, act) as worker:
        deferred(database, a_job())
        deferred(database, a_job("not yet invented"))
        name, error = worker.next_failed()
        assert worker.next() == ("joiner", 1)
    assert (name, getattr(error, "cause", None)) == ("not yet invented", "unknown_job")
    assert states(database) == {"succeeded": 1, "failed": 1}
    assert worker.failed.empty()


def test_others_give_up_after_so_many_attempts_and_a_revocation_never_does(database: Database) -> None:
    def act(job: RunningJob) -> None:
        if job.name == "joiner" or job.attempt < 4:
            raise RetryLater("busy", after_seconds=0)

    with a_worker(database, act, max_attempts=2) as worker:
        deferred(database, a_job("joiner"))
        deferred(database, a_job("leaver", lane=Lane.REVOKE))
        assert worker.next_failed()[0] == "joiner"
        seen = [worker.next() for _ in range(6)]
    assert [attempt for name, attempt in seen if name == "leaver"] == [1, 2, 3, 4]
    assert states(database) == {"succeeded": 1, "failed": 1}


@pytest.mark.parametrize(
    "error", [Refused("no"), Fenced("stale"), Misconfigured("no key"), ZeroDivisionError(), SystemExit(1)], ids=repr
)
def test_a_revocation_goes_back_whatever_stops_it(database: Database, error: BaseException) -> None:
    def act(job: RunningJob) -> None:
        if job.attempt == 1:
            raise error

    with a_worker(database, act) as worker:
        deferred(database, a_job("leaver", lane=Lane.REVOKE))
        assert [worker.next(), worker.next()] == [("leaver", 1), ("leaver", 2)]
    assert states(database) == {"succeeded": 1}


def test_a_revocation_goes_back_even_when_its_failure_cannot_be_told(database: Database) -> None:
    def act(job: RunningJob) -> None:
        if job.attempt == 1:
            raise Refused("no")

    def tell(job: RunningJob, error: Exception) -> None:
        with database.transaction(job.tenant) as tx:
            tx.execute("SELECT %(text)s::text", text="\0")

    with a_worker(database, act, on_failed=tell) as worker:
        deferred(database, a_job("leaver", lane=Lane.REVOKE))
        assert [worker.next(), worker.next()] == [("leaver", 1), ("leaver", 2)]
    assert states(database) == {"succeeded": 1}


def test_a_defect_in_a_lane_is_told_and_the_lane_starts_again(dsn: str, database: Database) -> None:
    with psycopg.connect(dsn, autocommit=True) as owner, capture_logs() as told:
        owner.execute("ALTER FUNCTION procrastinate_register_worker_v1() RENAME TO kept")
        owner.execute(
            "CREATE FUNCTION procrastinate_register_worker_v1() RETURNS TABLE(unheard_of int) LANGUAGE sql AS 'SELECT 1'"
        )
        with a_worker(database) as worker:
            deadline = time.monotonic() + WAIT_SECONDS
            while not any(line["event"] == "worker.part_failed" for line in told):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            owner.execute("DROP FUNCTION procrastinate_register_worker_v1()")
            owner.execute("ALTER FUNCTION kept() RENAME TO procrastinate_register_worker_v1")
            deferred(database, a_job())
            assert worker.next() == ("joiner", 1)


def test_the_end_of_an_attempt_that_was_taken_over_counts_for_nothing(database: Database) -> None:
    """A worker that slept for longer than its lease wakes up and finishes: the other's attempt goes on."""
    asleep, wake = threading.Event(), threading.Event()

    def act(job: RunningJob) -> None:
        if job.attempt == 1:
            asleep.set()
            wait(wake)

    with a_worker(database, act) as worker:
        job_id = deferred(database, a_job())
        wait(asleep)
        with database.system() as tx:
            tx.execute(
                "UPDATE procrastinate_jobs SET status = 'todo', attempts = attempts + 1, worker_id = NULL, scheduled_at = %(later)s",
                later=datetime.now(UTC) + timedelta(hours=1),
            )
        wake.set()
    with database.system() as tx:
        assert state(tx, job_id) is JobState.WAITING
    assert worker.failed.empty()


def test_the_worker_outlives_the_loss_of_all_its_connections(dsn: str, database: Database) -> None:
    with a_worker(database) as worker:
        deferred(database, a_job())
        assert worker.next() == ("joiner", 1)
        with psycopg.connect(dsn, autocommit=True) as owner:
            owner.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                """
            )
        deferred(database, a_job())
        assert worker.next() == ("joiner", 1)


@contextmanager
def a_worker_process(dsn: str) -> Iterator[subprocess.Popen[str]]:
    """A worker elsewhere, with a lease of two seconds, that says what it runs."""
    command = [sys.executable, str(Path(__file__).with_name("ledger_worker_process.py")), dsn, "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  this interpreter
        try:
            yield process
        finally:
            process.kill()


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_job_of_a_killed_worker_is_taken_back_when_its_lease_is_over(dsn: str, database: Database) -> None:
    job_id = deferred(database, a_job("hang", key="k"))
    with a_worker_process(dsn) as doomed:
        assert says(doomed) == "hang 1"
    deferred(database, a_job("hang", key="k"))
    with a_worker(database, lease_seconds=2) as worker:
        assert [worker.next(), worker.next()] == [("hang", 2), ("hang", 1)]
    with database.system() as tx:
        assert state(tx, job_id) is JobState.SUCCEEDED


def test_a_worker_that_slept_for_longer_than_its_lease_has_lost_its_job_and_works_on(dsn: str, database: Database) -> None:
    job_id = deferred(database, a_job("hang"))
    with a_worker_process(dsn) as sleeper:
        assert says(sleeper) == "hang 1"
        sleeper.send_signal(signal.SIGSTOP)
        with a_worker(database, lease_seconds=2) as worker:
            assert worker.next() == ("hang", 2)
        sleeper.send_signal(signal.SIGCONT)
        deferred(database, a_job("joiner"))
        assert says(sleeper) == "joiner 1"
    with database.system() as tx:
        assert state(tx, job_id) is JobState.SUCCEEDED


def test_a_job_that_yields_lets_younger_ones_of_its_lane_go_first(database: Database) -> None:
    deferred(database, a_job("first", lane=Lane.REVOKE, yields=True))
    deferred(database, a_job("second", lane=Lane.REVOKE))
    with a_worker(database, revoke_slots=1) as watched:
        assert [watched.next()[0], watched.next()[0]] == ["second", "first"]
