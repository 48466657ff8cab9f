"""A whole installation for a benchmark: ``stint up`` as a user starts it, and a client company's sandboxes beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from config.loopback import answers
from config.services import environment_of
from config.settings import Settings
from connectors.wire.ports import free_port

READY_SECONDS = 120.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Installation:
    """A running ``stint up``: its settings, its process, and how long it took to get ready (seconds since the start)."""

    settings: Settings
    process: subprocess.Popen[bytes]
    receiver_ready_s: float
    everything_ready_s: float

    def processes(self) -> list[psutil.Process]:
        """Every process of the installation, the database's included."""
        root = psutil.Process(self.process.pid)
        family = [root, *root.children(recursive=True), *_postgres(self.settings.postgres_dir)]
        return list({process.pid: process for process in family}.values())

    def memory_mb(self) -> float:
        """Proportional set size of every process of the installation, shared memory counted once, in MB (10⁶ bytes)."""
        return sum(process.memory_full_info().pss for process in self.processes()) / 1e6


def fresh_settings(folder: Path, **changes: object) -> Settings:
    """Settings of an installation below ``folder`` on free ports."""
    ports = {"receiver_port": free_port(), "prefect_port": free_port(), "internal_hosts": "localhost"}
    return Settings.model_validate({"data_dir": folder / "data", **ports, **changes})


@contextmanager
def stint_up(settings: Settings) -> Iterator[Installation]:
    """Run ``stint up`` and wait until everything is ready; ended with the block."""
    started = time.monotonic()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("stint")), "up"],
        env=environment_of(settings),
        stdout=subprocess.DEVNULL,
        stderr=None,
    )
    try:
        receiver = _seconds_until(f"{settings.receiver_url}/readyz", process, started)
        everything = _seconds_until(f"{settings.prefect_api}/health", process, started)
        yield Installation(settings, process, receiver, everything)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _seconds_until(url: str, process: subprocess.Popen[bytes], started: float) -> float:
    while not answers(url):
        if process.poll() is not None or time.monotonic() - started > READY_SECONDS:
            raise RuntimeError(f"{url} does not answer (stint up: {process.poll()})")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started


def _postgres(folder: Path) -> list[psutil.Process]:
    """The embedded server: it belongs to a user of its own and is no child of ours."""
    pid = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of ``values`` do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = max(0, -(-int(len(ordered) * share * 1000) // 1000) - 1)
    return ordered[min(rank, len(ordered) - 1)]


def cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))
