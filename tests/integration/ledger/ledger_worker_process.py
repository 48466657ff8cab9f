"""A worker in a process of its own, for tests that kill or stop it: the handler says what it runs; the job called "hang" hangs at first."""

from __future__ import annotations

import sys
import threading
import time

import structlog

from ledger.database import Database
from ledger.queueing.queue import RunningJob, Worker


def handle(job: RunningJob) -> None:
    sys.stdout.write(f"{job.name} {job.attempt}\n")
    sys.stdout.flush()
    if job.name == "hang" and job.attempt == 1:
        time.sleep(600)


def main(dsn: str, lease_seconds: float) -> None:
    worker = Worker(
        Database(dsn), {"hang": handle, "joiner": handle}, on_failed=lambda job, error: None, lease_seconds=lease_seconds
    )
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # what it says on stdout is for the test
    worker.run(threading.Event())


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
